"""The way of an export from its start to its file: a draft, rows written off the event loop, a place, a description."""

import math
import secrets
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, TypeVar

import anyio
from anyio import to_thread
from google.protobuf.timestamp_pb2 import Timestamp
from qcollector.jobs.v1.export_pb2 import ExportMetadata

from base.output_names import Maker, NamesTakenError, maker
from base.storage import StoragePathError, StorageRoots
from families.exports.drafts import Draft
from families.exports.excel_writer import ExcelWriter
from families.exports.places import export_place
from families.exports.sheet_xml import MAX_TEXT
from workers.context import JobContext
from workers.outcomes import FailForGood

R = TypeVar("R")

FIRST, LAST = 5.0, 90.0
"""Progress in percent as the first and the last row are written."""


@dataclass(frozen=True, slots=True)
class Format:
    """A kind of file."""

    word: str
    suffix: str
    content_type: str


CSV: Final = Format("CSV", ".csv", "text/csv; charset=utf-8")
JSON: Final = Format("JSON", ".json", "application/json")
JSON_LINES: Final = Format("JSON", ".jsonl", "application/x-ndjson")
EXCEL: Final = Format("Excel", ".xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet")


async def off_loop(function: Callable[..., R], *arguments: Any) -> R:
    """Runs what takes long in a thread, which a cancelled job waits for: so it takes as long as one chunk, at most."""
    return await to_thread.run_sync(function, *arguments)


class Making:
    """One export. What it cannot finish leaves nothing behind."""

    def __init__(self, job: JobContext, kind: Format, place: Path, by: Maker) -> None:
        self.job = job
        self.kind = kind
        self._place = place
        self._by = by
        self.draft = Draft(job.settings.root("export"), job.job_id, job.starts)
        self._began = time.monotonic()

    @property
    def elapsed(self) -> float:
        """Milliseconds."""
        return (time.monotonic() - self._began) * 1000

    async def progress(self, done: int, total: int) -> None:
        """Tells how many of the rows are written."""
        share = min(done / total, 1.0) if total else 1.0
        await self.job.progress(FIRST + (LAST - FIRST) * share, f"{done} of {total} rows")

    async def publish(
        self, records: int, columns: Sequence[str], *, workbook: ExcelWriter | None = None
    ) -> ExportMetadata:
        """Puts the file in its place, and answers what is to be told of it."""
        await self.job.progress(95, "publishing")
        now = datetime.now(UTC)
        expires = now + timedelta(days=self.job.settings.export_retention_days)
        record = StorageRoots(self.job.settings).record(self._place)
        try:
            place: Path = await off_loop(self.draft.publish, self._place, expires.timestamp(), record, self._by)
        except NamesTakenError as error:
            raise FailForGood(f"outputPath: {error}") from error
        if place != self._place:
            await self.job.say(f"another file is at {self._place}: this export is at {place}")
        metadata = ExportMetadata(
            record_count=records,
            file_size=self.draft.size,
            file_path=str(place),
            fields=columns,
            generate_time=_timestamp(now),
            format=self.kind.word,
            file_name=place.name,
            content_type=self.kind.content_type,
            sha256=self.draft.sha256,
            expire_time=_timestamp(expires),
        )
        if workbook is not None:
            metadata.worksheet_count = workbook.worksheets
            await self._tell_truncated(workbook, metadata)
        return metadata

    async def _tell_truncated(self, workbook: ExcelWriter, metadata: ExportMetadata) -> None:
        if not workbook.truncated:
            return
        metadata.truncated_cells = workbook.truncated
        metadata.truncated_places.extend(workbook.places)
        more = ", …" if workbook.truncated > len(workbook.places) else ""
        cells = "cell" if workbook.truncated == 1 else "cells"
        await self.job.say(
            f"truncated to {MAX_TEXT:,} characters, the most that Excel allows: {workbook.truncated} {cells} "
            f"({', '.join(workbook.places)}{more}); CSV and JSON hold the whole text"
        )


@asynccontextmanager
async def making(job: JobContext, kind: Format, *, path: str = "", stem: str) -> AsyncIterator[Making]:
    """Begins an export whose file goes to `path`, or else below EXPORT_DIR under a name that begins with `stem`.

    Raises:
      FailForGood: the file may not go there.
    """
    await job.progress(1, "starting")
    by = maker(job.queue, job.job_id, *(("export", job.caller.id) if path else ()))
    made = Making(job, kind, await _place(job, kind, path, stem), by)
    try:
        await off_loop(made.draft.open)
        yield made
    finally:
        with anyio.CancelScope(shield=True):
            await off_loop(made.draft.discard)


async def _place(job: JobContext, kind: Format, path: str, stem: str) -> Path:
    """Where the file goes. A made-up name is kept with the job, so that a further start replaces what this one leaves."""
    if not path:
        path = job.checkpoint_data.decode()
    if not path:
        name = f"{stem}_{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}{kind.suffix}"
        path = str(job.settings.root("export") / name)
        await job.checkpoint(path.encode())
    try:
        return await off_loop(export_place, StorageRoots(job.settings), path)
    except StoragePathError as error:
        raise FailForGood(f"outputPath: {error}") from error


def _timestamp(moment: datetime) -> Timestamp:
    timestamp = Timestamp()
    timestamp.FromNanoseconds(math.floor(moment.timestamp() * 1000) * 1_000_000)
    return timestamp
