"""Excel workbooks by openpyxl's streaming mode: typed cells, a header that stays in view, as many worksheets as it takes."""

import math
import re
import unicodedata
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, date, datetime, time
from itertools import chain, count
from typing import IO, Any, Final, cast
from zipfile import ZIP_DEFLATED, ZipFile
from zoneinfo import ZoneInfo

from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.styles import Font, PatternFill
from openpyxl.utils import get_column_letter
from openpyxl.worksheet._writer import ALL_TEMP_FILES, WorksheetWriter
from openpyxl.writer.excel import ExcelWriter as Archiver

from workers.exports.drafts import Draft
from workers.exports.values import cell_text, inert

MAX_ROWS: Final = 1_048_576
"""Of a worksheet, its header included."""
MAX_TEXT: Final = 32_767
MAX_TITLE: Final = 31
COMPRESSION: Final = 4
"""Half the time of zlib's default for files that are a few percent larger."""

_WIDTHS: Final = (10, 60)
_SAMPLE: Final = 100
"""Rows that a column's width is taken from."""
_MOST_DIGITS: Final = 10**15
"""Excel's numbers have 15 digits."""
_FIRST_YEAR: Final = 1900
_NO_XML: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_NO_TITLE: Final = re.compile(r"[\[\]:*?/\\\x00-\x1f]")
_BOLD: Final = Font(bold=True)
_GREY: Final = PatternFill("solid", fgColor="FFE0E0E0")
_WIDE: Final = frozenset("WF")
_SAFE: Final = frozenset({int, bool, type(None)})


class ExcelWriter:
    """Writes rows to worksheets of a draft. All calls block."""

    def __init__(self, draft: Draft, zone: ZoneInfo | None = None) -> None:
        """Times are written as they are in `zone`, by default UTC, as Excel knows no zones."""
        self._draft = draft
        self._zone = zone or UTC
        self._book = Workbook(write_only=True)
        self._titles: set[str] = set()
        self._sheets: list[_Sheet] = []
        draft.closing.callback(self._close)
        self.shortened = 0
        """Texts that were longer than a cell holds."""

    @property
    def worksheets(self) -> int:
        return len(self._book.worksheets)

    def add_sheet(self, title: str, header: Sequence[str]) -> int:
        """A further worksheet, named `title` as far as Excel allows; answers its number."""
        self._sheets.append(_Sheet(self, title, [self.cell(name) for name in header]))
        return len(self._sheets) - 1

    def write(self, sheet: int, rows: Sequence[Sequence[Any]]) -> None:
        cell = self.cell
        self._sheets[sheet].write([list(map(cell, row)) for row in rows])

    def end(self) -> None:
        """Ends the workbook. The draft gets its content here."""
        for sheet in self._sheets:
            sheet.write(())
        for worksheet in self._book.worksheets:
            ALL_TEMP_FILES.append(cast("Any", worksheet)._writer.out)  # noqa: SLF001  (openpyxl removes it)
        with ZipFile(cast("IO[bytes]", self._draft), "w", ZIP_DEFLATED, compresslevel=COMPRESSION) as archive:
            Archiver(self._book, archive).write_data()

    def _close(self) -> None:
        """Ends the worksheets of a workbook that is given up: openpyxl's writers complain when they are dropped."""
        for worksheet in self._book.worksheets:
            with suppress(Exception):  # the disk may be full, for instance; what they have written is thrown away
                if not worksheet.closed:
                    worksheet.close()

    def cell(self, value: Any) -> Any:
        """A value as openpyxl takes it, typed where Excel has a type for it."""
        kind = type(value)
        if kind is str:
            return self._text(value) if value else None
        if kind in _SAFE:
            return value if kind is not int or abs(value) < _MOST_DIGITS else str(value)
        if kind is float:
            return value if math.isfinite(value) else str(value)
        if kind is datetime:
            local = value.astimezone(self._zone).replace(tzinfo=None) if value.tzinfo else value
            return local if local.year >= _FIRST_YEAR else local.isoformat()
        if kind is date:
            return value if value.year >= _FIRST_YEAR else value.isoformat()
        return value if kind is time else self._text(str(cell_text(value)))

    def _text(self, value: str) -> str:
        text = inert(value)
        if len(text) > MAX_TEXT:
            self.shortened += 1
            text = text[: MAX_TEXT - 1] + "…"
        return _NO_XML.sub("\ufffd", text) if _NO_XML.search(text) else text

    def new_worksheet(self, title: str, widths: Sequence[float]) -> Any:
        """An openpyxl worksheet, whose types miss what streaming ones have."""
        worksheet: Any = self._book.create_sheet(self._free_title(title))
        worksheet.freeze_panes = "A2"
        for place, width in enumerate(widths, start=1):
            worksheet.column_dimensions[get_column_letter(place)].width = width
        # openpyxl would put the sheet's rows into the system's folder for temporary files, where a killed worker leaves them.
        rows = WorksheetWriter(worksheet, str(self._draft.folder / f"sheet{self.worksheets}"))
        rows.write_top()
        worksheet._writer = rows  # noqa: SLF001
        return worksheet

    def _free_title(self, title: str) -> str:
        """Excel compares names of worksheets without case, and keeps some letters and one name for itself."""
        wanted = _NO_TITLE.sub(" ", title).strip(" '") or "Sheet"
        if wanted.casefold() == "history":
            wanted = "History "
        suffixes = chain([""], (f" ({number})" for number in count(2)))
        titles = (wanted[: MAX_TITLE - len(suffix)].rstrip("'") + suffix for suffix in suffixes)
        free = next(title for title in titles if title.casefold() not in self._titles)
        self._titles.add(free.casefold())
        return free


class _Sheet:
    """A table, on as many worksheets as it needs."""

    def __init__(self, writer: ExcelWriter, title: str, header: Sequence[str]) -> None:
        self._writer = writer
        self._title = title
        self._header = header
        self._widths: Sequence[float] = ()
        self._worksheet: Any = None
        self._rows = 0

    def write(self, rows: Sequence[Sequence[Any]]) -> None:
        if self._worksheet is None:
            sample = [self._header, *rows[:_SAMPLE]]
            self._widths = [_width(row[place] for row in sample) for place in range(len(self._header))]
            self._begin()
        while self._rows + len(rows) > MAX_ROWS:
            fits = MAX_ROWS - self._rows
            self._append(rows[:fits])
            rows = rows[fits:]
            self._begin()
        self._append(rows)

    def _begin(self) -> None:
        self._worksheet = worksheet = self._writer.new_worksheet(self._title, self._widths)
        cells = []
        for name in self._header:
            cell = WriteOnlyCell(worksheet, name)
            cell.font, cell.fill = _BOLD, _GREY
            cells.append(cell)
        worksheet.append(cells)
        self._rows = 1

    def _append(self, rows: Sequence[Sequence[Any]]) -> None:
        append = self._worksheet.append
        for row in rows:
            append(row)
        self._rows += len(rows)


def _width(values: Any) -> float:
    """Wide enough for most of the values, in letters."""
    longest = max((_letters(value) for value in values), default=0)
    return min(max(longest + 2, _WIDTHS[0]), _WIDTHS[1])


def _letters(value: Any) -> int:
    line = ("" if value is None else str(value))[: _WIDTHS[1]].partition("\n")[0]
    return sum(2 if unicodedata.east_asian_width(letter) in _WIDE else 1 for letter in line)
