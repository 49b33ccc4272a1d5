"""Copies of messages in which the values of `(sensitive)` fields cannot be read."""

from typing import Final, TypeVar

from google.protobuf import descriptor_pool
from google.protobuf.any_pb2 import Any
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from contract.fields import SENSITIVE, Steps, descriptor_of, parts, steps_to

MASK: Final = "•••"

M = TypeVar("M", bound=Message)


def has_sensitive(descriptor: Descriptor) -> bool:
    """Whether a message of this type can hold sensitive values, in itself or further down."""
    return any(_steps(descriptor))


def redacted(message: M) -> M:
    """A copy whose sensitive texts read "•••" and whose other sensitive values are cleared; unset ones stay unset.

    For storage and for display alike. A message whose type has no sensitive fields is answered itself, not copied.
    """
    if not has_sensitive(descriptor_of(message)):
        return message
    copy = type(message)()
    copy.CopyFrom(message)
    _redact(copy)
    return copy


masked = redacted
"""What callers see is what is stored, so one operation serves both."""


def _steps(descriptor: Descriptor) -> Steps:
    return steps_to(SENSITIVE, descriptor, checked=False)


def _redact(message: Message) -> None:
    if isinstance(message, Any):
        _redact_any(message)
        return
    steps = _steps(descriptor_of(message))
    present = {field.number for field, _ in message.ListFields()}
    for field in steps.marked:
        if field.number in present:
            _hide(message, field)
    for field in steps.onward:
        if field.number in present:
            for _, part in parts(message, field):
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
