"""How values look in files: text that no spreadsheet takes for a formula, and JSON."""

import re
from collections.abc import Callable
from datetime import date, datetime, time
from typing import Any, Final

import msgspec

_BEGINNINGS: Final = frozenset("=+-@\t\r\n＝＋－＠")  # noqa: RUF001  (some spreadsheets take full-width ones too)
_PLAIN_NUMBER: Final = re.compile(r"[+-]?[0-9](?: ?[0-9])*(?:[.,][0-9]+)?(?:[eE][+-]?[0-9]{1,3})?")
_MOST_DIGITS: Final = 40

encode_json: Final = msgspec.json.Encoder(enc_hook=str).encode


def inert(text: str) -> str:
    """The text, behind an apostrophe where a spreadsheet could take it for a formula. Plain numbers stay as they are."""
    if text[:1] not in _BEGINNINGS or not text:
        return text
    if len(text) <= _MOST_DIGITS and _PLAIN_NUMBER.fullmatch(text):
        return text
    return "'" + text


def _moment(value: datetime) -> str:
    return value.isoformat().replace("+00:00", "Z")


def _json(value: Any) -> str:
    return encode_json(value).decode()


_FORMS: Final[dict[type, Callable[[Any], Any]]] = {
    str: inert,
    bool: lambda value: "true" if value else "false",
    datetime: _moment,
    date: date.isoformat,
    time: time.isoformat,
    dict: _json,
    list: _json,
}
_ALREADY: Final = frozenset({int, float, type(None)})


def cell_text(value: Any) -> Any:
    """A value as the csv module shall write it."""
    kind = type(value)
    if kind in _ALREADY:
        return value
    form = _FORMS.get(kind)
    return inert(str(value)) if form is None else form(value)
