"""The application's own objects as the contract's messages."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any, TypeVar

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

M = TypeVar("M", bound=Message)
_TIMESTAMP = Timestamp.DESCRIPTOR.full_name


def message_of(kind: type[M], thing: Any) -> M:
    """A message out of a message, a mapping, or an object with attributes, by the fields' names in snake_case or camelCase.

    What the message has no field for is left behind: a user row may have many more columns than a mail needs.
    """
    if isinstance(thing, kind):
        return thing
    message = kind()
    for field in kind.DESCRIPTOR.fields:
        value = _look(thing, field)
        if value is None:
            continue
        if field.message_type is not None and field.message_type.full_name == _TIMESTAMP:
            getattr(message, field.name).CopyFrom(timestamp_of(value))
        else:
            setattr(message, field.name, str(value) if field.type == FieldDescriptor.TYPE_STRING else value)
    return message


def timestamp_of(value: datetime | date | str) -> Timestamp:
    """A moment: aware, or taken as UTC; a text is RFC 3339 or a date."""
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    if not isinstance(moment, datetime):
        moment = datetime(moment.year, moment.month, moment.day, tzinfo=UTC)
    stamp = Timestamp()
    stamp.FromDatetime(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    return stamp


def _look(thing: Any, field: Any) -> Any:
    for name in (field.name, field.json_name):
        value = thing.get(name) if isinstance(thing, Mapping) else getattr(thing, name, None)
        if value is not None:
            return value
    return None
