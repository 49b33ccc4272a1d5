"""The client: the application's tasks as typed calls, each of which enqueues a job and answers its handle."""

import uuid
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Literal, Self, TypedDict, Unpack

import grpc
from google.protobuf.message import Message
from qcollector.jobs.v1.analytics_pb2 import AnalyticsFormStats
from qcollector.jobs.v1.email_pb2 import (
    EmailForm,
    EmailPasswordReset,
    EmailRecipient,
    EmailSubmission,
    EmailSubmissionNotification,
    EmailUser,
    EmailWelcome,
)
from qcollector.jobs.v1.enqueue_pb2 import EnqueueJobRequest
from qcollector.jobs.v1.export_pb2 import ExportFormat, ExportFormOptions, ExportFormSubmissions
from qcollector.jobs.v1.file_pb2 import FileImageOptions, FileImageProcess
from qcollector.jobs.v1.job_pb2 import JobOptions
from qcollector.jobs.v1.options_pb2 import job_type
from qcollector.jobs.v1.payload_pb2 import JobPayload
from qcollector.jobs.v1.system_pb2 import SystemCleanup, SystemCleanupTask, SystemCleanupTaskType

from client.connection import Connection
from client.errors import UnavailableError
from client.handle import JobHandle
from client.payloads import enum_value, message_of, strict_message_of, timestamp_of

OnUnavailable = Literal["raise", "ignore"] | Callable[[UnavailableError], None]

WELCOME_PRIORITY = 5
NOTIFICATION_PRIORITY = 7
PASSWORD_RESET_PRIORITY = 8
IMAGE_PRIORITY = 4
EXPORT_PRIORITY = 3
CLEANUP_PRIORITY = 6
STATS_PRIORITY = 2


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


class JobClient:
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

    async def send_welcome_email(self, user: Any, **options: Unpack[Options]) -> JobHandle:
        """Greets a new user: a mapping or an object with `email` and any other fields of EmailUser."""
        payload = EmailWelcome(user=message_of(EmailUser, user))
        return await self._task(payload, WELCOME_PRIORITY, options)

    async def send_submission_notification(
        self, submission: Any, form: Any, recipients: Iterable[Any], **options: Unpack[Options]
    ) -> JobHandle:
        """Tells recipients of a submission: addresses, or mappings or objects with `email`."""
        payload = EmailSubmissionNotification(
            submission=message_of(EmailSubmission, submission),
            form=message_of(EmailForm, form),
            recipients=[
                EmailRecipient(email=one) if isinstance(one, str) else message_of(EmailRecipient, one)
                for one in recipients
            ],
        )
        return await self._task(payload, NOTIFICATION_PRIORITY, options)

    async def send_password_reset_email(
        self, user: Any, reset_token: str, expires_at: datetime | str, **options: Unpack[Options]
    ) -> JobHandle:
        """Sends a link to set a new password; not after `expires_at`."""
        expiry = timestamp_of(expires_at, "expires_at")
        payload = EmailPasswordReset(user=message_of(EmailUser, user), reset_token=reset_token, expire_time=expiry)
        options.setdefault("expire_at", expiry.ToDatetime(tzinfo=UTC))
        return await self._task(payload, PASSWORD_RESET_PRIORITY, options)

    async def process_image_upload(
        self, file_path: str, output_dir: str = "", image: FileImageOptions | None = None, **options: Unpack[Options]
    ) -> JobHandle:
        """Makes thumbnails, an optimised copy and a WebP of an image within the service's storage roots."""
        payload = FileImageProcess(file_path=file_path, output_dir=output_dir, options=image)
        return await self._task(payload, IMAGE_PRIORITY, options)

    async def export_form_submissions(
        self,
        form_id: str,
        file_format: Literal["csv", "json", "xlsx"],
        date_range: tuple[str, str] | None = None,
        export: ExportFormOptions | None = None,
        **options: Unpack[Options],
    ) -> JobHandle:
        """Exports a form's submissions; `date_range` is its first and last day, such as ("2025-01-01", "2025-12-31")."""
        file_type = enum_value(ExportFormat.items(), "EXPORT_FORMAT_", file_format, "file_format")
        payload = ExportFormSubmissions(form_id=str(form_id), format=file_type, options=export)
        if date_range is not None:
            payload.date_range.start, payload.date_range.end = date_range
        return await self._task(payload, EXPORT_PRIORITY, options)

    async def calculate_form_stats(
        self, form_id: str, date_range: tuple[str, str] | None = None, **options: Unpack[Options]
    ) -> JobHandle:
        """Calculates a form's statistics; `date_range` is its first and last day."""
        payload = AnalyticsFormStats(form_id=str(form_id))
        if date_range is not None:
            payload.date_range.start, payload.date_range.end = date_range
        return await self._task(payload, STATS_PRIORITY, options)

    async def trigger_system_cleanup(
        self, tasks: Iterable[SystemCleanupTask | Mapping[str, Any]], **options: Unpack[Options]
    ) -> JobHandle:
        """Cleans up: tasks as messages, or as mappings such as {"type": "temp_files", "max_age": 86400000}."""
        payload = SystemCleanup(tasks=[_cleanup_task(task, place) for place, task in enumerate(tasks)])
        return await self._task(payload, CLEANUP_PRIORITY, options)

    async def _task(self, payload: Message, priority: int, options: Options) -> JobHandle:
        chosen: Options = {"priority": priority, **options}
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


def _cleanup_task(task: SystemCleanupTask | Mapping[str, Any], place: int) -> SystemCleanupTask:
    if isinstance(task, SystemCleanupTask):
        return task
    path = f"tasks[{place}]"
    word = str(task.get("type", ""))
    kind = enum_value(SystemCleanupTaskType.items(), "SYSTEM_CLEANUP_TASK_TYPE_", word, f"{path}.type")
    return strict_message_of(SystemCleanupTask, {**task, "type": kind}, path)
