"""Rows a second, and memory, of a table that becomes CSV, JSON and Excel: from PostgreSQL to the file in its place."""

from collections.abc import Mapping
from typing import Final

from google.protobuf.message import Message
from qcollector.jobs.v1.export_pb2 import ExportCsv, ExportExcel, ExportJson, ExportJsonOptions, ExportQuery

from bench import node, rows
from bench.jobs import run_job
from bench.processes import Processes, ProgramFailedError
from bench.run import Figures, Run

ROWS: Final = 200_000
QUERY: Final = ExportQuery(model=rows.MODEL)
PAYLOADS: Final[Mapping[str, Message]] = {
    "csv": ExportCsv(query=QUERY, fields=rows.COLUMNS),
    "json": ExportJson(query=QUERY, fields=rows.COLUMNS, options=ExportJsonOptions(indent=0)),
    "xlsx": ExportExcel(query=QUERY, fields=rows.COLUMNS),
}
TOOLS: Final = {"csv": "fastcsv", "json": "jsonstream", "xlsx": "exceljs"}


async def measure(run: Run) -> Figures:
    figures: Figures = {}
    async with rows.database(run.place("rows"), ROWS) as address:
        for kind, payload in PAYLOADS.items():
            figures |= await _own(run, address, kind, payload, ROWS)
            if node.has(TOOLS[kind]):
                figures |= await _peer(run, address, kind)
    return figures


async def _own(run: Run, address: str, kind: str, payload: Message, count: int) -> Figures:
    async with run.own(f"export-{kind}", DATABASE_URL=address) as own:
        ran = await run_job(own, payload)
    if ran.result.metadata.record_count != count:
        raise ProgramFailedError(f"{ran.result.metadata.record_count:g} rows were exported, not {count}")
    return _figures("own", kind, count / ran.seconds, ran.cpu, ran.megabytes)


async def _peer(run: Run, address: str, kind: str) -> Figures:
    tool = TOOLS[kind]
    folder = run.place(tool)
    folder.mkdir()
    told = {
        "PEER_DATABASE": address,
        "PEER_TABLE": rows.TABLE,
        "PEER_COLUMNS": ",".join(rows.COLUMNS),
        "PEER_TIMES": ",".join(rows.TIMES),
    }
    async with Processes(folder) as processes:
        processes.environment.update(told)
        answer = await processes.run(*node.program(tool), folder / f"rows.{kind}", str(ROWS))
    return _figures(tool, kind, answer["rate"], answer["cpu"], answer["megabytes"])


def _figures(system: str, kind: str, rate: float, cpu: float, megabytes: float) -> Figures:
    return {f"{system}.{kind}_rate": rate, f"{system}.{kind}_cpu": cpu, f"{system}.{kind}_mb": megabytes}
