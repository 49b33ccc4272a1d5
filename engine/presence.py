"""Which worker processes live: each reports itself every few seconds."""

from google.protobuf.timestamp_pb2 import Timestamp
from qcollector.jobs.v1.queue_pb2 import Worker

from engine.store import Store

_SCOPE = "workers"
ALIVE_MS = 30_000
"""A worker that has been silent for longer no longer counts."""


class Presence:
    """The roll of workers."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def report(self, worker: Worker) -> None:
        await self._store.run("report", _SCOPE, worker.id, worker.SerializeToString())

    async def leave(self, worker_id: str) -> None:
        await self._store.run("leave", _SCOPE, worker_id)

    async def workers(self) -> list[Worker]:
        """Those that reported within the last half minute, by start."""
        rows = await self._store.run("roll", _SCOPE, ALIVE_MS)
        found = []
        for place in range(0, len(rows), 3):
            worker = Worker.FromString(rows[place + 2])
            worker.heartbeat_time.CopyFrom(_timestamp(int(float(rows[place + 1]))))
            found.append(worker)
        return sorted(found, key=lambda worker: (worker.start_time.seconds, worker.start_time.nanos, worker.id))


def _timestamp(ms: int) -> Timestamp:
    return Timestamp(seconds=ms // 1000, nanos=ms % 1000 * 1_000_000)
