"""Worker processes under test, and the jobs that they are given."""

import asyncio
import itertools
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.message import Message
from qcollector.jobs.storage.v1.storage_pb2 import JobEnvelope
from testjobs.v1.testjobs_pb2 import Script, Step

from base.resources import open_resources
from base.settings import PROJECT, Settings, load
from contract.admission import Admission
from contract.catalog import Catalog
from contract.new_job import NewJob
from engine.intake import Intake
from engine.jobs import FINISHED, JobRecord, State
from engine.store import Store
from tests.conftest import ValkeyServer, eventually
from tests.engine.conftest import Engine, engine_on
from workers.broker import JobBroker
from workers.handlers import Handler, load_handlers
from workers.receiver import JobReceiver

WORK, SERIAL = "test:work", "test:serial"
LEASE = 1.0
_numbers = itertools.count(1)


@dataclass
class WorkerProcess:
    """`python -m workers` with settings of the test's own; what it logs is in `lines`."""

    environment: Mapping[str, str]
    folder: Path
    module: str = "workers"
    arguments: tuple[str, ...] = (WORK, SERIAL)
    process: subprocess.Popen[bytes] = field(init=False)
    log: Path = field(init=False)

    def start(self) -> "WorkerProcess":
        self.log = self.folder / f"worker-{next(_numbers)}.jsonl"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", self.module, *self.arguments],
                env=dict(self.environment),
                cwd=PROJECT,
                stderr=log,
            )
        return self

    async def started(self) -> "WorkerProcess":
        await eventually(lambda: self.lines("worker_started"), seconds=30, what="the worker logs its start")
        return self

    def lines(self, event: str, **fields: Any) -> list[dict[str, Any]]:
        """The log lines of that event that have these fields."""
        lines = [json.loads(line) for line in self.log.read_text().splitlines() if line.endswith("}")]
        wanted = {"event": event, **fields}.items()
        return [line for line in lines if wanted <= {key: _hashable(value) for key, value in line.items()}.items()]

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.process.pid, number)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)

    @property
    def alive(self) -> bool:
        return self.process.poll() is None


def _hashable(value: Any) -> Any:
    return value if isinstance(value, str | int | float | bool) else str(value)


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"queue_lease_seconds": LEASE})


def environment(settings: Settings, **told: str | float) -> dict[str, str]:
    """What makes a process use `settings`' store; `told` are further variables."""
    known = {name.upper() for name in Settings.model_fields}
    bare = {name: value for name, value in os.environ.items() if name not in known}
    assert settings.redis_url is not None
    given = {
        "REDIS_URL": settings.redis_url.get_secret_value(),
        "REDIS_KEY_PREFIX": settings.redis_key_prefix,
        "JOB_PLUGINS": "testjobs",
        "DATA_DIR": str(settings.data_dir),
        "QUEUE_LEASE_SECONDS": LEASE,
        "SHUTDOWN_GRACE_SECONDS": 0.2,
        "LOG_FORMAT": "json",
        "METRICS_PORT": 0,
        "PYTHONPATH": ":".join(str(PROJECT / folder) for folder in (".", "gen", "tests/plugin")),
        **told,
    }
    return bare | {name: str(value) for name, value in given.items()}


@pytest.fixture
def new_worker(settings: Settings, tmp_path: Path) -> Iterator[Callable[..., WorkerProcess]]:
    """Starts worker processes on the test's store; ends them by their ids."""
    workers: list[WorkerProcess] = []

    def start(**told: str | float) -> WorkerProcess:
        worker = WorkerProcess(environment(settings, **told), tmp_path).start()
        workers.append(worker)
        return worker

    yield start
    for worker in workers:
        worker.kill()


@contextmanager
def workers_for(
    settings: Settings, folder: Path, *queues: str, **told: str | float
) -> Iterator[Callable[[], WorkerProcess]]:
    """Starts worker processes for the project's own queues; ends them by their ids."""
    workers: list[WorkerProcess] = []
    if (address := getattr(settings, "database_url", None)) is not None:
        told = {"DATABASE_URL": address.get_secret_value(), **told}

    def start() -> WorkerProcess:
        workers.append(WorkerProcess(environment(settings, **told), folder, arguments=queues).start())
        return workers[-1]

    try:
        yield start
    finally:
        for worker in workers:
            worker.kill()


