"""What the parts of a health check find, each a pure answer about what was read."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

from qcollector.jobs.v1.queue_pb2 import HealthCheck, Worker

from engine.jobs import QueueSnapshot
from engine.presence import unserved
from engine.schedules import Condition

HEALTHY, DEGRADED, UNHEALTHY, DISABLED = "healthy", "degraded", "unhealthy", "disabled"

OVERDUE_SECONDS: Final = 60
"""How long a slot may be past before that is a fault."""
_FILE_QUEUES: Final = ("file:", "export:")
"""Whoever serves them works on the storage roots."""
_NAMED: Final = 3


class Remembered:
    """A check whose answer is kept for a while, so that probes are no load; those who ask at one time share it."""

    def __init__(self, look: Callable[[], Awaitable[HealthCheck]]) -> None:
        self._look = look
        self._task: asyncio.Future[HealthCheck] | None = None
        self._ended = 0.0

    async def answer(self, seconds: float) -> HealthCheck:
        """What was found within the last so many seconds, or now."""
        task = self._task
        if task is None or (task.done() and time.monotonic() > self._ended + seconds):
            task = self._task = asyncio.ensure_future(self._timed())
        return await asyncio.shield(task)

    async def _timed(self) -> HealthCheck:
        found = await self._look()
        self._ended = time.monotonic()
        return found


async def briefly(check: Awaitable[HealthCheck], name: str, who: str, seconds: float) -> HealthCheck:
    """The check's answer, which no fault of it makes worse than degraded; that it takes too long is one."""
    try:
        async with asyncio.timeout(seconds):
            found = await check
    except TimeoutError:
        reason = f"{who} did not answer within {seconds} s"
        return HealthCheck(name=name, status=DEGRADED, reason=reason, latency_ms=seconds * 1000)
    status = DEGRADED if found.status == UNHEALTHY else found.status
    return HealthCheck(name=name, status=status, reason=found.reason, latency_ms=found.latency_ms)


def of_workers(queues: Sequence[QueueSnapshot], workers: Sequence[Worker], latency: float) -> HealthCheck:
    idle = unserved(queues, workers)
    reason = f"no worker serves {', '.join(idle)}, where jobs wait" if idle else ""
    return _check("workers", reason, latency)


def of_schedulers(schedulers: Sequence[Worker], schedules: Condition, latency: float) -> HealthCheck:
    reasons = []
    if not schedulers:
        reasons.append("no scheduler reports, so that no schedule fires: start `qjobs scheduler`, or look at its log")
    elif late := sorted(name for name, seconds in schedules.overdue.items() if seconds > OVERDUE_SECONDS):
        names = _first(late, ", ")
        reasons.append(f"the scheduler stands still: {names} should have fired; look at its log")
    if faults := [f"schedule {name} cannot fire: {cause}" for name, cause in sorted(schedules.faults.items())]:
        reasons.append(_first(faults, "; "))
    return _check("scheduler", "; ".join(reasons), latency)


def _first(texts: Sequence[str], between: str) -> str:
    more = f" and {len(texts) - _NAMED} more" if len(texts) > _NAMED else ""
    return between.join(texts[:_NAMED]) + more


def of_storage(
    problems: Sequence[str], own: Mapping[str, str], workers: Sequence[Worker], latency: float
) -> HealthCheck:
    """`own` are the ids of the service's storage roots, by variable."""
    return _check("storage", "; ".join([*problems, *_unshared(own, workers)]), latency)


def _unshared(own: Mapping[str, str], workers: Sequence[Worker]) -> list[str]:
    """The workers on other hosts that work on files, and see other folders than the service."""
    problems = []
    for worker in workers:
        if not any(queue.queue_name.startswith(_FILE_QUEUES) for queue in worker.queues):
            continue
        theirs = worker.storage_ids
        apart = [variable for variable, mark in own.items() if mark and variable in theirs and theirs[variable] != mark]
        if apart:
            problems.append(
                f"worker {worker.id} does not share {', '.join(apart)} with the service: mount the same volume on all hosts"
            )
    return problems


def _check(name: str, reason: str, latency: float) -> HealthCheck:
    return HealthCheck(name=name, status=DEGRADED if reason else HEALTHY, reason=reason, latency_ms=latency)
