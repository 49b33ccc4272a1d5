"""One export of the table of rows, as a whole job of a worker process."""

from collections.abc import Mapping
from typing import Final

from google.protobuf.message import Message
from qcollector.jobs.v1.export_pb2 import ExportCsv, ExportExcel, ExportJson, ExportJsonOptions, ExportQuery

from bench import rows
from bench.jobs import Ran, run_job
from bench.processes import ProgramFailedError
from bench.run import Run

ROWS: Final = 200_000
QUERY: Final = ExportQuery(model=rows.MODEL)
PAYLOADS: Final[Mapping[str, Message]] = {
    "csv": ExportCsv(query=QUERY, fields=rows.COLUMNS),
    "json": ExportJson(query=QUERY, fields=rows.COLUMNS, options=ExportJsonOptions(indent=0)),
    "xlsx": ExportExcel(query=QUERY, fields=rows.COLUMNS),
}


async def export(run: Run, address: str, kind: str, count: int) -> Ran:
    """Exports all of the table, which must be so many rows, by a worker of its own."""
    async with run.own(f"export-{kind}-{count}", DATABASE_URL=address) as own:
        ran = await run_job(own, PAYLOADS[kind])
    if ran.result.metadata.record_count != count:
        raise ProgramFailedError(f"{ran.result.metadata.record_count:g} rows were exported, not {count}")
    return ran
