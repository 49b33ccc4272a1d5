"""What all calls of the client stand on: the connection, enqueueing, and tasks of the contract."""

import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from types import TracebackType
from typing import Literal, Self, TypedDict, Unpack

import grpc
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from qcollector.jobs.v1.enqueue_pb2 import EnqueueJobRequest
from qcollector.jobs.v1.job_pb2 import JobOptions
from qcollector.jobs.v1.options_pb2 import job_type, task
from qcollector.jobs.v1.payload_pb2 import JobPayload

from client.connection import Connection
from client.errors import UnavailableError
from client.handle import JobHandle
from client.payloads import strict_message_of

OnUnavailable = Literal["raise", "ignore"] | Callable[[UnavailableError], None]


class Options(TypedDict, total=False):
    """What a caller wants for one job; see JobOptions and EnqueueJobRequest in the contract. Times are milliseconds."""

    priority: int
    delay: float
    run_at: datetime
    expire_at: datetime
    attempts: int
    timeout: int
    job_id: str
    """The job's name in the application. The same again returns the same job, for 24 hours after it is gone."""
    request_id: str
    """Names this request, so that anybody can repeat it for an hour. By default the client makes one for each call."""


class Calls:
    """A connection to the job service.

    `on_unavailable` decides what happens if a job cannot be enqueued within `patience` seconds: "raise" raises
    UnavailableError; "ignore", or a function that is given the error, lets the application go on, with a handle that says so.
    A call under way is not cut off: over a connection that has died silently it fails after 25 seconds, whatever the patience.
    """

    def __init__(
        self,
        address: str,
        token: str | Callable[[], str],
        *,
        credentials: grpc.ChannelCredentials | None = None,
        patience: float = 10.0,
        on_unavailable: OnUnavailable = "raise",
    ) -> None:
        self._connection = Connection(address, token, credentials, patience)
        self._on_unavailable = on_unavailable
        self._stub = self._connection.stub

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._connection.close()

    def job(self, queue: str, job_id: str) -> JobHandle:
        """A handle of a job that was enqueued before."""
        return JobHandle(self._connection, queue, job_id)

    async def enqueue(self, payload: Message, **options: Unpack[Options]) -> JobHandle:
        """Enqueues a job of the type that `payload` declares. Tries again, under one request id, while the service is away.

        Raises:
          ValueError: there is no option of that name, or it does not take its value.
          JobsError: the service refuses it; `violations` names the fields.
          UnavailableError: the service stayed away, and `on_unavailable` is "raise".
        """
        chosen = {name: value for name, value in options.items() if name != "request_id"}
        request = EnqueueJobRequest(
            payload=_wrapped(payload),
            options=strict_message_of(JobOptions, chosen),
            request_id=options.get("request_id") or str(uuid.uuid4()),
        )
        queue = payload.DESCRIPTOR.GetOptions().Extensions[job_type].queue
        try:
            answer = await self._connection.call(lambda metadata: self._stub.EnqueueJob(request, metadata=metadata))
        except UnavailableError as error:
            if self._on_unavailable == "raise":
                raise
            if callable(self._on_unavailable):
                self._on_unavailable(error)
            return JobHandle(self._connection, queue, request.options.job_id, enqueued=False)
        # If only this call knows the id, a duplicate is the job that it stored itself, by a try whose answer was lost.
        duplicate = answer.duplicate and bool(options.get("job_id") or options.get("request_id"))
        return JobHandle(self._connection, answer.queue_name, answer.job_id, duplicate=duplicate)

    async def task(self, method: MethodDescriptor, payload: Message, options: Options) -> JobHandle:
        """Enqueues the job of a task of the contract, with the task's priority and end unless the caller has others.

        Raises:
          ValueError, JobsError, UnavailableError: as `enqueue`.
        """
        declared = method.GetOptions().Extensions[task]
        chosen: Options = {"priority": declared.priority, **options}
        if declared.expire_field:
            expiry: Timestamp = getattr(payload, declared.expire_field)
            chosen.setdefault("expire_at", expiry.ToDatetime(tzinfo=UTC))
        return await self.enqueue(payload, **chosen)


def _wrapped(payload: Message) -> JobPayload:
    """The payload under its member, or as `custom` where the contract has none for it."""
    for member in JobPayload.DESCRIPTOR.oneofs_by_name["payload"].fields:
        if member.message_type is not None and member.message_type.full_name == payload.DESCRIPTOR.full_name:
            wrapped = JobPayload()
            getattr(wrapped, member.name).CopyFrom(payload)
            return wrapped
    custom = JobPayload()
    custom.custom.Pack(payload)
    return custom
