"""Which worker and scheduler processes live: each reports itself every few seconds."""

from collections.abc import Sequence
from typing import Final

from qcollector.jobs.v1.queue_pb2 import Worker

from engine.jobs import QueueSnapshot
from engine.schema import ReportRow, rows_of
from engine.store import Store

WORKERS: Final = "workers"
SCHEDULERS: Final = "schedulers"
ALIVE_MS = 30_000
"""A worker that has been silent for longer no longer counts."""
UNSERVED_SECONDS: Final = 15
"""How long ready jobs may wait for a worker that serves their queue before that is a fault."""


class Presence:
    """The roll of workers, or of schedulers."""

    def __init__(self, store: Store, kind: str = WORKERS) -> None:
        self._store = store
        self._scope = kind

    async def report(self, worker: Worker) -> None:
        await self._store.run("report", self._scope, worker.id, worker.SerializeToString())

    async def leave(self, worker_id: str) -> None:
        await self._store.run("leave", self._scope, worker_id)

    async def workers(self) -> list[Worker]:
        """Those that reported within the last half minute, by start."""
        rows = await self._store.run("roll", self._scope, ALIVE_MS)
        found = []
        for row in rows_of(ReportRow, rows):
            worker = Worker.FromString(row.report)
            worker.heartbeat_time.FromMilliseconds(int(float(row.spoke)))
            found.append(worker)
        return sorted(found, key=lambda worker: (worker.start_time.seconds, worker.start_time.nanos, worker.id))


def unserved(queues: Sequence[QueueSnapshot], workers: Sequence[Worker]) -> list[str]:
    """The queues whose ready jobs no worker will take."""
    served = {queue.queue_name for worker in workers if not worker.draining for queue in worker.queues}
    return [
        queue.name
        for queue in queues
        if queue.name not in served and not queue.paused and queue.oldest_waiting_age > UNSERVED_SECONDS * 1000
    ]
