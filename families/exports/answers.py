"""Answers as the application stores them, as values, and as people read them in a cell."""

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any, Final

from families.exports.form_layout import UPLOADS
from families.exports.values import encode_json

BETWEEN: Final = "; "
"""Between several values in a cell: choices hold commas."""

_WHOLE: Final = re.compile(r"-?[0-9]{1,15}")
_DAY_LENGTH: Final = len("2025-01-31")


@dataclass(frozen=True, slots=True)
class UploadedFile:
    """What an answer to an upload field shows of a file."""

    name: str
    mime_type: str
    size: int


def answer_value(field_type: str, text: str | None, value_type: str, files: Mapping[str, UploadedFile]) -> Any:
    """The answer as a value: text, a number, true or false, a list, or an object. Files are looked up by their ids."""
    if text is None:
        return None
    if field_type in UPLOADS or value_type == "file":
        return _files(text, files)
    read = _READERS.get(value_type)
    return text if read is None else read(text)


def answer_cell(value: Any) -> Any:
    """The same for a cell: several values in one line."""
    if isinstance(value, list):
        return BETWEEN.join(_line(each) for each in value)
    return _line(value) if isinstance(value, dict | UploadedFile) else value


def answer_json(value: Any) -> Any:
    """The same for JSON: of a file, what there is to know."""
    if isinstance(value, list):
        return [answer_json(each) for each in value]
    if isinstance(value, UploadedFile):
        return {"name": value.name, "mimeType": value.mime_type, "size": value.size}
    return value


def typed_cell(field_type: str, value: Any) -> Any:
    """The same for a cell of a workbook, which has a type for days and times. What is none stays text."""
    parse = _TIMES.get(field_type)
    if parse is not None and isinstance(value, str):
        with suppress(ValueError):
            return parse(value)
    return answer_cell(value)


def _files(text: str, files: Mapping[str, UploadedFile]) -> Sequence[Any]:
    """A file that is gone is shown by its id."""
    ids = _json(text)
    return [files.get(str(each).lower(), each) for each in (ids if isinstance(ids, list) else [ids])]


def _number(text: str) -> Any:
    """Only what keeps all of its digits becomes a number."""
    if _WHOLE.fullmatch(text):
        return int(text)
    with suppress(ValueError):
        number = float(text)
        if math.isfinite(number) and sum(letter.isdigit() for letter in text) <= 15:  # noqa: PLR2004
            return number
    return text


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _line(value: Any) -> Any:
    match value:
        case UploadedFile():
            return value.name
        case {"lat": lat, "lng": lng, **rest} if not rest:
            return f"{lat}, {lng}"
        case dict() | list():
            return encode_json(value).decode()
        case None:
            return ""
        case _:
            return str(value)


def _day(text: str) -> date:
    return date.fromisoformat(text[:_DAY_LENGTH])


_READERS: Final[Mapping[str, Callable[[str], Any]]] = {
    "number": _number,
    "json": _json,
    "boolean": lambda text: {"true": True, "false": False}.get(text.lower(), text),
}
"""By the value type; all others are text."""
_TIMES: Final[Mapping[str, Callable[[str], Any]]] = {
    "date": _day,
    "datetime": datetime.fromisoformat,
    "time": time.fromisoformat,
}
"""By the field's type."""
