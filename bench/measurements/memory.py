"""Whether memory stays flat over a million jobs that go in over gRPC while a worker drains them. Takes minutes."""

import asyncio
import time
from typing import Final

from bench.machine import rss_megabytes
from bench.own import Own
from bench.processes import ProgramFailedError
from bench.run import Figures, Run

JOBS: Final = 1_000_000
FILLED: Final = 200_000
"""Jobs after which memory must not grow any more: until then the store fills with the 100,000 that it keeps."""
MINUTES: Final = 15


async def measure(run: Run) -> Figures:
    async with run.own("memory") as own:
        pids = {"service": await own.service(), "valkey": own.server.pid}
        (pids["worker"],) = await own.workers(1)
        flood = asyncio.create_task(own.processes.load("flood", JOBS, seconds=60 * MINUTES))
        began = time.perf_counter()
        filled = last = await _sample(own, pids, FILLED)
        for done in range(2 * FILLED, JOBS + 1, FILLED):
            last = await _sample(own, pids, done)
        seconds = time.perf_counter() - began
        await flood
    figures = {"own.million_rate": JOBS / seconds}
    for name in pids:
        figures |= {f"own.million_{name}_mb": last[name], f"own.million_{name}_growth": last[name] / filled[name]}
    return figures


async def _sample(own: Own, pids: dict[str, int], jobs: int) -> dict[str, float]:
    """What each process holds once so many jobs have ended."""
    deadline = time.monotonic() + 60 * MINUTES
    while await own.ended() < jobs:
        if time.monotonic() > deadline:
            raise ProgramFailedError(f"{jobs} jobs had not ended within {MINUTES} minutes")
        await asyncio.sleep(0.2)
    sample = {name: rss_megabytes(pid) for name, pid in pids.items()}
    print(
        f"  {jobs:>9,} jobs",
        *(f"{name} {megabytes:.0f} MB" for name, megabytes in sample.items()),
        sep="  ",
        flush=True,
    )
    return sample
