"""Rows a second, and memory, of a table that becomes CSV, JSON and Excel: from PostgreSQL to the file in its place."""

from typing import Final

from bench import node, rows
from bench.exporting import PAYLOADS, ROWS, export
from bench.processes import Processes
from bench.run import Figures, Run

TOOLS: Final = {"csv": "fastcsv", "json": "jsonstream", "xlsx": "exceljs"}


async def measure(run: Run) -> Figures:
    figures: Figures = {}
    async with rows.database(run.place("rows"), ROWS) as address:
        for kind in PAYLOADS:
            ran = await export(run, address, kind, ROWS)
            figures |= _figures("own", kind, ROWS / ran.seconds, ran.cpu, ran.megabytes)
            if node.has(TOOLS[kind]):
                figures |= await _peer(run, address, kind)
    return figures


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
