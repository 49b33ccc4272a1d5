"""What the contract says of the fields of a message type, and where those lie that carry one of its marks."""

import json
from collections.abc import Iterator
from functools import cache
from typing import Any, Final, NamedTuple, cast

from google.protobuf import any_pb2, wrappers_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from qcollector._proto import validate_pb2
from qcollector.jobs.v1 import options_pb2

Mark = Any
"""An extension of google.protobuf.FieldOptions, the contract's own or a plugin's."""
SENSITIVE: Final[Mark] = options_pb2.sensitive
STORAGE_PATH: Final[Mark] = options_pb2.storage_path
RESERVED_KEYS: Final[Mark] = options_pb2.reserved_keys

_VALIDATE: Final[Any] = validate_pb2
"""Its names are made when it is imported, so no type checker knows them."""
_ANY: Final = any_pb2.Any.DESCRIPTOR.full_name
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
    onward = tuple(field for field in descriptor.fields if field not in marked and _leads_on(mark, field, checked))
    return Steps(marked, onward)


def fields_within(descriptor: Descriptor, *, checked: bool = False) -> Iterator[FieldDescriptor]:
    """All fields of a type and of the types inside it, each once; with `checked`, not those that are left unchecked."""
    seen: set[str] = set()
    ahead = [descriptor]
    while ahead:
        current = ahead.pop()
        if current.full_name in seen:
            continue
        seen.add(current.full_name)
        for field in current.fields:
            yield field
            if field.message_type is not None and not (checked and _is_unchecked(field)):
                ahead.append(field.message_type)


def has_mark(mark: Mark, field: FieldDescriptor) -> bool:
    return bool(field.GetOptions().Extensions[mark])


def is_reserved(key: str, field: FieldDescriptor) -> bool:
    """Whether the contract keeps that key from being in the map."""
    keys, beginnings = _reserved(field)
    lower = key.lower()
    return lower in keys or lower.startswith(beginnings)


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


@cache
def _reserved(field: FieldDescriptor) -> tuple[frozenset[str], tuple[str, ...]]:
    """The keys, and what others begin with."""
    keys = field.GetOptions().Extensions[RESERVED_KEYS]
    return frozenset(keys), tuple(key.removesuffix("*") for key in keys if key.endswith("*"))


def _leads_on(mark: Mark, field: FieldDescriptor, checked: bool) -> bool:
    """Whether the mark may be set below `field`."""
    if field.message_type is None or (checked and _is_unchecked(field)):
        return False
    return any(
        has_mark(mark, inner) or (not checked and _holds_anything(inner))
        for inner in (field, *fields_within(field.message_type, checked=checked))
    )


def _holds_anything(field: FieldDescriptor) -> bool:
    return field.message_type is not None and field.message_type.full_name == _ANY


def _is_unchecked(field: FieldDescriptor) -> bool:
    rules = rules_of(field)
    return _VALIDATE.IGNORE_ALWAYS in {rules.ignore, rules.repeated.items.ignore, rules.map.values.ignore}
