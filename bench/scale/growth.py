"""What callers and workers pay in queues of several sizes, in rounds that take all of them in turn."""

import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from bench.scale.desk import QUEUE, Desk, job
from engine.jobs import JobQuery, Outcome, Settlement

ROUNDS: Final = 7
REPEATS: Final = 60
PAYLOAD_BYTES: Final = 200
PAGE: Final = 50

Measured = Callable[[Desk], Awaitable[float]]


async def _stats(desk: Desk) -> float:
    return await _seconds(desk.inspection.stats([QUEUE]))


async def _enqueue(desk: Desk) -> float:
    return await _seconds(desk.intake.enqueue(job(PAYLOAD_BYTES)))


async def _claim(desk: Desk) -> float:
    worker = desk.worker()
    began = time.perf_counter()
    claimed = (await worker.claim(1)).jobs
    took = time.perf_counter() - began
    await worker.settle([Settlement(one.id, one.fence, Outcome.RELEASE) for one in claimed], 0)
    return took


async def _first_page(desk: Desk) -> float:
    return await _seconds(desk.inspection.page(QUEUE, JobQuery(), "", PAGE))


async def _owners_page(desk: Desk) -> float:
    return await _seconds(desk.inspection.page(QUEUE, JobQuery(owner="owner7"), "", PAGE))


OPERATIONS: Final[dict[str, Measured]] = {
    "stats": _stats,
    "enqueue": _enqueue,
    "claim": _claim,
    "first page": _first_page,
    "an owner's page": _owners_page,
}


async def compare(desks: Sequence[Desk], operation: Measured) -> tuple[list[float], float]:
    """Medians over the rounds: seconds in each queue, and those in the last to those in the first.

    Within a round all take turns, so that whatever else the machine does meets all.
    """
    rounds = []
    for _ in range(ROUNDS):
        samples: list[list[float]] = [[] for _ in desks]
        for _ in range(REPEATS):
            for desk, taken in zip(desks, samples, strict=True):
                taken.append(await operation(desk))
        rounds.append([statistics.median(taken) for taken in samples])
    medians = [statistics.median(column) for column in zip(*rounds, strict=True)]
    return medians, statistics.median(one[-1] / one[0] for one in rounds)


async def _seconds(call: Awaitable[object]) -> float:
    began = time.perf_counter()
    await call
    return time.perf_counter() - began
