"""Jobs of the project's own families under test: enqueued as a caller would, run by a worker in the test's process."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.message import Message
from qcollector.jobs.v1.job_pb2 import Caller, JobOptions

from base.settings import Settings
from base.storage import StorageRoots
from contract.admission import Admission, Origin
from contract.catalog import Catalog
from engine.inspection import Inspection
from engine.intake import Intake
from engine.jobs import JobRecord, State
from engine.store import Store
from tests.conftest import eventually
from workers.worker import work

ADMIN = Caller(id="boss", name="Boss", role="admin")
_numbers = itertools.count(1)


@dataclass
class Desk:
    """Where a test enqueues jobs and sees what becomes of them."""

    settings: Settings
    catalog: Catalog
    admission: Admission
    intake: Intake
    inspection: Inspection
    caller: Caller = field(default_factory=lambda: ADMIN)
    _queues: dict[str, str] = field(default_factory=dict)

    async def enqueue(self, payload: Message, **options: Any) -> str:
        chosen = JobOptions(**{"job_id": f"job{next(_numbers)}", **options})
        admitted = self.admission.admit_payload(payload, chosen, Origin(self.caller))
        self._queues[admitted.job.id] = admitted.type.queue
        return (await self.intake.enqueue(admitted.job)).id

    async def get(self, job_id: str) -> JobRecord:
        record = await self.inspection.get(self._queues[job_id], job_id)
        assert record is not None
        return record

    async def end(self, job_id: str, seconds: float = 60) -> JobRecord:
        async def look() -> JobRecord | None:
            record = await self.get(job_id)
            return record if record.state.finished else None

        record: JobRecord = await eventually(look, seconds=seconds, what=f"{job_id} ended")
        return record

    async def end_of(self, queue: str, job_id: str) -> JobRecord:
        """The end of a job that something else enqueued."""
        self._queues[job_id] = queue
        return await self.end(job_id)

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

    async def log(self, job_id: str) -> list[str]:
        told = await self.inspection.logs(self._queues[job_id], job_id)
        assert told is not None
        return [line.message for line in told[0]]


@asynccontextmanager
async def working(
    settings: Settings, store: Store, catalog: Catalog, queues: Sequence[str], **changes: Any
) -> AsyncIterator[Desk]:
    """A desk, and a worker that serves these queues."""
    desk = desk_of(settings.model_copy(update=changes), store, catalog)
    stopping = asyncio.Event()
    worker = asyncio.create_task(work(desk.settings, stopping, queues))
    yield desk
    stopping.set()
    await worker


def desk_of(settings: Settings, store: Store, catalog: Catalog) -> Desk:
    """A desk that nobody serves yet."""
    StorageRoots(settings).prepare()
    return Desk(settings, catalog, Admission(catalog, settings), Intake(store, settings), Inspection(store, {}))
