"""Exports of the sample data, run by a worker on a real database and a real store."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.message import Message
from qcollector.jobs.v1.job_pb2 import Caller, JobOptions

from base.settings import Settings
from base.storage import EXPORTS_OWN_FOLDER, MARKER, StorageRoots
from base.telemetry.trace_context import NO_TRACE, TraceContext
from contract.admission import Admission, Origin
from contract.catalog import Catalog
from engine.inspection import Inspection
from engine.intake import Intake
from engine.jobs import JobRecord, State
from engine.store import Store
from families.database.sample_data.ids import form_id
from tests.conftest import eventually
from workers.worker import work

QUEUE = "export:data"
APP = Caller(id="app", name="App", role="service")
SATISFACTION, INSPECTION, LEAD, REPAIR, ONBOARDING, EVERY_TYPE, UNUSED = (str(form_id(n)) for n in range(1, 8))
_numbers = itertools.count(1)


@dataclass
class Desk:
    """Where a test enqueues exports and sees what becomes of them."""

    settings: Settings
    catalog: Catalog
    admission: Admission
    intake: Intake
    inspection: Inspection
    trace: TraceContext = NO_TRACE
    """What its exports are part of."""

    async def enqueue(self, payload: Message, caller: Caller = APP, **options: Any) -> str:
        chosen = JobOptions(**{"job_id": f"export{next(_numbers)}", **options})
        admitted = self.admission.admit_payload(payload, chosen, Origin(caller, trace=self.trace))
        return (await self.intake.enqueue(admitted.job)).id

    async def get(self, job_id: str, queue: str = QUEUE) -> JobRecord:
        record = await self.inspection.get(queue, job_id)
        assert record is not None
        return record

    async def end(self, job_id: str, seconds: float = 60) -> JobRecord:
        async def look() -> JobRecord | None:
            record = await self.get(job_id)
            return record if record.state.finished else None

        record: JobRecord = await eventually(look, seconds=seconds, what=f"{job_id} ended")
        return record

    async def export(self, payload: Message, caller: Caller = APP, **options: Any) -> Any:
        """The result of an export, which must complete."""
        record = await self.end(await self.enqueue(payload, caller, **options))
        assert record.state is State.COMPLETED, record.failed_reason
        return self.catalog.by_message(payload.DESCRIPTOR.full_name).result.FromString(record.result)

    async def refused(self, payload: Message, caller: Caller = APP) -> str:
        """Why an export failed, for good and at its first start."""
        record = await self.end(await self.enqueue(payload, caller))
        assert (record.state, record.starts) == (State.FAILED, 1)
        return record.failed_reason

    @property
    def folder(self) -> Path:
        return self.settings.root("export")

    def files(self) -> list[Path]:
        """All files of EXPORT_DIR that are not the service's own."""
        return [
            path
            for path in self.folder.rglob("*")
            if path.is_file() and path.name != MARKER and not {EXPORTS_OWN_FOLDER, ".qjobs"} & {*path.parts}
        ]


@pytest.fixture
async def desk(sample_database: Settings, store: Store, catalog: Catalog) -> AsyncIterator[Desk]:
    """With a worker that serves it, in this process."""
    desk = desk_of(sample_database, store, catalog)
    async with working(desk.settings):
        yield desk


@asynccontextmanager
async def working(settings: Settings, **changes: Any) -> AsyncIterator[None]:
    stopping = asyncio.Event()
    worker = asyncio.create_task(work(settings.model_copy(update=changes), stopping, [QUEUE]))
    yield
    stopping.set()
    await worker


def desk_of(settings: Settings, store: Store, catalog: Catalog) -> Desk:
    StorageRoots(settings).prepare()
    return Desk(settings, catalog, Admission(catalog, settings), Intake(store, settings), Inspection(store, {}))
