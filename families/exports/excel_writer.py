"""Excel workbooks, streamed: openpyxl makes the workbook, `sheet_xml` the rows. Typed cells, a header that stays in view."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time, tzinfo
from io import BytesIO
from itertools import chain, count
from pathlib import Path
from shutil import copyfileobj
from typing import IO, Any, Final, cast
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.styles import Font, PatternFill
from openpyxl.utils import get_column_letter
from openpyxl.worksheet._writer import WorksheetWriter
from openpyxl.writer.excel import ExcelWriter as Archiver

from families.exports.drafts import Draft
from families.exports.sheet_xml import SHOWN, RowsXml, Styles
from families.exports.values import cell_text

MAX_ROWS: Final = 1_048_576
"""Of a worksheet, its header included."""
MAX_TITLE: Final = 31
COMPRESSION: Final = 4
"""Half the time of zlib's default for files that are a few percent larger."""

_WIDTHS: Final = (10, 60)
_SAMPLE: Final = 100
"""Rows that a column's width is taken from."""
_MOMENT: Final = "2026-01-31 10:00:00"
"""As wide as moments are shown."""
_NO_TITLE: Final = re.compile(r"[\[\]:*?/\\\x00-\x1f]")
_NO_ROWS: Final = re.compile(rb"<sheetData\s*/>|<sheetData></sheetData>")
_BOLD: Final = Font(bold=True)
_GREY: Final = PatternFill("solid", fgColor="FFE0E0E0")
_WIDE: Final = frozenset("WF")
_CHUNK: Final = 1024 * 1024


class ExcelWriter:
    """Writes rows to worksheets of a draft. All calls block."""

    def __init__(self, draft: Draft, zone: tzinfo = UTC) -> None:
        """Times are written as they are in `zone`, as Excel knows no zones."""
        self._draft = draft
        self._book = Workbook(write_only=True)
        self._titles: set[str] = set()
        self._tables: list[_Table] = []
        self._files: dict[str, _SheetFile] = {}
        """By the titles of worksheets."""
        self.header_style, styles = _styles(self._book)
        self.xml: Final = RowsXml(zone, styles)
        self.places: list[str] = []
        """The first truncated cells, such as "Submissions!C12"."""
        draft.closing.callback(self._close)

    @property
    def worksheets(self) -> int:
        return len(self._files)

    @property
    def truncated(self) -> int:
        """Cells whose text was longer than Excel allows."""
        return self.xml.truncated

    def add_sheet(self, title: str, header: Sequence[str]) -> int:
        """A further table, on a worksheet named `title` as far as Excel allows; answers its number."""
        self._tables.append(_Table(self, title, header))
        return len(self._tables) - 1

    def write(self, sheet: int, rows: Sequence[Sequence[Any]]) -> None:
        self._tables[sheet].write(rows)

    def end(self) -> None:
        """Ends the workbook. The draft gets its content here."""
        for table in self._tables:
            table.write(())
        for file in self._files.values():
            file.end()
        with ZipFile(cast("IO[bytes]", self._draft), "w", ZIP_DEFLATED, compresslevel=COMPRESSION) as archive:
            _Archiver(self._book, archive, self._files).write_data()

    def _close(self) -> None:
        for file in self._files.values():
            file.close()

    def new_worksheet(self, title: str, widths: Sequence[float]) -> "_SheetFile":
        worksheet: Any = self._book.create_sheet(self._free_title(title))
        worksheet.freeze_panes = "A2"
        for place, width in enumerate(widths, start=1):
            worksheet.column_dimensions[get_column_letter(place)].width = width
        path = self._draft.folder / f"sheet{len(self._files) + 1}"
        self._files[worksheet.title] = file = _SheetFile(path, worksheet.title, *_around_rows(worksheet))
        return file

    def write_rows(self, file: "_SheetFile", first: int, rows: Sequence[Sequence[Any]], style: int = 0) -> None:
        """Writes rows, the first of which is row number `first`."""
        file.write(self.xml.rows(first, rows, style))
        self.places += [f"{file.title}!{place}" for place in self.xml.places[: SHOWN - len(self.places)]]
        self.xml.places.clear()

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


