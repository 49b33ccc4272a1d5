"""Whether an export's peak memory stays flat as its rows grow to a million. Takes minutes."""

from typing import Final

from bench import rows
from bench.exporting import PAYLOADS, ROWS, export
from bench.run import Figures, Run

MANY_ROWS: Final = 1_000_000


async def measure(run: Run) -> Figures:
    figures = {}
    async with rows.database(run.place("rows"), ROWS) as address:
        few = {kind: await export(run, address, kind, ROWS) for kind in PAYLOADS}
        await rows.grow(address, MANY_ROWS)
        for kind in PAYLOADS:
            many = await export(run, address, kind, MANY_ROWS)
            figures[f"own.{kind}_growth"] = many.megabytes / few[kind].megabytes
    return figures