class Desk:
    """Where a test enqueues jobs and sees what becomes of them."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    async def enqueue(self, payload: Message, *, timeout: int = 0, **fields: Any) -> str:
        """Stores a job as the service would, and answers its id. `fields` are NewJob's; `timeout` is in milliseconds."""
        job_type = self.engine.catalog.by_message(payload.DESCRIPTOR.full_name)
        job = new_job(job_type.queue, job_type.type, payload.SerializeToString(), timeout=timeout, **fields)
        await self.engine.add(job)
        return job.id

    async def script(self, *steps: Step, **fields: Any) -> str:
        return await self.enqueue(Script(steps=steps), **fields)

    async def get(self, job_id: str, queue: str = WORK) -> JobRecord:
        record = await self.engine.inspection.get(queue, job_id)
        assert record is not None
        return record

    async def reached(self, job_id: str, *states: State, queue: str = WORK, seconds: float = 30) -> JobRecord:
        """The job once it is in one of these states."""

        async def look() -> JobRecord | None:
            record = await self.get(job_id, queue)
            return record if record.state in states else None

        record: JobRecord = await eventually(look, seconds=seconds, what=f"{job_id} is {states}")
        return record

    async def end(self, job_id: str, queue: str = WORK, seconds: float = 30) -> JobRecord:
        """The job once it has ended."""
        return await self.reached(job_id, *FINISHED, queue=queue, seconds=seconds)


def new_job(queue: str, word: str, payload: bytes, *, timeout: int = 0, **fields: Any) -> NewJob:
    job_id = fields.pop("id", f"job{next(_numbers):06d}")
    envelope = JobEnvelope(id=job_id, queue_name=queue, job_type=word, payload=payload)
    envelope.created_by.id = "alice"
    envelope.options.timeout = timeout
    given = {"attempts": 3, "envelope": envelope.SerializeToString(), **fields}
    return NewJob(queue=queue, id=job_id, type=word, owner="alice", **given)


@pytest.fixture
def desk(store: Store, settings: Settings, catalog: Catalog) -> Desk:
    return Desk(engine_on(store, settings, catalog))


@pytest.fixture
async def broker_of(desk: Desk, settings: Settings, catalog: Catalog) -> AsyncIterator[Callable[..., JobBroker]]:
    """Makes a broker in which some handlers are others, and whose resources are open."""
    given = load_handlers(("testjobs",))
    async with open_resources(settings, desk.engine.store) as resources:

        def make(**others: Handler) -> JobBroker:
            handlers = given | {f"testjobs.v1.{name}": handler for name, handler in others.items()}
            broker = JobBroker(catalog, handlers, Admission(catalog, settings), Intake(desk.engine.store, settings))
            broker.add_dependency_context(dict(resources.by_source))
            return broker

        yield make


@asynccontextmanager
async def serving(broker: JobBroker, desk: Desk, slots: int = 5) -> AsyncIterator[JobReceiver]:
    """The broker's tasks at work on test:work, in this very loop."""
    stopping = asyncio.Event()
    receiver = JobReceiver(broker, [desk.engine.worker()], {WORK: slots}, desk.engine.settings)
    listening = asyncio.create_task(receiver.listen(stopping))
    yield receiver
    stopping.set()
    await listening


@pytest.fixture(scope="module")
def shared_settings(valkey: ValkeyServer, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """For tests that share a worker and tell their jobs apart by id."""
    folder = tmp_path_factory.mktemp("shared")
    prefix = f"s{os.getpid()}.{next(_numbers)}"
    return load(
        redis_url=valkey.url,
        redis_key_prefix=prefix,
        data_dir=folder,
        job_plugins=("testjobs",),
        queue_lease_seconds=LEASE,
        metrics_port=0,
    )


@pytest.fixture(scope="module")
def shared_worker(shared_settings: Settings) -> Iterator[WorkerProcess]:
    worker = WorkerProcess(environment(shared_settings), shared_settings.data_dir).start()
    yield worker
    worker.kill()


@pytest.fixture
async def shared_desk(shared_settings: Settings, shared_worker: WorkerProcess, catalog: Catalog) -> AsyncIterator[Desk]:
    assert shared_worker.alive
    store = await Store.open(shared_settings)
    yield Desk(engine_on(store, shared_settings, catalog))
    await store.close()
