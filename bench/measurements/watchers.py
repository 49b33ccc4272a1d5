"""A thousand watchers on one service process while their jobs progress: what arrives, how late, and what it costs."""

import asyncio
import time
from typing import Final

from bench.machine import cpu_seconds
from bench.processes import ProgramFailedError
from bench.run import Figures, Run

WATCHERS: Final = 1000
RATE: Final = 2000
"""Events a second over all jobs."""
SECONDS: Final = 6.0


async def measure(run: Run) -> Figures:
    ids, go = run.folder / "watched.ids", run.folder / "watched.go"
    for left in (ids, go):
        left.unlink(missing_ok=True)
    async with run.own("watchers", QUEUE_LEASE_SECONDS="300") as own, asyncio.TaskGroup() as group:
        service = await own.service()
        driver = group.create_task(own.processes.load("progress", WATCHERS, RATE, SECONDS, ids, go))
        await _until(ids.exists)
        watching = group.create_task(own.processes.load("watch", ids, go))
        await _until(go.exists)
        began, cpu = time.perf_counter(), cpu_seconds([service])
        told = (await driver)["told"]
        seconds, cpu = time.perf_counter() - began, cpu_seconds([service]) - cpu
        seen = await watching
    if seen["events"] != told or seen["ends"] != WATCHERS:
        raise ProgramFailedError(f"{told} events and {WATCHERS} ends were told, and {seen} came")
    return {
        "own.watch_rate": told / seconds,
        "own.watch_p50": seen["p50"],
        "own.watch_p99": seen["p99"],
        "own.watch_cores": cpu / seconds,
        "own.watch_us": cpu / (told + WATCHERS) * 1e6,
    }


async def _until(condition: object) -> None:
    assert callable(condition)
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.01)
