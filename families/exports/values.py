"""How values look in files: text that no spreadsheet takes for a formula, and JSON."""

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, time
from types import NoneType
from typing import Any, Final
from uuid import UUID

import msgspec
from asyncpg.pgproto.pgproto import UUID as StoredUUID  # noqa: N811  (the driver's own, which is a UUID)

_BEGINNINGS: Final = frozenset("=+-@\t\r\n＝＋－＠")  # noqa: RUF001  (some spreadsheets take full-width ones too)
_PLAIN_NUMBER: Final = re.compile(r"[+-]?[0-9](?: ?[0-9])*(?:[.,][0-9]+)?(?:[eE][+-]?[0-9]{1,3})?")
_MOST_DIGITS: Final = 40

_encoder: Final = msgspec.json.Encoder(enc_hook=str)
encode_json: Final = _encoder.encode
encode_lines: Final = _encoder.encode_lines


def inert(text: str) -> str:
    """The text, behind an apostrophe where a spreadsheet could take it for a formula. Plain numbers stay as they are."""
    if text[:1] not in _BEGINNINGS or not text:
        return text
    if len(text) <= _MOST_DIGITS and _PLAIN_NUMBER.fullmatch(text):
        return text
    return "'" + text


def inert_all(texts: Sequence[str]) -> Sequence[str]:
    """All of them inert; mostly they are, which is seen at once."""
    return texts if _BEGINNINGS.isdisjoint({text[:1] for text in texts}) else list(map(inert, texts))


def cell_text(value: Any) -> str:
    """A value as CSV has it; nothing is the empty text."""
    if isinstance(value, date | time):
        return _times([value])[0]
    if isinstance(value, bool | dict | list):
        return encode_json(value).decode()
    if isinstance(value, int | float):
        return str(value)
    return "" if value is None else inert(str(value))


def text_columns(rows: Iterable[Sequence[Any]]) -> Iterator[Sequence[str]]:
    """The columns of equally long rows, as texts. Column by column takes a fourth of the time that each value alone takes."""
    return map(_text_column, zip(*rows, strict=True))


def _text_column(values: Sequence[Any]) -> Sequence[str]:
    kinds = set(map(type, values))
    if NoneType in kinds:
        kinds.discard(NoneType)
        values = ["" if value is None else value for value in values]
    if kinds <= _TEXT:
        return inert_all(values)
    if kinds <= _PLAIN:
        return list(map(str, values))
    if kinds <= _TIMES:
        return _times(values)
    if kinds <= _FLAGS:
        return list(map(_FLAG_WORDS.__getitem__, values))
    return list(map(cell_text, values))


def _times(values: Sequence[Any]) -> Sequence[str]:
    """As ISO 8601, by way of JSON, since `isoformat` takes thirty times as long."""
    return encode_json(values)[2:-2].decode().split('","')


_TEXT: Final = frozenset({str})
_PLAIN: Final = frozenset({int, float, UUID, StoredUUID})
_TIMES: Final = frozenset({datetime, date, time})
_FLAGS: Final = frozenset({bool})
_FLAG_WORDS: Final = {True: "true", False: "false", "": ""}
