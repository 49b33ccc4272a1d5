"""What the values in a query's conditions mean to the column that they are compared with."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_address
from typing import Any, Final
from uuid import UUID

from sqlalchemy import BigInteger, Boolean, Column, ColumnElement, DateTime, Integer, Text, Uuid, cast
from sqlalchemy.dialects.postgresql import INET, JSONB

from families.database.columns import Words
from families.database.date_ranges import DateRangeError, date_range

EQUALITY: Final = ("eq", "ne", "in", "notIn", "isNull")
ORDER: Final = ("gt", "gte", "lt", "lte", "between")
PATTERN: Final = ("like", "iLike")

_ENDS_IN_ESCAPE: Final = re.compile(r"(?<!\\)(\\\\)*\\$")


class WrongOperandError(Exception):
    """A value that a column, or an operator, does not take; the message says what it would take."""


@dataclass(frozen=True, slots=True)
class Span:
    """The instants that a day, or an instant, stands for: from `first` on and before `after`."""

    first: datetime
    after: datetime


@dataclass(frozen=True, slots=True)
class Kind:
    """What can be asked of a column."""

    operators: tuple[str, ...]
    read: Callable[[Any], Any]
    """The value to compare with. Raises WrongOperandError."""
    expression: ColumnElement[Any]
    """What it is compared with."""


def kind_of(column: Column[Any], zone: str) -> Kind:
    """By the column's type. Days and local times are in `zone`."""
    kind = column.type
    if isinstance(kind, Words):
        return Kind(EQUALITY + PATTERN, lambda value: _read_word(value, kind), cast(column, Text))
    if isinstance(kind, Integer):
        bits = 63 if isinstance(kind, BigInteger) else 31
        return Kind(EQUALITY + ORDER, lambda value: _read_number(value, bits), column)
    if isinstance(kind, DateTime):
        return Kind(EQUALITY + ORDER, lambda value: _read_moment(value, zone), column)
    for python, operators, read in _PLAIN:
        if isinstance(kind, python):
            return Kind(operators, read, column)
    return Kind(EQUALITY + ORDER + PATTERN, _read_text, column)


def read_flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise WrongOperandError("is neither true nor false")
    return value


def read_pattern(value: Any) -> str:
    pattern = _read_text(value)
    if _ENDS_IN_ESCAPE.search(pattern):
        raise WrongOperandError("ends in a backslash, which stands before the character that it takes literally")
    return pattern


def read_list(value: Any, length: int | None = None) -> Sequence[Any]:
    """A list; with `length`, of so many values."""
    if not is_list(value) or length not in {None, len(value)}:
        raise WrongOperandError("is no list" if length is None else f"is no list of {length} values")
    elements: Sequence[Any] = value
    return elements


def is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def _read_text(value: Any) -> str:
    if not isinstance(value, str):
        raise WrongOperandError("is no text")
    if "\0" in value:
        raise WrongOperandError("holds a NUL character; remove it")
    return value


def _read_word(value: Any, words: Words) -> str:
    if value not in words.words:
        raise WrongOperandError(f"is none of {', '.join(words.words)}")
    return str(value)


def _read_uuid(value: Any) -> UUID:
    try:
        return UUID(_read_text(value))
    except (ValueError, WrongOperandError):
        raise WrongOperandError(
            'is no id; those of the application look like "f0000000-0000-4000-8000-000000000001"'
        ) from None


def _read_number(value: Any, bits: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value // 1:
        raise WrongOperandError("is no whole number")
    if not -(2**bits) <= value < 2**bits:
        raise WrongOperandError("is larger than any number in this column")
    return int(value)


def _read_moment(value: Any, zone: str) -> Span:
    text = _read_text(value)
    try:
        span = date_range(text, text, "", zone)
    except DateRangeError as error:
        raise WrongOperandError(error.description) from None
    if span.start is None or span.end is None:
        raise WrongOperandError('is empty; write a day such as "2025-01-31", or an instant')
    return Span(span.start, span.end)


def _read_address(value: Any) -> str:
    try:
        return str(ip_address(_read_text(value)))
    except ValueError:
        raise WrongOperandError("is no IP address") from None


_PLAIN: Final[tuple[tuple[type, tuple[str, ...], Callable[[Any], Any]], ...]] = (
    (Uuid, EQUALITY, _read_uuid),
    (Boolean, EQUALITY, read_flag),
    (INET, EQUALITY, _read_address),
    (JSONB, ("isNull",), _read_text),
)
"""Types of columns, what can be asked of them, and how a value is read."""