class _Table:
    """A header and rows, on as many worksheets as they need."""

    def __init__(self, writer: ExcelWriter, title: str, header: Sequence[str]) -> None:
        self._writer = writer
        self._title = title
        self._header = header
        self._widths: Sequence[float] = ()
        self._file: _SheetFile | None = None
        self._rows = 0

    def write(self, rows: Sequence[Sequence[Any]]) -> None:
        if self._file is None:
            sample = [self._header, *rows[:_SAMPLE]]
            self._widths = [_width(row[place] for row in sample) for place in range(len(self._header))]
            self._file = self._begin()
        while self._rows + len(rows) > MAX_ROWS:
            fits = MAX_ROWS - self._rows
            self._append(self._file, rows[:fits])
            rows = rows[fits:]
            self._file = self._begin()
        self._append(self._file, rows)

    def _begin(self) -> "_SheetFile":
        file = self._writer.new_worksheet(self._title, self._widths)
        self._writer.write_rows(file, 1, [self._header], self._writer.header_style)
        self._rows = 1
        return file

    def _append(self, file: "_SheetFile", rows: Sequence[Sequence[Any]]) -> None:
        if rows:
            self._writer.write_rows(file, self._rows + 1, rows)
            self._rows += len(rows)


class _SheetFile:
    """The XML of one worksheet, below the draft's folder: its rows between openpyxl's head and tail."""

    def __init__(self, path: Path, title: str, head: bytes, tail: bytes) -> None:
        self.path = path
        self.title = title
        self._tail = tail
        self._file = path.open("wb")
        self.close = self._file.close
        self.write = self._file.write
        self.write(head + b"<sheetData>")

    def end(self) -> None:
        self.write(b"</sheetData>" + self._tail)
        self.close()


class _Archiver(Archiver):
    """Packs a workbook whose worksheets are files already."""

    _archive: ZipFile
    manifest: Any

    def __init__(self, book: Workbook, archive: ZipFile, files: dict[str, _SheetFile]) -> None:
        super().__init__(book, archive)
        self._files = files

    def write_worksheet(self, ws: Any) -> None:
        path = self._files[ws.title].path
        entry = ZipInfo.from_file(path, ws.path[1:])
        entry.compress_type = ZIP_DEFLATED
        entry._compresslevel = COMPRESSION  # type: ignore[attr-defined]  # noqa: SLF001  (its only name in 3.11)
        with path.open("rb") as source, self._archive.open(entry, "w") as target:
            copyfileobj(source, target, _CHUNK)
        path.unlink()
        self.manifest.append(ws)


def _styles(book: Workbook) -> tuple[int, Styles]:
    """The style of headers, and those of times, which openpyxl gives to cells by what they hold."""
    worksheet: Any = book.create_sheet()
    samples: Sequence[Any] = (datetime(2026, 1, 1), date(2026, 1, 1), time())  # noqa: DTZ001  (only their kind counts)
    kinds = [WriteOnlyCell(worksheet, sample).style_id for sample in samples]
    header: Any = WriteOnlyCell(worksheet)
    header.font, header.fill = _BOLD, _GREY
    book.remove(worksheet)
    return header.style_id, Styles(*kinds)


def _around_rows(worksheet: Any) -> Sequence[bytes]:
    """What openpyxl writes before and after the rows of a worksheet."""
    content = BytesIO()
    worksheet._writer = writer = WorksheetWriter(worksheet, cast("Any", content))  # noqa: SLF001
    writer.write_top()
    worksheet.close()
    return _NO_ROWS.split(content.getvalue(), maxsplit=1)


def _width(values: Iterable[Any]) -> float:
    """Wide enough for most of the values, in letters."""
    longest = max((_letters(value) for value in values), default=0)
    return min(max(longest + 2, _WIDTHS[0]), _WIDTHS[1])


def _letters(value: Any) -> int:
    shown = _MOMENT if isinstance(value, datetime) else cell_text(value)
    line = shown[: _WIDTHS[1]].partition("\n")[0]
    return sum(2 if unicodedata.east_asian_width(letter) in _WIDE else 1 for letter in line)
