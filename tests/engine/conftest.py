"""Building blocks for the engine's tests: jobs, and the engine's parts on a store."""

import itertools
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import SecretStr
from qcollector.jobs.storage.v1.storage_pb2 import JobEnvelope

from base.settings import Settings
from contract.catalog import Catalog, QueuePolicy
from contract.new_job import NewJob
from engine.claims import Claims
from engine.events import EventHub
from engine.inspection import Inspection
from engine.intake import Intake
from engine.jobs import Enqueued, Outcome, QueueSnapshot, Settlement, State
from engine.steering import Steering
from engine.store import Store
from tests.cluster import cluster_url, nodes
from tests.conftest import ValkeyServer

QUEUE = "test:work"
__all__ = ["nodes"]
_numbers = itertools.count()


def job(job_id: str = "", queue: str = QUEUE, **fields: Any) -> NewJob:
    """A no-op job; `fields` as NewJob names them."""
    job_id = job_id or f"job{next(_numbers):06d}"
    word, owner = fields.pop("type", "noop"), fields.pop("owner", "alice")
    envelope = JobEnvelope(id=job_id, queue_name=queue, job_type=word, payload=fields.pop("payload", b""))
    return NewJob(queue=queue, id=job_id, type=word, owner=owner, envelope=envelope.SerializeToString(), **fields)


@dataclass
class Engine:
    """All parts of the engine on one store, with shorthands for what tests do."""

    store: Store
    settings: Settings
    catalog: Catalog
    intake: Intake
    inspection: Inspection
    steering: Steering
    hub: EventHub

    def worker(self, name: str = "w1", queue: str = QUEUE, **settings: Any) -> Claims:
        return Claims(self.store, self.catalog.queue(queue), name, self.settings.model_copy(update=settings))

    def worker_of(self, policy: QueuePolicy, name: str = "w1", **settings: Any) -> Claims:
        return Claims(self.store, policy, name, self.settings.model_copy(update=settings))

    async def add(self, *jobs: NewJob) -> list[Enqueued]:
        answer = await self.intake.enqueue_many(jobs)
        assert all(isinstance(outcome, Enqueued) for outcome in answer), answer
        return [outcome for outcome in answer if isinstance(outcome, Enqueued)]

    async def state(self, job_id: str, queue: str = QUEUE) -> State | None:
        record = await self.inspection.get(queue, job_id)
        return record.state if record else None

    async def stats(self, queue: str = QUEUE) -> QueueSnapshot:
        return (await self.inspection.stats([queue]))[0]

    async def counts(self, queue: str = QUEUE) -> dict[str, int]:
        """Without the zeros."""
        return {state.name.lower(): n for state, n in (await self.stats(queue)).counts.items() if n}


def engine_on(store: Store, settings: Settings, catalog: Catalog) -> Engine:
    inspection = Inspection(store, {name: policy.max_active for name, policy in catalog.queues.items()})
    return Engine(
        store,
        settings,
        catalog,
        Intake(store, settings),
        inspection,
        Steering(store, inspection),
        EventHub(store, inspection),
    )


@pytest.fixture(params=["one server", "cluster"])
def settings(request: pytest.FixtureRequest, settings: Settings) -> Settings:
    """Every test of the engine runs on one server and on a cluster."""
    if request.param == "one server":
        return settings
    url = cluster_url(request.getfixturevalue("nodes"))
    return settings.model_copy(update={"redis_url": SecretStr(url)})


@pytest.fixture
def engine(store: Store, settings: Settings, catalog: Catalog) -> Engine:
    return engine_on(store, settings, catalog)


@pytest.fixture
async def own_engine(own_valkey: ValkeyServer, settings: Settings, catalog: Catalog) -> AsyncIterator[Engine]:
    """On a server of the test's own, which it may kill, wipe and fill."""
    settings = settings.model_copy(update={"redis_url": None, "redis_port": own_valkey.port, "redis_queue_db": 0})
    store = await Store.open(settings)
    yield engine_on(store, settings, catalog)
    await store.close()


def complete(claimed: Any, result: bytes = b"") -> Settlement:
    return Settlement(claimed.id, claimed.fence, Outcome.COMPLETE, result=result)


def fail(claimed: Any, reason: str = "broken", delay: int = -1) -> Settlement:
    return Settlement(claimed.id, claimed.fence, Outcome.FAIL, reason=reason, delay=delay)
