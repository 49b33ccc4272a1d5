"""One command's conversation with the service, and with whoever typed the command."""

from collections.abc import AsyncIterator
from types import TracebackType
from typing import TYPE_CHECKING, Final, Protocol, Self, TypeVar

from google.protobuf.message import Message
from grpc import aio
from qcollector.jobs.v1.job_service_pb2_grpc import JobServiceStub

from cli.access import Access
from cli.output.screen import Screen
from client import JobHandle
from client.connection import Connection

if TYPE_CHECKING:
    from qcollector.jobs.v1.job_service_pb2_grpc import JobServiceAsyncStub

WATCH_SECONDS: Final = 60.0
"""For which a watcher waits until a service that went away is back."""
CALL_SECONDS: Final = 30.0
"""After which a service that neither answers nor refuses counts as away."""
BULK_SECONDS: Final = 900.0
"""The same for what changes a hundred thousand jobs."""

Req = TypeVar("Req", bound=Message)
Res = TypeVar("Res")


class Page(Protocol):
    """An answer that may have a next one."""

    @property
    def next_page_token(self) -> str: ...


Paged = TypeVar("Paged", bound=Page)


class Session:
    """Calls under the caller's token. What goes wrong is a JobsError."""

    def __init__(self, access: Access, screen: Screen) -> None:
        self.access = access
        self.screen = screen
        # Nobody at a terminal wants to wait for a service that is away, unless it was there before.
        self.connection = Connection(access.address, access.token, access.credentials, patience=0)
        self._patient = Connection(access.address, access.token, access.credentials, patience=WATCH_SECONDS)
        self.jobs: JobServiceAsyncStub = JobServiceStub(self.connection.channel)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.connection.close()
        await self._patient.close()

    async def call(
        self, method: aio.UnaryUnaryMultiCallable[Req, Res], request: Req, *, seconds: float = CALL_SECONDS
    ) -> Res:
        return await self.connection.call(lambda metadata: method(request, timeout=seconds, metadata=metadata))

    async def pages(self, method: "aio.UnaryUnaryMultiCallable[Req, Paged]", request: Req) -> AsyncIterator["Paged"]:
        """Every page of a list, from the one that `request` asks for."""
        while True:
            answer = await self.call(method, request)
            yield answer
            if not answer.next_page_token:
                return
            request.page_token = answer.next_page_token  # type: ignore[attr-defined]

    def patient_job(self, queue: str, job_id: str) -> JobHandle:
        """A job to be followed, also through a restart of the service."""
        return JobHandle(self._patient, queue, job_id)
