"""Maintenance of the sample data, by a worker on a real database and a real store."""

import asyncio
import itertools
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.message import Message
from qcollector.jobs.v1.job_pb2 import Caller
from qcollector.jobs.v1.job_service_pb2 import EnqueueJobRequest

from base.settings import Settings
from base.storage import StorageRoots
from engine.admission import Admission, Asked, Origin
from engine.catalog import Catalog
from engine.inspection import Inspection
from engine.intake import Intake
from engine.jobs import JobRecord, State
from engine.store import Store
from tests.conftest import eventually
from workers.worker import work

QUEUES = ("system:cleanup", "system:backup")
ADMIN = Caller(id="boss", name="Boss", role="admin")
DAY = 24 * 3600
_numbers = itertools.count(1)


@dataclass
class Desk:
    """Where a test enqueues jobs and sees what becomes of them."""

    settings: Settings
    catalog: Catalog
    admission: Admission
    intake: Intake
    inspection: Inspection

    async def enqueue(self, payload: Message, **options: Any) -> str:
        asked = Asked(self.catalog.by_message(payload.DESCRIPTOR.full_name), payload)
        request = EnqueueJobRequest(options={"job_id": f"system{next(_numbers)}", **options})
        admitted = self.admission.admit(request, asked, Origin(ADMIN), time.time_ns() // 1_000_000)
        return (await self.intake.enqueue(admitted.job)).id

    async def get(self, job_id: str) -> JobRecord:
        for queue in QUEUES:
            if (record := await self.inspection.get(queue, job_id)) is not None:
                return record
        raise AssertionError(f"there is no job {job_id}")

    async def end(self, job_id: str, seconds: float = 60) -> JobRecord:
        async def look() -> JobRecord | None:
            record = await self.get(job_id)
            return record if record.state.finished else None

        record: JobRecord = await eventually(look, seconds=seconds, what=f"{job_id} ended")
        return record

    async def run(self, payload: Message, **options: Any) -> Any:
        """The result of a job, which must complete."""
        record = await self.end(await self.enqueue(payload, **options))
        assert record.state is State.COMPLETED, record.failed_reason
        return self.catalog.by_message(payload.DESCRIPTOR.full_name).result.FromString(record.result)

    async def fail(self, payload: Message, **options: Any) -> str:
        """Why a job failed."""
        record = await self.end(await self.enqueue(payload, **options))
        assert record.state is State.FAILED
        return record.failed_reason

    async def log(self, job_id: str, queue: str) -> list[str]:
        told = await self.inspection.logs(queue, job_id)
        assert told is not None
        return [line.message for line in told[0]]


@asynccontextmanager
async def working(settings: Settings, store: Store, catalog: Catalog, **changes: Any) -> AsyncIterator[Desk]:
    """A desk, and a worker in this process that serves it."""
    settings = settings.model_copy(update=changes)
    StorageRoots(settings).prepare()
    stopping = asyncio.Event()
    worker = asyncio.create_task(work(settings, stopping, QUEUES))
    yield Desk(settings, catalog, Admission(catalog, settings), Intake(store, settings), Inspection(store, {}))
    stopping.set()
    await worker


@pytest.fixture
async def desk(settings: Settings, store: Store, catalog: Catalog) -> AsyncIterator[Desk]:
    """Without a database."""
    async with working(settings, store, catalog) as desk:
        yield desk


@pytest.fixture
async def sample_desk(sample_database: Settings, store: Store, catalog: Catalog) -> AsyncIterator[Desk]:
    """On the sample data, whose database is the user's own as far as the settings say."""
    async with working(sample_database, store, catalog) as desk:
        yield desk


def aged(path: Path, days: float, text: str = "content") -> Path:
    """A file that was written so long ago."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    then = time.time() - days * DAY
    os.utime(path, (then, then))
    return path
