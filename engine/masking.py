"""Copies of messages in which the values of `(sensitive)` fields cannot be read."""

from collections.abc import Iterator
from functools import cache
from typing import Final

from google.protobuf import descriptor_pool
from google.protobuf.any_pb2 import Any
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass
from qcollector.jobs.v1.options_pb2 import sensitive

MASK: Final = "•••"


def has_sensitive(descriptor: Descriptor) -> bool:
    """Whether a message of this type can hold sensitive values, in itself or further down."""
    return bool(_plan(descriptor))


def redacted(message: Message) -> Message:
    """A copy whose sensitive texts read "•••" and whose other sensitive values are cleared; unset ones stay unset.

    For storage and for display alike. A message whose type has no sensitive fields is answered itself, not copied.
    """
    if not _plan(message.DESCRIPTOR):
        return message
    copy = type(message)()
    copy.CopyFrom(message)
    _redact(copy)
    return copy


masked = redacted


def _redact(message: Message) -> None:
    if isinstance(message, Any):
        _redact_any(message)
        return
    present = {field.number for field, _ in message.ListFields()}
    for field, secret in _plan(message.DESCRIPTOR):
        if field.number not in present:
            continue
        if secret:
            _hide(message, field)
            continue
        for part in _parts(message, field):
            _redact(part)


def _redact_any(packed: Any) -> None:
    """Looks into the message that `packed` carries; one of an unknown type is emptied, since it may hold anything."""
    try:
        descriptor = descriptor_pool.Default().FindMessageTypeByName(packed.TypeName())
        inner = GetMessageClass(descriptor).FromString(packed.value)
    except (KeyError, DecodeError):
        packed.ClearField("value")
        return
    if has_sensitive(descriptor):
        _redact(inner)
        packed.value = inner.SerializeToString()


def _hide(message: Message, field: FieldDescriptor) -> None:
    if field.type != FieldDescriptor.TYPE_STRING:
        message.ClearField(field.name)
    elif field.is_repeated:
        values = getattr(message, field.name)
        values[:] = [MASK] * len(values)
    else:
        setattr(message, field.name, MASK)


def _parts(message: Message, field: FieldDescriptor) -> Iterator[Message]:
    value = getattr(message, field.name)
    if not field.is_repeated:
        yield value
    elif _is_map(field):
        yield from value.values()
    else:
        yield from value


@cache
def _plan(descriptor: Descriptor) -> tuple[tuple[FieldDescriptor, bool], ...]:
    """The fields to look at: those that are sensitive (True), and those below which something may be (False)."""
    steps = []
    for field in descriptor.fields:
        if field.GetOptions().Extensions[sensitive]:
            steps.append((field, True))
        elif _leads_to_secret(field, frozenset({descriptor.full_name})):
            steps.append((field, False))
    return tuple(steps)


def _leads_to_secret(field: FieldDescriptor, seen: frozenset[str]) -> bool:
    """Whether a sensitive value may lie below `field`; `seen` are the types on the way, as types may hold themselves."""
    below = _message_below(field)
    if below is None or below.full_name in seen:
        return False
    if below.full_name == Any.DESCRIPTOR.full_name:
        return True
    return any(
        inner.GetOptions().Extensions[sensitive] or _leads_to_secret(inner, seen | {below.full_name})
        for inner in below.fields
    )


def _message_below(field: FieldDescriptor) -> Descriptor | None:
    below = field.message_type
    return below.fields_by_name["value"].message_type if below is not None and _is_map(field) else below


def _is_map(field: FieldDescriptor) -> bool:
    below = field.message_type
    return below is not None and below.GetOptions().map_entry
