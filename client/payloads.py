"""The application's own objects as the contract's messages."""

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Any, TypeVar

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

M = TypeVar("M", bound=Message)
V = TypeVar("V", bound=int)
_TIMESTAMP = Timestamp.DESCRIPTOR.full_name
_WHOLE = "a whole number (int) of at most {} bits, such as 3"
_NUMBER = "a number (int or float), such as 86400000"
_TAKES = {
    FieldDescriptor.CPPTYPE_INT32: _WHOLE.format(32),
    FieldDescriptor.CPPTYPE_INT64: _WHOLE.format(64),
    FieldDescriptor.CPPTYPE_DOUBLE: _NUMBER,
    FieldDescriptor.CPPTYPE_FLOAT: _NUMBER,
    FieldDescriptor.CPPTYPE_BOOL: "True or False",
    FieldDescriptor.CPPTYPE_STRING: "text (str)",
}


def message_of(kind: type[M], thing: Any) -> M:
    """Makes a message of a mapping or an object, by the fields' names in snake_case or camelCase; returns one as it is.

    What the message has no field for is left out: a user's row may have many more columns than a mail needs.

    Raises:
      ValueError: a field does not take its value.
    """
    if isinstance(thing, kind):
        return thing
    message = kind()
    for field in kind.DESCRIPTOR.fields:
        value = _look(thing, field)
        if value is None:
            continue
        _put(message, field, str(value) if field.type == FieldDescriptor.TYPE_STRING else value, field.name)
    return message


def _put(message: Message, field: Any, value: Any, path: str) -> None:
    """Sets a field. Raises ValueError, which names `path` and what the field takes."""
    if field.message_type is not None and field.message_type.full_name == _TIMESTAMP:
        value = timestamp_of(value, path)
    try:
        message.MergeFrom(type(message)(**{field.name: value}))
    except (TypeError, ValueError):
        takes = _TAKES.get(field.cpp_type) or f"what {field.full_name} takes"
        raise ValueError(f"{path}: {value!r} cannot be used; pass {takes}") from None


def timestamp_of(value: datetime | date | str, field: str) -> Timestamp:
    """A moment, as a datetime with a zone or as RFC 3339. A date alone, also as text, is its first moment in UTC.

    Raises:
      ValueError: `field` has no zone, or is no moment at all. Which zone was meant is not guessed.
    """
    moment = _parsed(value, field) if isinstance(value, str) else value
    if not isinstance(moment, date):
        raise _no_moment(value, field)
    if not isinstance(moment, datetime):
        moment = datetime(moment.year, moment.month, moment.day, tzinfo=UTC)
    if moment.tzinfo is None:
        raise ValueError(
            f"{field}: {value} names no zone; pass an aware datetime such as datetime.now(UTC), or RFC 3339 with its offset"
        )
    stamp = Timestamp()
    stamp.FromDatetime(moment)
    return stamp


def _parsed(text: str, field: str) -> datetime | date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        pass
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise _no_moment(text, field) from None


def _no_moment(value: object, field: str) -> ValueError:
    return ValueError(
        f"{field}: {value!r} is no moment; pass a datetime, RFC 3339 such as 2026-11-24T09:30:00Z, or a date"
    )


def enum_value(values: Iterable[tuple[str, V]], prefix: str, word: str, field: str) -> V:
    """The value of an enum by its documented word.

    Raises:
      ValueError: it is none of the enum's words, which the message lists.
    """
    words = {name.removeprefix(prefix).lower(): value for name, value in values if value}
    if word.lower() not in words:
        raise ValueError(f"{field}: {word!r} is not one of {', '.join(words)}")
    return words[word.lower()]


def strict_message_of(kind: type[M], given: Mapping[str, Any], path: str = "") -> M:
    """As `message_of`, but refuses names that are no fields. `path` is where the mapping is in the caller's arguments.

    Raises:
      ValueError: a name is no field of the message, whose fields are listed then; or a field does not take its value.
    """
    fields = {name: field for field in kind.DESCRIPTOR.fields for name in (field.name, field.json_name)}
    message = kind()
    for name, value in given.items():
        place = f"{path}.{name}" if path else name
        if name not in fields:
            names = ", ".join(sorted({field.name for field in fields.values()}))
            raise ValueError(f"{place}: there is no such field; there are {names}")
        if value is not None:
            _put(message, fields[name], value, place)
    return message


def _look(thing: Any, field: Any) -> Any:
    for name in (field.name, field.json_name):
        value = thing.get(name) if isinstance(thing, Mapping) else getattr(thing, name, None)
        if value is not None:
            return value
    return None
