"""CSV as RFC 4180 has it, with formulas made inert."""

import csv
import io
from collections.abc import Sequence
from typing import Any, Final

from qcollector.jobs.v1.export_pb2 import ExportCsvOptions

from workers.exports.drafts import Draft
from workers.exports.values import cell_text

BOM: Final = b"\xef\xbb\xbf"


class CsvWriter:
    """Writes rows to a draft. All calls block."""

    def __init__(self, draft: Draft, header: Sequence[str], options: ExportCsvOptions) -> None:
        self._draft = draft
        self._header = header if options.include_header or not options.HasField("include_header") else None
        self._bom = options.encoding == "utf8-bom"
        self._dialect: dict[str, Any] = {
            "delimiter": options.delimiter or ",",
            "quotechar": options.quote or '"',
            "quoting": csv.QUOTE_ALL if options.quote_all else csv.QUOTE_MINIMAL,
            "lineterminator": "\r\n",
        }

    def begin(self) -> None:
        if self._bom:
            self._draft.write(BOM)
        if self._header is not None:
            self.write([self._header])

    def write(self, rows: Sequence[Sequence[Any]]) -> None:
        buffer = io.StringIO(newline="")
        csv.writer(buffer, **self._dialect).writerows([list(map(cell_text, row)) for row in rows])
        self._draft.write(buffer.getvalue().encode())
