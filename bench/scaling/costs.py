"""What each step of a plain job costs the process that takes it, in seconds of a processor."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.machine import cpu_seconds
from bench.measurements.drain import observed
from bench.own import CONCURRENCY, Own, own
from bench.scale.desk import Desk, desk, job
from bench.scale.plain_job import Rounds, script_seconds

PAYLOAD_BYTES: Final = 200
JOBS: Final = 20_000
SECONDS: Final = 4.0
_CALLS: Final = 60


@dataclass(frozen=True)
class Script:
    """What a script costs: each call, and each job in it."""

    call: float
    job: float

    def of(self, jobs: int) -> float:
        return self.call + self.job * jobs


@dataclass(frozen=True)
class Costs:
    """Of one kind of machine."""

    unary: float
    """Of a service, for a job that comes in a call of its own."""
    row: float
    """Of a service, for a job of a batch."""
    run: float
    """Of a worker, for a job that does nothing."""
    enqueue: Script
    claim: Script
    """Of the store; each job is settled in the call that claims the next ones."""
    held_bytes: float
    """Of the store's memory, for a job that waits."""


async def measured(folder: Path) -> Costs:
    """The costs on this machine, which should have nothing else to do."""
    async with desk(folder / "store") as empty:
        before = await _used(empty)
        await empty.fill(JOBS, PAYLOAD_BYTES)
        held = (await _used(empty) - before) / JOBS
        enqueue = await _script(empty, lambda jobs: empty.add(*(job(PAYLOAD_BYTES) for _ in range(jobs))), 200)
        claim = await _script(empty, Rounds(empty).run, CONCURRENCY)
    async with own(folder / "processes") as system:
        service = await system.service()
        await system.pause()
        unary = await _cost_of(system, service, "unary", 64, SECONDS)
        row = await _cost_of(system, service, "batch", JOBS, 1)
        pids = await system.workers(1)
        waiting = await system.waiting()
        run = (await observed(system, waiting, pids)).worker_us / 1e6
    return Costs(unary, row, run, enqueue, claim, held)


async def _cost_of(system: Own, service: int, *load: object) -> float:
    """Seconds of the service for each job of a load on the paused queue."""
    began, waiting = cpu_seconds([service]), await system.waiting()
    await system.processes.load("enqueue", *load)
    return (cpu_seconds([service]) - began) / (await system.waiting() - waiting)


async def _script(desk: Desk, work: Callable[[int], Awaitable[object]], many: int) -> Script:
    """Of calls for one job and for many, the quickest each."""
    times = {}
    for jobs in (1, many):
        await work(jobs)
        taken = []
        for _ in range(_CALLS):
            await script_seconds(desk)
            await work(jobs)
            taken.append(await script_seconds(desk))
        times[jobs] = min(taken)
    each = max((times[many] - times[1]) / (many - 1), 0.0)
    return Script(max(times[1] - each, 0.0), each)


async def _used(desk: Desk) -> float:
    return float((await desk.server.client.info("memory"))["used_memory"])
