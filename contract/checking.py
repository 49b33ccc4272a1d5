"""The contract's rules, held against a message: what is wrong with which field, in the caller's words.

protovalidate judges what the rules say; what they cannot say (files, NUL characters, plugins' own marks) is judged here.
"""

from collections.abc import Callable, Iterator
from functools import cache, lru_cache, partial
from itertools import islice
from typing import Any, Final

import protovalidate
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import ListValue, Struct, Value

from base.settings import Settings
from base.storage import StoragePathError, StorageRoots
from contract.checks import FieldCheck, field_checks
from contract.declarations import JobType
from contract.errors import FieldProblem, RequestInvalidError
from contract.fields import (
    RESERVED_KEYS,
    SENSITIVE,
    STORAGE_PATH,
    Mark,
    descriptor_of,
    is_map,
    is_reserved,
    map_fields,
    parts,
    steps_to,
    subscript,
)
from contract.masking import MASK
from contract.rule_words import in_words

MAX_PROBLEMS: Final = 50

Look = Callable[[Message, str, Settings], Iterator[FieldProblem]]


def check(message: Message, root: str) -> list[FieldProblem]:
    """Everything in `message` that breaks a rule of its type; fields are named by their JSON names below `root`."""
    try:
        violations = protovalidate.collect_violations(message)
    except protovalidate.EvaluationError:
        return [FieldProblem(root, "evaluation", "a rule cannot be applied to these values; send usual ones")]
    if not violations:
        return []
    descriptor = descriptor_of(message)
    return [
        FieldProblem(_path(root, descriptor, violation.proto.field), violation.proto.rule_id, in_words(violation))
        for violation in violations[:MAX_PROBLEMS]
    ]


def check_or_raise(message: Message, root: str) -> None:
    """Refuses a message that breaks a rule of its type.

    Raises:
      RequestInvalidError: names each field, the rule and the remedy.
    """
    if problems := check(message, root):
        raise RequestInvalidError(problems)


def check_payload(
    job_type: JobType, message: Message, settings: Settings, root: str, serialized: bytes | None = None
) -> None:
    """Refuses a payload that its job could not work on. Reads the file system for types with paths or templates.

    `serialized` is the message as bytes, from callers who have it already.

    Raises:
      RequestInvalidError: names each field, the rule and the remedy, up to 50.
    """
    problems = check(message, root)
    for look in _looks(descriptor_of(job_type.payload), settings.job_plugins):
        problems += islice(look(message, root, settings), MAX_PROBLEMS)
    whole = message.SerializeToString() if serialized is None else serialized
    if b"\0" in whole:  # a cheap look that spares nearly all messages the walk
        problems += islice(_nul_problems(message, root), MAX_PROBLEMS)
    if problems:
        raise RequestInvalidError(problems[:MAX_PROBLEMS])


@cache
def _looks(descriptor: Descriptor, job_plugins: tuple[str, ...]) -> tuple[Look, ...]:
    """Those of the looks at marked fields that payloads of this type need."""
    looks: tuple[tuple[Mark, Look], ...] = (
        (SENSITIVE, _mask_problems),
        (STORAGE_PATH, _storage_problems),
        *((mark, partial(_text_problems, mark, check)) for mark, check in field_checks(job_plugins).items()),
        (RESERVED_KEYS, _key_problems),
    )
    return tuple(look for mark, look in looks if any(steps_to(mark, descriptor, checked=True)))


def _path(root: str, descriptor: Descriptor, path: Any) -> str:
    """A protovalidate path in JSON names, such as `data.emails[3].replyTo`."""
    text = root
    below: Descriptor | None = descriptor
    for element in path.elements if path else ():
        field = below.fields_by_number.get(element.field_number) if below is not None else None
        text = _member(text, field.json_name if field is not None else element.field_name)
        if element.subscript is not None:
            text += subscript(element.subscript.value)
        below = (map_fields(field)[1] if is_map(field) else field).message_type if field is not None else None
    return text


def _member(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _storage_problems(message: Message, root: str, settings: Settings) -> Iterator[FieldProblem]:
    for where, path in _marked_texts(STORAGE_PATH, message, root):
        try:
            _storage_roots(settings).resolve(path)
        except StoragePathError as error:
            yield FieldProblem(where, "storage_path", str(error))


def _text_problems(
    mark: Mark, check: FieldCheck, message: Message, root: str, settings: Settings
) -> Iterator[FieldProblem]:
    """What a plugin's check finds in the texts that carry its mark."""
    for where, text in _marked_texts(mark, message, root):
        if wrong := check(text, settings):
            yield FieldProblem(where, mark.name, wrong)


def _key_problems(message: Message, root: str, _settings: Settings) -> Iterator[FieldProblem]:
    for where, field, names in _marked(RESERVED_KEYS, message, root):
        for name in names:
            if is_reserved(name, field):
                words = (
                    "is the service's own to set; leave it out, and use the payload's field for it where there is one"
                )
                yield FieldProblem(where + subscript(name), "reserved_keys", f"the name {words}")


def _mask_problems(message: Message, root: str, _settings: Settings) -> Iterator[FieldProblem]:
    for where, secret in _marked_texts(SENSITIVE, message, root):
        if secret == MASK:
            yield FieldProblem(where, "sensitive", "is the mask that answers show for a secret; send the secret itself")


def _nul_problems(message: Message, root: str) -> Iterator[FieldProblem]:
    for where in _nul_places(message, root):
        yield FieldProblem(where, "nul", "holds a NUL character; remove it")


def _nul_places(message: Message, path: str) -> Iterator[str]:
    for field, value in message.ListFields():
        where = _member(path, field.json_name)
        if is_map(field):
            items = [(where + subscript(key), part) for key, item in value.items() for part in (key, item)]
        elif field.is_repeated:
            items = [(where + subscript(index), item) for index, item in enumerate(value)]
        else:
            items = [(where, value)]
        for place, item in items:
            if isinstance(item, Struct | ListValue | Value):  # JSON of the caller's own: named as a whole
                if any(_nul_places(item, place)):
                    yield place
            elif isinstance(item, Message):
                yield from _nul_places(item, place)
            elif isinstance(item, str) and "\0" in item:
                yield place


def _marked_texts(mark: Mark, message: Message, path: str) -> Iterator[tuple[str, str]]:
    """The texts in fields that carry `mark`, with their paths."""
    for where, field, value in _marked(mark, message, path):
        if isinstance(value, str):
            yield from [(where, value)] if value else []
        elif field.is_repeated and not is_map(field):
            yield from ((where + subscript(index), item) for index, item in enumerate(value))


def _marked(mark: Mark, message: Message, path: str) -> Iterator[tuple[str, FieldDescriptor, Any]]:
    """The fields that carry `mark`, with their paths and values, where the contract does not leave them unchecked."""
    steps = steps_to(mark, descriptor_of(message), checked=True)
    for field in steps.marked:
        yield _member(path, field.json_name), field, getattr(message, field.name)
    for field in steps.onward:
        if field.is_repeated or message.HasField(field.name):
            for place, part in parts(message, field):
                yield from _marked(mark, part, _member(path, field.json_name) + place)


@lru_cache(maxsize=8)
def _storage_roots(settings: Settings) -> StorageRoots:
    return StorageRoots(settings)
