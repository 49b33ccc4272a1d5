"""Single JSON values as the values of protobuf fields: the lenient spellings that callers may use, and no others."""

import base64
import binascii
import math
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, Final, cast

from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

EXACT: Final = 2**53
"""Up to here every integral JSON number is the number that was meant."""

_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", re.ASCII)
_DURATION: Final = re.compile(r"-?\d{1,12}(\.\d{1,9})?s", re.ASCII)
_DIGITS: Final = re.compile(r"-?\d{1,20}", re.ASCII)
_FLOAT_END: Final = 3.4028235677973366e38
"""The least number that 32 bits round to infinity."""
_SHOWN: Final = 40

_KINDS: Final[tuple[tuple[type, str], ...]] = (
    (bool, "true or false"),
    (int, "a number"),
    (float, "a number"),
    (str, "a text"),
    (Mapping, "an object"),
    (Sequence, "a list"),
)

INTEGER_RANGES: Final = {
    FieldDescriptor.TYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.TYPE_SINT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.TYPE_SFIXED32: (-(2**31), 2**31 - 1),
    FieldDescriptor.TYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.TYPE_FIXED32: (0, 2**32 - 1),
    FieldDescriptor.TYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.TYPE_SINT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.TYPE_SFIXED64: (-(2**63), 2**63 - 1),
    FieldDescriptor.TYPE_UINT64: (0, 2**64 - 1),
    FieldDescriptor.TYPE_FIXED64: (0, 2**64 - 1),
}


class WrongValueError(Exception):
    """A value that its field cannot take: the rule's id, and what is wrong and what would be right."""

    def __init__(self, rule: str, description: str) -> None:
        super().__init__(description)
        self.rule = rule
        self.description = description


def decode_scalar(field: FieldDescriptor, value: Any) -> Any:
    """`value` as one element of `field`, which is no message.

    Raises:
      WrongValueError: the field cannot take it.
    """
    return _DECODERS[field.type](field, value)


def decode_map_key(field: FieldDescriptor, key: str) -> Any:
    """The name of a JSON member as the key of a map.

    Raises:
      WrongValueError: the map's keys are of another type.
    """
    if field.type == FieldDescriptor.TYPE_STRING:
        return _text(field, key)
    if field.type == FieldDescriptor.TYPE_BOOL:
        if key not in {"true", "false"}:
            raise WrongValueError("type", 'the key is neither "true" nor "false"')
        return key == "true"
    if not _DIGITS.fullmatch(key):
        raise WrongValueError("type", "the key is not a whole number")
    return _in_range(field, int(key))


def decode_timestamp(value: Any) -> Timestamp:
    """A date (midnight in UTC) or an RFC 3339 time.

    Raises:
      WrongValueError: it is neither, or there is no such time.
    """
    result = Timestamp()
    if isinstance(value, str):
        text = f"{value}T00:00:00Z" if _DATE.fullmatch(value) else value.upper()
        if _TIME.fullmatch(text):
            try:
                result.FromJsonString(text)
            except ValueError:
                raise WrongValueError("timestamp", "there is no such date or time; check the calendar") from None
            return result
    raise WrongValueError(
        "timestamp",
        f'expected a date such as "2025-01-01" or a time such as "2025-01-01T12:00:00Z", got {named(value)}',
    )


def decode_duration(value: Any) -> Duration:
    """Seconds with an `s`, as in "3.5s".

    Raises:
      WrongValueError: it is not that, or more than 10,000 years.
    """
    result = Duration()
    if isinstance(value, str) and _DURATION.fullmatch(value):
        try:
            result.FromJsonString(value)
        except ValueError:
            raise WrongValueError("duration", "the duration is out of range; stay within 10,000 years") from None
        return result
    raise WrongValueError("duration", f'expected seconds such as "3.5s", got {named(value)}')


@cache
def enum_words(enum: EnumDescriptor) -> Mapping[str, int]:
    """The values by their documented words: without the enum's prefix, in lower case, the unspecified one last."""
    prefix = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", enum.name).upper() + "_"
    numbers = sorted(enum.values, key=lambda value: (value.number == 0, value.index))
    return {value.name.removeprefix(prefix).lower(): value.number for value in numbers}


