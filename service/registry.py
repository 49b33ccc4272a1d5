"""Who works with the store, and on what: read at once, for health as for Prometheus."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from qcollector.jobs.v1.queue_pb2 import Worker

from contract.errors import JobServiceError
from engine.inspection import Inspection
from engine.jobs import QueueSnapshot
from engine.presence import SCHEDULERS, Presence
from engine.schedules import Condition, Schedules
from engine.store import Store


@dataclass(frozen=True, slots=True)
class Registered:
    """What the store tells; nothing where there is a `problem`."""

    queues: Sequence[QueueSnapshot] = ()
    workers: Sequence[Worker] = ()
    schedulers: Sequence[Worker] = ()
    schedules: Condition = field(default_factory=lambda: Condition({}, {}))
    problem: str = ""
    latency_ms: float = 0.0


class Registry:
    """Reads it anew each time."""

    def __init__(self, queues: Sequence[str], store: Store, inspection: Inspection, schedules: Schedules) -> None:
        self.queues = queues
        self._inspection = inspection
        self._schedules = schedules
        self._workers, self._schedulers = Presence(store), Presence(store, SCHEDULERS)

    async def read(self) -> Registered:
        began = time.perf_counter()
        try:
            found = await asyncio.gather(
                self._inspection.stats(self.queues),
                self._workers.workers(),
                self._schedulers.workers(),
                self._schedules.condition(),
            )
        except JobServiceError as error:
            return Registered(problem=error.message)
        return Registered(*found, latency_ms=(time.perf_counter() - began) * 1000)
