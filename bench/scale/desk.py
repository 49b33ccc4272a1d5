"""The engine's parts in this process, on an empty Valkey of their own."""

import contextlib
import itertools
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from qcollector.jobs.storage.v1.storage_pb2 import JobEnvelope

from base.settings import Settings, load
from bench.processes import Processes
from bench.servers import Valkey, valkey
from contract.catalog import load_catalog
from contract.new_job import NewJob
from engine.claims import Claims
from engine.inspection import Inspection
from engine.intake import Intake
from engine.jobs import Enqueued
from engine.steering import Steering
from engine.store import Store

QUEUE: Final = "test:work"
TYPE: Final = "noop"
OWNERS: Final = 100
_BATCH_BYTES: Final = 20_000_000
_BATCH: Final = 1000
_numbers = itertools.count()


def job(size: int, **fields: Any) -> NewJob:
    """A job with a payload of `size` bytes, which belongs to each of the owners in turn; `fields` as NewJob names them."""
    number = next(_numbers)
    envelope = JobEnvelope(id=f"job{number:08d}", queue_name=QUEUE, job_type=TYPE, payload=b"x" * size)
    told = {"owner": f"owner{number % OWNERS}", **fields}
    return NewJob(queue=QUEUE, id=envelope.id, type=TYPE, envelope=envelope.SerializeToString(), **told)


@dataclass(frozen=True)
class Desk:
    """What callers and workers use of one store."""

    server: Valkey
    settings: Settings
    store: Store
    intake: Intake
    inspection: Inspection
    steering: Steering

    def worker(self, **settings: Any) -> Claims:
        policy = load_catalog(self.settings.job_plugins).queue(QUEUE)
        return Claims(self.store, policy, "bench", self.settings.model_copy(update=settings))

    async def add(self, *jobs: NewJob) -> None:
        outcomes = await self.intake.enqueue_many(jobs)
        assert all(isinstance(outcome, Enqueued) for outcome in outcomes), outcomes

    async def fill(self, jobs: int, size: int) -> None:
        """Enqueues jobs with payloads of `size` bytes."""
        batch = max(1, min(_BATCH, _BATCH_BYTES // size))
        for first in range(0, jobs, batch):
            await self.add(*(job(size) for _ in range(min(batch, jobs - first))))


def settings_for(url: str) -> Settings:
    return load(
        redis_url=url,
        job_plugins=("testjobs",),
        jwt_secret="only-for-the-benchmark-and-long-enough",
        queue_max_backlog=10_000_000,
        metrics_port=0,
    )


@contextlib.asynccontextmanager
async def on(url: str) -> AsyncIterator[tuple[Settings, Store]]:
    """A store of this process."""
    settings = settings_for(url)
    store = await Store.open(settings)
    try:
        yield settings, store
    finally:
        await store.close()


@contextlib.asynccontextmanager
async def desk(folder: Path) -> AsyncIterator[Desk]:
    """On a Valkey that keeps nothing on disk: the disk is not what is measured."""
    folder.mkdir(parents=True)
    async with Processes(folder) as processes, valkey(processes, folder) as server, on(server.url) as (settings, store):
        await server.client.config_set("appendonly", "no")
        inspection = Inspection(store, {})
        yield Desk(server, settings, store, Intake(store, settings), inspection, Steering(store, inspection))
