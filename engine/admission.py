"""From a decoded request to a job that can be stored: type, payload, options in force, id and digest."""

import hashlib
from dataclasses import dataclass
from typing import Final

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from qcollector.jobs.storage.v1.storage_pb2 import JobEnvelope
from qcollector.jobs.v1.job_pb2 import Caller, JobBackoff, JobOptions
from qcollector.jobs.v1.job_service_pb2 import EnqueueJobRequest

from base.settings import Settings
from engine.catalog import Catalog
from engine.checking import check_payload
from engine.declarations import CUSTOM, JobType
from engine.decoding import decode_data
from engine.errors import FieldProblem, PayloadTooLargeError, RequestInvalidError, ServiceDisabledError
from engine.ids import new_job_id
from engine.jobs import NewJob
from engine.masking import redacted

RESERVED_PREFIX: Final = "repeat-"
"""Ids of recurring jobs begin so."""
_DAY_MS: Final = 86_400_000
LONGEST_DELAY_MS: Final = 366 * _DAY_MS
_EMAIL: Final = "email"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a request comes from, kept with its job."""

    caller: Caller
    request_id: str = ""
    traceparent: str = ""


@dataclass(frozen=True, slots=True)
class Admitted:
    """A job ready to be stored, and what its caller is told of it."""

    job: NewJob
    type: JobType
    options: JobOptions
    """In force: the caller's, completed by the type's policy."""


class Admission:
    """Decides what may become a job. Touches no store."""

    def __init__(self, catalog: Catalog, settings: Settings) -> None:
        self._catalog = catalog
        self._settings = settings

    def job_type(self, request: EnqueueJobRequest) -> JobType:
        """The type that a request asks for, before anything else of it is looked at.

        Raises:
          RequestInvalidError: it names none, or two.
          QueueUnknownError, JobTypeUnknownError: it names one that there is not.
          ServiceDisabledError: jobs, or mails, are switched off.
        """
        job_type = self._named_type(request)
        if not self._settings.enable_queue_service:
            raise _disabled("ENABLE_QUEUE_SERVICE")
        if self._catalog.queue(job_type.queue).family == _EMAIL and not self._settings.enable_email_service:
            raise _disabled("ENABLE_EMAIL_SERVICE")
        return job_type

    def _named_type(self, request: EnqueueJobRequest) -> JobType:
        typed = request.payload.WhichOneof("payload")
        if typed is None:
            problems = [
                FieldProblem(name, "required", f"say {what}, or send a typed `payload` instead")
                for name, value, what in (
                    ("queueName", request.queue_name, "which queue"),
                    ("jobType", request.job_type, "which of its job types"),
                )
                if not value
            ]
            if problems:
                raise RequestInvalidError(problems)
            return self._catalog.type(request.queue_name, request.job_type)
        job_type, _ = self._catalog.of_payload(request.payload)
        for name, said, meant in (
            ("queueName", request.queue_name, job_type.queue),
            ("jobType", request.job_type, job_type.type),
        ):
            if said and said != meant:
                rule = f"the payload is a job of {job_type.key}; leave this empty or say {meant!r}"
                raise _invalid(name, "payload_type", rule)
        if request.HasField("data"):
            raise _invalid("data", "payload_or_data", "send the payload either typed or as `data`, not both")
        return job_type

    def admit(
        self,
        request: EnqueueJobRequest,
        job_type: JobType,
        origin: Origin,
        now_ms: int,
        *,
        recurring: bool = False,
    ) -> Admitted:
        """Checks payload and options of a request for `job_type`, and makes the job.

        The rules on the request's own fields, options included, have been checked by then. Only
        `recurring` jobs may have an id of the reserved prefix.

        Raises:
          RequestInvalidError: names every field at fault.
          PayloadTooLargeError: the payload is larger than QUEUE_MAX_PAYLOAD_BYTES.
        """
        payload = self._payload(request, job_type)
        options = _in_force(request.options, job_type)
        _check_times(options, now_ms)
        if not recurring:
            _check_id(options.job_id)
        own_id = request.options.job_id
        options.job_id = own_id or new_job_id()
        whole = payload.SerializeToString(deterministic=True)
        if len(whole) > self._settings.queue_max_payload_bytes:
            raise PayloadTooLargeError(
                f"The payload has {len(whole)} bytes; at most {self._settings.queue_max_payload_bytes} are taken "
                "(QUEUE_MAX_PAYLOAD_BYTES). Store large data elsewhere and send its path.",
                limit=self._settings.queue_max_payload_bytes,
                size=len(whole),
            )
        envelope = JobEnvelope(
            id=options.job_id,
            queue_name=job_type.queue,
            job_type=job_type.type,
            payload=redacted(payload).SerializeToString() if job_type.sensitive else whole,
            created_by=origin.caller,
            options=options,
            traceparent=origin.traceparent,
            request_id=origin.request_id,
            accept_time=_timestamp(now_ms),
            has_secret=job_type.sensitive,
        )
        job = NewJob(
            queue=job_type.queue,
            id=options.job_id,
            type=job_type.type,
            owner=origin.caller.id,
            envelope=envelope.SerializeToString(),
            secret=whole if job_type.sensitive else b"",
            priority=options.priority,
            delay=int(options.delay),
            run_at=_milliseconds(options.run_at) if options.HasField("run_at") else 0,
            expire_at=_milliseconds(options.expire_at) if options.HasField("expire_at") else 0,
            attempts=options.attempts,
            exponential=options.backoff.type == "exponential",
            backoff=options.backoff.delay,
            jitter=options.backoff.jitter,
            retention=self._retention(job_type),
            digest=_digest(job_type, whole, origin.caller) if own_id else b"",
        )
        return Admitted(job, job_type, options)

    def _retention(self, job_type: JobType) -> int:
        """A job that owns files stays as long as they do."""
        files = int(self._settings.export_retention_days * _DAY_MS) if job_type.export_file else 0
        return max(job_type.retention, files)

    def _payload(self, request: EnqueueJobRequest, job_type: JobType) -> Message:
        if request.payload.WhichOneof("payload") is None:
            payload, root = decode_data(job_type, request.data), "data"
        else:
            _, payload = self._catalog.of_payload(request.payload)
            root = f"payload.{CUSTOM}" if job_type.member == CUSTOM else f"payload.{_json_name(job_type.member)}"
        check_payload(job_type, payload, self._settings, root)
        return payload


def _in_force(asked: JobOptions, job_type: JobType) -> JobOptions:
    """The caller's options with the type's policy where they say nothing."""
    options = JobOptions()
    options.CopyFrom(asked)
    options.attempts = asked.attempts or job_type.attempts
    options.timeout = asked.timeout or job_type.timeout
    if not asked.HasField("backoff"):
        options.backoff.CopyFrom(
            JobBackoff(
                type="exponential" if job_type.exponential else "fixed", delay=job_type.backoff, jitter=job_type.jitter
            )
        )
    elif not options.backoff.type:
        options.backoff.type = "fixed"
    return options


def _check_times(options: JobOptions, now_ms: int) -> None:
    """What the rules on single fields cannot say."""
    starts = now_ms + int(options.delay)
    if options.HasField("run_at"):
        starts = _milliseconds(options.run_at)
        if starts > now_ms + LONGEST_DELAY_MS:
            raise _invalid("options.runAt", "too_far", "lies more than 366 days ahead; take an earlier time")
    if options.HasField("expire_at") and _milliseconds(options.expire_at) <= max(starts, now_ms):
        raise _invalid(
            "options.expireAt", "after_start", "lies before the job could start; set a later time, or leave it unset"
        )


def _check_id(job_id: str) -> None:
    if job_id.startswith(RESERVED_PREFIX):
        rule = f'the prefix "{RESERVED_PREFIX}" is for recurring jobs; choose another id'
        raise _invalid("options.jobId", "reserved", rule)


def _digest(job_type: JobType, payload: bytes, caller: Caller) -> bytes:
    """What makes two requests under one id the same job."""
    return hashlib.sha256(b"\0".join((job_type.key.encode(), caller.id.encode(), payload))).digest()[:16]


def _disabled(setting: str) -> ServiceDisabledError:
    what = "Jobs are" if setting == "ENABLE_QUEUE_SERVICE" else "Mails are"
    return ServiceDisabledError(f"{what} switched off by {setting}=false; set it to true to enqueue.", setting=setting)


def _invalid(field: str, rule: str, description: str) -> RequestInvalidError:
    return RequestInvalidError([FieldProblem(field, rule, description)])


def _json_name(member: str) -> str:
    first, *rest = member.split("_")
    return first + "".join(part.capitalize() for part in rest)


def _milliseconds(time: Timestamp) -> int:
    return time.seconds * 1000 + time.nanos // 1_000_000


def _timestamp(ms: int) -> Timestamp:
    return Timestamp(seconds=ms // 1000, nanos=ms % 1000 * 1_000_000)
