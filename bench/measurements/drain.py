"""How many jobs a second one worker process finishes, and two: jobs that do nothing, 50 at once in each process."""

import asyncio
import time
from dataclasses import dataclass

from bench.machine import cpu_seconds
from bench.processes import ProgramFailedError
from bench.run import Figures, Run, System

LOOK_SECONDS = 0.004
DRAIN_SECONDS = 90


@dataclass(frozen=True)
class Drain:
    """From the first jobs that were seen to be complete to the last."""

    rate: float
    worker_us: float
    """CPU time of the workers a job."""
    server_us: float
    """CPU time of Valkey a job."""


async def measure(run: Run) -> Figures:
    figures: Figures = {}
    for count in (1, 2):
        async with run.own(f"drain-{count}") as own:
            figures |= _named("own", count, await drain(own, run.jobs, count))
        for name in run.peers:
            async with run.peer(name, f"drain-{count}") as peer:
                figures |= _named(name, count, await drain(peer, run.jobs, count))
    return figures


async def drain(system: System, jobs: int, workers: int) -> Drain:
    """Fills the paused queue, lets all workers begin at one moment, and looks on until the queue is empty."""
    await system.pause()
    await system.fill(jobs)
    pids = await system.workers(workers)
    return await observed(system, jobs, pids)


async def observed(system: System, jobs: int, pids: list[int]) -> Drain:
    """Resumes the queue and looks on. Raises ProgramFailedError if the jobs do not all complete."""
    deadline = time.monotonic() + DRAIN_SECONDS
    resumed = asyncio.create_task(system.resume())
    while not (first := await system.completed()):
        await _look(deadline)
    began, worker, server = time.perf_counter(), cpu_seconds(pids), cpu_seconds([system.server.pid])
    while await system.completed() < jobs:
        await _look(deadline)
    seconds, done = time.perf_counter() - began, jobs - first
    await resumed
    return Drain(
        rate=done / seconds,
        worker_us=(cpu_seconds(pids) - worker) / done * 1e6,
        server_us=(cpu_seconds([system.server.pid]) - server) / done * 1e6,
    )


async def _look(deadline: float) -> None:
    if time.monotonic() > deadline:
        raise ProgramFailedError(f"the queue was not drained within {DRAIN_SECONDS} s")
    await asyncio.sleep(LOOK_SECONDS)


def _named(system: str, workers: int, found: Drain) -> Figures:
    return {
        f"{system}.drain_{workers}": found.rate,
        f"{system}.drain_{workers}_worker_us": found.worker_us,
        f"{system}.drain_{workers}_server_us": found.server_us,
    }
