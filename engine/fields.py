"""What the contract says of the fields of a message type, and where those lie that carry one of its marks."""

import json
from collections.abc import Iterator
from functools import cache
from typing import Any, Final, Literal, NamedTuple, cast

from google.protobuf import any_pb2, wrappers_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from qcollector._proto import validate_pb2
from qcollector.jobs.v1 import options_pb2

Mark = Literal["sensitive", "storage_path", "email_template"]

TEXT_MARKS: Final[tuple[Mark, ...]] = ("storage_path", "email_template")
"""Those that only a string can carry."""
_MARKS: Final = {
    "sensitive": options_pb2.sensitive,
    "storage_path": options_pb2.storage_path,
    "email_template": options_pb2.email_template,
}
_VALIDATE: Final[Any] = validate_pb2
"""Its names are made when it is imported, so no type checker knows them."""
_LONGEST_KEY: Final = 64


class Steps(NamedTuple):
    """What to do with a message of some type."""

    marked: tuple[FieldDescriptor, ...]
    """Its own fields that carry the mark."""
    onward: tuple[FieldDescriptor, ...]
    """Its fields below which others may carry it."""


@cache
def steps_to(mark: Mark, descriptor: Descriptor, *, checked: bool) -> Steps:
    """The way from a message to the fields that carry `mark`.

    With `checked` the way ends where the contract leaves values unchecked (IGNORE_ALWAYS). Without, it also leads into
    google.protobuf.Any, which may hold anything.
    """
    marked = tuple(field for field in descriptor.fields if has_mark(mark, field))
    onward = tuple(
        field
        for field in descriptor.fields
        if field not in marked and _leads_on(mark, field, checked, frozenset({descriptor.full_name}))
    )
    return Steps(marked, onward)


def has_mark(mark: Mark, field: FieldDescriptor) -> bool:
    return bool(field.GetOptions().Extensions[_MARKS[mark]])


def rules_of(field: FieldDescriptor) -> Any:
    """The field's buf.validate.FieldRules."""
    return field.GetOptions().Extensions[_VALIDATE.field]


def message_rules_of(descriptor: Descriptor) -> Any:
    """The type's buf.validate.MessageRules."""
    return descriptor.GetOptions().Extensions[_VALIDATE.message]


def descriptor_of(message: Message | type[Message]) -> Descriptor:
    """The message's type; the stubs know two classes of descriptors where there is one."""
    return cast("Descriptor", message.DESCRIPTOR)


def parts(message: Message, field: FieldDescriptor) -> Iterator[tuple[str, Message]]:
    """The messages that a set field holds, each with its place in the field: "", `[3]` or `["key"]`."""
    value = getattr(message, field.name)
    if not field.is_repeated:
        yield "", value
    elif is_map(field):
        yield from ((subscript(key), value[key]) for key in value)
    else:
        yield from ((subscript(index), part) for index, part in enumerate(value))


@cache
def is_map(field: FieldDescriptor) -> bool:
    below = field.message_type
    return below is not None and bool(below.GetOptions().map_entry)


def is_wrapper(descriptor: Descriptor) -> bool:
    """Whether it is a type such as google.protobuf.StringValue, whose JSON is its value alone."""
    return descriptor.file.name == wrappers_pb2.DESCRIPTOR.name


def map_fields(field: FieldDescriptor) -> tuple[FieldDescriptor, FieldDescriptor]:
    """The fields that stand for a map's keys and values."""
    entry = cast("Descriptor", field.message_type)
    return entry.fields_by_name["key"], entry.fields_by_name["value"]


def subscript(key: object) -> str:
    """A key or index as a part of a field's path: ASCII, and not longer than a message can bear."""
    if isinstance(key, str):
        return f"[{json.dumps(key if len(key) <= _LONGEST_KEY else key[:_LONGEST_KEY] + '...')}]"
    return f"[{str(key).lower()}]"


def _leads_on(mark: Mark, field: FieldDescriptor, checked: bool, seen: frozenset[str]) -> bool:
    """Whether the mark may be set below `field`; `seen` are the types on the way, since types may hold themselves."""
    below = field.message_type
    if below is None or below.full_name in seen or (checked and _is_unchecked(field)):
        return False
    if below.full_name == any_pb2.Any.DESCRIPTOR.full_name:
        return not checked
    return any(
        has_mark(mark, inner) or _leads_on(mark, inner, checked, seen | {below.full_name}) for inner in below.fields
    )


def _is_unchecked(field: FieldDescriptor) -> bool:
    rules = rules_of(field)
    return _VALIDATE.IGNORE_ALWAYS in {rules.ignore, rules.repeated.items.ignore, rules.map.values.ignore}
