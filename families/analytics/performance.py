"""How the job engine did, by its own counts."""

from collections.abc import Callable, Sequence
from typing import Final

from qcollector.jobs.v1.analytics_pb2 import EnginePerformance

from engine.jobs import QueueSnapshot, State
from workers.job_engine import JobEngine

_MINUTE: Final = 60


async def engine_performance(engine: JobEngine) -> EnginePerformance:
    """All queues together.

    Raises:
      StoreUnavailableError: the store is away.
    """
    queues = await engine.inspection.stats(engine.queues)
    times = await engine.inspection.run_times(engine.queues)
    completed = _sum(queues, lambda queue: queue.totals[State.COMPLETED])
    failed = _sum(queues, lambda queue: queue.totals[State.FAILED])
    error_rate = 100 * failed / (completed + failed) if failed else 0.0
    return EnginePerformance(
        average_response_time_ms=times.p50,
        success_rate=100 - error_rate,
        error_rate=error_rate,
        jobs_per_second=_sum(queues, lambda queue: queue.completed_per_minute + queue.failed_per_minute) / _MINUTE,
        backlog=int(_sum(queues, lambda queue: queue.counts[State.WAITING])),
    )


def _sum(queues: Sequence[QueueSnapshot], value: Callable[[QueueSnapshot], float]) -> float:
    return sum(map(value, queues))
