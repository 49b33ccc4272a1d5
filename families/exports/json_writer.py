"""JSON, written record by record: a document with metadata, or a line for each record."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from qcollector.jobs.v1.export_pb2 import ExportJsonOptions

from families.exports.drafts import Draft
from families.exports.values import encode_json, encode_lines

DEFAULT_INDENT: Final = 2


class JsonWriter:
    """Writes records to a draft. All calls block."""

    def __init__(self, draft: Draft, options: ExportJsonOptions) -> None:
        self._draft = draft
        self._lines = options.lines
        self._indent = 0 if options.lines else options.indent if options.HasField("indent") else DEFAULT_INDENT
        self._empty = True
        self._members = -1
        """Members so far of the list that is open within a record; -1 while none is."""

    def begin(self, metadata: Mapping[str, Any]) -> None:
        if not self._lines:
            opening = self._text({"metadata": metadata}, 0)[: -1 - len(self._break(0))]
            self._draft.write(opening + b"," + self._break(1) + b'"data":' + self._space + b"[")

    def write(self, records: Sequence[Any]) -> None:
        """Adds records that are whole."""
        if records and self._lines:
            self._draft.write(self._next_record() + encode_lines(records)[:-1])
        elif records:
            # All at once: as a list at its place in the document, without its brackets.
            listed = self._text(records, 1)
            self._draft.write(self._next_record() + listed[1 + len(self._break(2)) : -1 - len(self._break(1))])

    def open(self, record: Mapping[str, Any], member: str) -> None:
        """Begins a record whose last member is a list that comes in pieces, until the next record begins."""
        self._close()
        opening = self._text({**record, member: []}, 2)
        self._draft.write(self._next_record() + opening[: -2 - len(self._break(2))])
        self._members = 0

    def add(self, members: Sequence[Any]) -> None:
        """Adds to the list of the record that is open."""
        pieces: list[bytes] = []
        for member in members:
            pieces += (b"," if self._members else b"", self._break(4), self._text(member, 4))
            self._members += 1
        self._draft.write(b"".join(pieces))

    def _close(self) -> None:
        if self._members < 0:
            return
        self._draft.write((self._break(3) if self._members else b"") + b"]" + self._break(2) + b"}")
        self._members = -1

    def end(self) -> None:
        """Ends the file."""
        self._close()
        if self._lines:
            self._draft.write(b"" if self._empty else b"\n")
        else:
            self._draft.write((b"" if self._empty else self._break(1)) + b"]" + self._break(0) + b"}\n")

    def _next_record(self) -> bytes:
        """What stands before a record."""
        first, self._empty = self._empty, False
        if self._lines:
            return b"" if first else b"\n"
        return (b"" if first else b",") + self._break(2)

    def _text(self, value: Any, level: int) -> bytes:
        text = encode_json(value)
        if not self._indent:
            return text
        return msgspec.json.format(text, indent=self._indent).replace(b"\n", self._break(level))

    def _break(self, level: int) -> bytes:
        return b"\n" + b" " * (self._indent * level) if self._indent else b""

    @property
    def _space(self) -> bytes:
        return b" " if self._indent else b""
