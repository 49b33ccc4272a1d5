"""A real server on a real store, callers with tokens, and a worker that does exactly what a test says."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status
from grpc_status.rpc_status import from_call
from joserfc import jwt
from joserfc.jwk import OctKey
from qcollector.jobs.v1.enqueue_pb2 import EnqueueJobRequest
from qcollector.jobs.v1.job_service_pb2_grpc import JobServiceStub
from qcollector.jobs.v1.payload_pb2 import JobPayload
from qcollector.jobs.v1.processor_service_pb2_grpc import ProcessorServiceStub
from testjobs.v1.testjobs_pb2 import Noop, Script, Secret, Serial

from base.settings import Settings
from contract.catalog import Catalog
from engine.claims import Claims, Note
from engine.jobs import ClaimedJob, Outcome, Settlement
from engine.store import Store
from service.bootstrap import Service, running

SECRET = "a-secret-of-the-tests-that-is-long-enough"
WORK = "test:work"
Metadata = tuple[tuple[str, str], ...]


def token(secret: str = SECRET, **claims: Any) -> str:
    """A token as Q-Collector makes them; a claim that is None is left out."""
    given = {"sub": "alice", "role": "admin", "exp": int(time.time()) + 600, **claims}
    known = {name: value for name, value in given.items() if value is not None}
    return jwt.encode({"alg": "HS256"}, known, OctKey.import_key(secret))


def bearer(**claims: Any) -> Metadata:
    return (("authorization", f"Bearer {token(**claims)}"),)


class _Stub:
    """A stub whose calls all carry the same metadata."""

    def __init__(self, stub: Any, metadata: Metadata) -> None:
        self._stub = stub
        self._metadata = metadata

    def __getattr__(self, method: str) -> Callable[..., Any]:
        return partial(getattr(self._stub, method), metadata=self._metadata, timeout=30)


class Caller:
    """Somebody with a token."""

    def __init__(self, channel: grpc.aio.Channel, metadata: Metadata) -> None:
        self.jobs: Any = _Stub(JobServiceStub(channel), metadata)
        self.tasks: Any = _Stub(ProcessorServiceStub(channel), metadata)

    async def enqueue(self, payload: Message, **options: Any) -> str:
        """The id of a new job of a test type."""
        answer = await self.jobs.EnqueueJob(EnqueueJobRequest(payload=custom(payload), options=options))
        return str(answer.job_id)


def custom(payload: Message) -> JobPayload:
    packed = JobPayload()
    packed.custom.Pack(payload)
    return packed


@dataclass
class Running:
    """A service, and ways to call it."""

    service: Service
    channel: grpc.aio.Channel
    settings: Settings

    def as_(self, role: str, name: str = "", **claims: Any) -> Caller:
        return Caller(self.channel, bearer(sub=name or f"a-{role}", role=role, **claims))

    def with_metadata(self, *pairs: tuple[str, str]) -> Caller:
        return Caller(self.channel, pairs)

    @property
    def admin(self) -> Caller:
        return self.as_("admin")

    @property
    def app(self) -> Caller:
        """Another service of the application."""
        return self.as_("service")

    @property
    def user(self) -> Caller:
        return self.as_("general_user", "ulla")


def on_any_port(settings: Settings, **changes: Any) -> Settings:
    return settings.model_copy(update={"grpc_port": 0, **changes})


@asynccontextmanager
async def serving(settings: Settings, **changes: Any) -> AsyncIterator[Running]:
    changed = on_any_port(settings, **changes)
    async with (
        running(changed) as service,
        grpc.aio.insecure_channel(f"127.0.0.1:{service.port}") as channel,
    ):
        yield Running(service, channel, changed)


@pytest.fixture
async def service(settings: Settings) -> AsyncIterator[Running]:
    async with serving(settings) as started:
        yield started


class Worker:
    """Claims jobs and ends them as the test says."""

    def __init__(self, store: Store, catalog: Catalog, settings: Settings) -> None:
        self._store = store
        self._catalog = catalog
        self._settings = settings

    def of(self, queue: str = WORK) -> Claims:
        return Claims(self._store, self._catalog.queue(queue), "worker-1", self._settings)

    async def start(self, queue: str = WORK) -> ClaimedJob:
        """Claims the next job, which must be there."""
        (job,) = (await self.of(queue).claim(1)).jobs
        return job

    async def end(self, job: ClaimedJob, result: Message | None = None, *, reason: str = "", queue: str = WORK) -> None:
        """Completes a job with a result, or fails it for good with a reason."""
        outcome = Outcome.FAIL_FOR_GOOD if reason else Outcome.COMPLETE
        answer = result.SerializeToString() if result is not None else b""
        await self.of(queue).settle([Settlement(job.id, job.fence, outcome, answer, reason)], 0)

    async def say(self, job: ClaimedJob, progress: float = -1.0, *messages: tuple[str, str], queue: str = WORK) -> None:
        await self.of(queue).note([Note(job.id, job.fence, progress, messages)])

    async def run(self, result: Message | None = None, *, reason: str = "", queue: str = WORK) -> str:
        """Claims the next job and ends it."""
        job = await self.start(queue)
        await self.end(job, result, reason=reason, queue=queue)
        return job.id


@pytest.fixture
def worker(store: Store, catalog: Catalog, settings: Settings) -> Worker:
    return Worker(store, catalog, settings)


@dataclass
class Refusal:
    """How a call was refused."""

    code: grpc.StatusCode
    message: str
    status: Status

    def _detail(self, kind: type[Message]) -> Any:
        for packed in self.status.details:
            found = kind()
            if packed.Unpack(found):
                return found
        return None

    @property
    def reason(self) -> str:
        info: ErrorInfo = self._detail(ErrorInfo)
        assert info.domain == "jobs.qcollector"
        return info.reason

    @property
    def metadata(self) -> dict[str, str]:
        return dict(self._detail(ErrorInfo).metadata)

    @property
    def retry_after(self) -> float | None:
        info: RetryInfo | None = self._detail(RetryInfo)
        return None if info is None else info.retry_delay.ToMilliseconds() / 1000

    @property
    def fields(self) -> list[str]:
        found: BadRequest | None = self._detail(BadRequest)
        return [] if found is None else [violation.field for violation in found.field_violations]

    @property
    def violations(self) -> Any:
        return self._detail(BadRequest).field_violations


async def refused(call: Awaitable[Any]) -> Refusal:
    """The refusal of a call, which must be one; of a stream, before anything else came."""
    try:
        answer = await _first(call)
    except grpc.aio.AioRpcError as error:
        status = from_call(_Sync(error))
        assert status is not None, f"no details: {error}"
        assert (status.code, status.message) == (error.code().value[0], error.details())
        return Refusal(error.code(), error.details() or "", status)
    raise AssertionError(f"was not refused: {answer}")


async def _first(call: Any) -> Any:
    if hasattr(call, "read"):
        message = await call.read()
        assert message is grpc.aio.EOF, f"a message came: {message}"
        code = await call.code()
        if code is not grpc.StatusCode.OK:
            raise grpc.aio.AioRpcError(
                code, await call.initial_metadata(), await call.trailing_metadata(), await call.details()
            )
        return message
    return await call


class _Sync:
    """What grpc_status wants to see of a call."""

    def __init__(self, error: grpc.aio.AioRpcError) -> None:
        self.code = error.code
        self.details = error.details
        self.trailing_metadata = error.trailing_metadata


def refusal_in(status: Status) -> Refusal:
    """A refusal that came inside an answer."""
    code = next(code for code in grpc.StatusCode if code.value[0] == status.code)
    return Refusal(code, status.message, status)


__all__ = ["Noop", "Script", "Secret", "Serial"]
