"""What callers and workers pay in a small and in a large queue, in pairs of runs."""

import statistics
import time
from collections.abc import Awaitable, Callable
from typing import Final

from bench.scale.desk import QUEUE, Desk, job
from engine.jobs import JobQuery, Outcome, Settlement

PAIRS: Final = 7
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


async def compare(small: Desk, large: Desk, operation: Measured) -> tuple[float, float, float]:
    """Medians over the pairs: seconds in the small queue, in the large one, and large to small.

    Within a pair both take turns, so that whatever else the machine does meets both.
    """
    pairs = []
    for _ in range(PAIRS):
        samples: tuple[list[float], list[float]] = ([], [])
        for _ in range(REPEATS):
            for desk, taken in zip((small, large), samples, strict=True):
                taken.append(await operation(desk))
        pairs.append((statistics.median(samples[0]), statistics.median(samples[1])))
    few, many = (statistics.median(pair[place] for pair in pairs) for place in (0, 1))
    return few, many, statistics.median(large / small for small, large in pairs)


async def _seconds(call: Awaitable[object]) -> float:
    began = time.perf_counter()
    await call
    return time.perf_counter() - began
