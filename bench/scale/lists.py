"""How much of their rate enqueues keep while another process lists without pause.

`python -m bench.scale.lists URL CALLS` is that other process.
"""

import asyncio
import statistics
import sys
import time
from pathlib import Path
from typing import Final

import uvloop

from bench.processes import Processes
from bench.scale.desk import QUEUE, Desk, job, on
from bench.scale.growth import PAGE, PAYLOAD_BYTES
from engine.inspection import Inspection
from engine.jobs import JobQuery

CALLS: Final = 64
READY: Final = "listing"
PAIRS: Final = 7
WINDOW_SECONDS: Final = 2.0
_SEARCHES: Final = (JobQuery(), JobQuery(owner="owner7"), JobQuery(owner="nobody"), JobQuery(text="held by no job"))


async def kept_share(desk: Desk, folder: Path) -> tuple[float, float, float]:
    """Medians over the pairs: enqueues per second alone, beside the lists, and the share of the rate that is kept."""
    folder.mkdir(parents=True)
    pairs = []
    for _ in range(PAIRS):
        alone = await _rate(desk)
        async with Processes(folder) as processes:
            command = (sys.executable, "-m", "bench.scale.lists", desk.server.url, str(CALLS))
            await processes.start("lists", *command, ready=READY)
            pairs.append((alone, await _rate(desk)))
    alone, beside = (statistics.median(pair[place] for pair in pairs) for place in (0, 1))
    return alone, beside, statistics.median(beside / alone for alone, beside in pairs)


async def _rate(desk: Desk) -> float:
    """Of a caller that enqueues one job after the other."""
    count, began = 0, time.perf_counter()
    while (took := time.perf_counter() - began) < WINDOW_SECONDS:
        await desk.intake.enqueue(job(PAYLOAD_BYTES))
        count += 1
    return count / took


async def _list(inspection: Inspection, first: int) -> None:
    for number in range(first, sys.maxsize):
        await inspection.page(QUEUE, _SEARCHES[number % len(_SEARCHES)], "", PAGE)


async def main(url: str, calls: int) -> None:
    async with on(url) as (_, store):
        inspection = Inspection(store, {})
        async with asyncio.TaskGroup() as group:
            for number in range(calls):
                group.create_task(_list(inspection, number))
            await asyncio.sleep(1)
            print(READY, flush=True)


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], int(sys.argv[2])))