def finite(value: Any) -> float:
    """`value` as a number.

    Raises:
      WrongValueError: it is none, or it is infinite.
    """
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise WrongValueError("type", f"expected a number, got {named(value)}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise WrongValueError("range", "the number is not finite; send one that is")
    return number


def unicode_text(value: str) -> str:
    """`value`, if it can be stored.

    Raises:
      WrongValueError: it holds half a surrogate pair.
    """
    try:
        value.encode()
    except UnicodeEncodeError:
        raise WrongValueError("utf8", "the text holds half a surrogate pair; send valid Unicode") from None
    return value


def named(value: Any) -> str:
    """What a JSON value is, in words, without the value itself: it may be a secret."""
    if value is None:
        return "null"
    for kind, words in _KINDS:
        if isinstance(value, kind):
            return words
    return "something else"


def _text(_: FieldDescriptor, value: Any) -> str:
    if isinstance(value, str):
        return unicode_text(value)
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise WrongValueError("type", f"expected a text, got {named(value)}")
    number = _whole(value, "a text or a whole number")
    if abs(number) > EXACT:
        raise WrongValueError("range", "the number is too large to be exact (beyond 2^53); send it as a text")
    return str(number)


def _boolean(_: FieldDescriptor, value: Any) -> bool:
    if not isinstance(value, bool):
        raise WrongValueError("type", f"expected true or false, got {named(value)}")
    return value


def _integer(field: FieldDescriptor, value: Any) -> int:
    wide = INTEGER_RANGES[field.type][1] > EXACT
    if wide and isinstance(value, str) and _DIGITS.fullmatch(value):
        return _in_range(field, int(value))
    return _in_range(field, _whole(value, "a whole number"))


def _whole(value: Any, expected: str) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    number = finite(value)
    if number % 1:
        raise WrongValueError("type", f"expected {expected}, got a number with a fraction")
    return int(number)


def _in_range(field: FieldDescriptor, number: int) -> int:
    low, high = INTEGER_RANGES[field.type]
    if not low <= number <= high:
        raise WrongValueError("range", f"the number is out of range; send one from {low} to {high}")
    return number


def _double(_: FieldDescriptor, value: Any) -> float:
    return finite(value)


def _float(_: FieldDescriptor, value: Any) -> float:
    number = finite(value)
    if abs(number) >= _FLOAT_END:
        raise WrongValueError("range", "the number is out of range for 32 bits; send a smaller one")
    return number


def _octets(_: FieldDescriptor, value: Any) -> bytes:
    if not isinstance(value, str):
        raise WrongValueError("type", f"expected bytes as a base64 text, got {named(value)}")
    text = value.translate(_TO_STANDARD).rstrip("=")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise WrongValueError(
            "base64", "the text is not base64; encode the bytes in the standard or URL alphabet"
        ) from None


def _enumerated(field: FieldDescriptor, value: Any) -> int:
    enum = cast("EnumDescriptor", field.enum_type)
    words = enum_words(enum)
    expected = ", ".join(word for word, number in words.items() if number or len(words) == 1)
    if not isinstance(value, str):
        raise WrongValueError("type", f"expected one of the words {expected}; got {named(value)}")
    word = value.lower().replace("-", "_")
    if word in words:
        return words[word]
    full = enum.values_by_name.get(value)
    if full is None:
        raise WrongValueError("enum", f"{_quoted(value)} is none of its words; send one of {expected}")
    return full.number


def _quoted(value: str) -> str:
    return ascii(value if len(value) <= _SHOWN else value[:_SHOWN] + "...")


_TO_STANDARD: Final = str.maketrans("-_", "+/")
_DECODERS: Final[dict[int, Callable[[FieldDescriptor, Any], Any]]] = {
    FieldDescriptor.TYPE_STRING: _text,
    FieldDescriptor.TYPE_BOOL: _boolean,
    FieldDescriptor.TYPE_BYTES: _octets,
    FieldDescriptor.TYPE_DOUBLE: _double,
    FieldDescriptor.TYPE_FLOAT: _float,
    FieldDescriptor.TYPE_ENUM: _enumerated,
} | dict.fromkeys(INTEGER_RANGES, _integer)
