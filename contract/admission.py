"""From a decoded request to a job that can be stored: type, payload, options in force, id and digest."""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from google.protobuf.message import Message
from qcollector.jobs.storage.v1.storage_pb2 import JobEnvelope
from qcollector.jobs.v1.enqueue_pb2 import EnqueueJobRequest
from qcollector.jobs.v1.job_pb2 import Caller, JobOptions
from qcollector.jobs.v1.options_pb2 import Backoff

from base.settings import Settings
from base.telemetry.trace_context import NO_TRACE, TraceContext
from contract.catalog import Catalog
from contract.checking import check_or_raise, check_payload
from contract.declarations import CUSTOM, JobType
from contract.decoding import decode_data
from contract.errors import FieldProblem, PayloadTooLargeError, RequestInvalidError, ServiceDisabledError
from contract.ids import new_job_id
from contract.masking import redacted
from contract.new_job import NewJob, Slot
from contract.times import milliseconds, timestamp

RESERVED_PREFIX: Final = "repeat-"
"""Ids of recurring jobs begin so."""
_DAY_MS: Final = 86_400_000
LONGEST_DELAY_MS: Final = 366 * _DAY_MS


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a request comes from, kept with its job."""

    caller: Caller
    request_id: str = ""
    trace: TraceContext = NO_TRACE
    slot: Slot | None = None
    """Of the schedule that enqueues it, if one does."""


class Admitted(NamedTuple):
    """A job ready to be stored, and what its caller is told of it."""

    job: NewJob
    type: JobType
    options: JobOptions
    """Those in force: the caller's, completed by the type's policy, without the job's id. Shared: do not change them."""
    payload: Message
    root: str
    """The way to the payload's fields in the request, such as `data`."""


Allowed = Callable[[JobType], None]
"""Raises where the caller may not enqueue jobs of the type."""


def _anybody(_job_type: JobType) -> None:
    pass


class _Policy:
    """What a type says for callers who say nothing, worked out once."""

    __slots__ = ("_origin", "_stem", "_type", "fields", "options", "retention", "root", "switched_off_by")

    def __init__(self, job_type: JobType, family: str, settings: Settings) -> None:
        self._type = job_type
        self._origin: Origin | None = None
        self._stem = b""
        self.options = JobOptions(
            attempts=job_type.attempts,
            timeout=job_type.timeout,
            backoff=Backoff(
                type="exponential" if job_type.exponential else "fixed", delay=job_type.backoff, jitter=job_type.jitter
            ),
        )
        # A job that owns files stays as long as they do.
        files = int(settings.export_retention_days * _DAY_MS) if job_type.export_file else 0
        self.retention = max(job_type.retention, files)
        self.root = f"payload.{CUSTOM if job_type.member == CUSTOM else _json_name(job_type.member)}"
        """The way to the payload's fields in a request."""
        self.switched_off_by = settings.switched_off_by(family)
        """The setting that says that such jobs are not taken."""
        self.fields = _fields(self.options)

    def envelope(self, origin: Origin, options: JobOptions) -> bytes:
        """The envelope's fields that do not differ within a request, serialized. Those of the job itself are appended."""
        if options is self.options and origin is self._origin:
            return self._stem
        envelope = JobEnvelope(
            queue_name=self._type.queue,
            job_type=self._type.type,
            created_by=origin.caller,
            options=options,
            traceparent=origin.trace.traceparent,
            tracestate=origin.trace.tracestate,
            request_id=origin.request_id,
            has_secret=self._type.sensitive,
        )
        if origin.slot is not None:
            envelope.slot_time.FromDatetime(origin.slot.time)
            envelope.slot_timezone = origin.slot.timezone
        stem = envelope.SerializeToString()
        if options is self.options:
            self._origin, self._stem = origin, stem
        return stem


class Admission:
    """Decides what may become a job. Touches no store."""

    def __init__(self, catalog: Catalog, settings: Settings) -> None:
        self._catalog = catalog
        self._settings = settings
        self._policies = {
            job_type.key: _Policy(job_type, catalog.queue(job_type.queue).family, settings)
            for job_type in catalog.types.values()
        }

    def admit(self, request: EnqueueJobRequest, origin: Origin, allowed: Allowed = _anybody) -> Admitted:
        """All that can be judged of a request without asking anybody, and the job that it asks for.

        Raises:
          RequestInvalidError: names every field at fault.
          QueueUnknownError, JobTypeUnknownError: it names a queue or a type that there is not.
          ServiceDisabledError: such jobs are switched off.
          PayloadTooLargeError: the payload is larger than QUEUE_MAX_PAYLOAD_BYTES.
          JobServiceError: what `allowed` raises.
        """
        _check_request(request)
        job_type, payload = self._named(request)
        self._check_switch(job_type)
        allowed(job_type)
        return self._admitted(request, job_type, payload, origin)

    def admit_payload(
        self, payload: Message, options: JobOptions, origin: Origin, *, recurring: bool = False
    ) -> Admitted:
        """The same for who has the payload's message, such as a schedule. Only `recurring` jobs may have reserved ids.

        Raises:
          JobServiceError: as `admit`.
        """
        job_type = self._catalog.by_message(payload.DESCRIPTOR.full_name)
        request = EnqueueJobRequest(options=options)
        _check_request(request)
        if not recurring:
            self._check_switch(job_type)
        return self._admitted(request, job_type, payload, origin, recurring=recurring)

    def _check_switch(self, job_type: JobType) -> None:
        if switch := self._policies[job_type.key].switched_off_by:
            raise _disabled(switch, job_type)

    def _named(self, request: EnqueueJobRequest) -> tuple[JobType, Message | None]:
        """The type and the payload of a request; None for one that comes as `data`, which is not read yet."""
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
            return self._catalog.type(request.queue_name, request.job_type), None
        job_type, payload = self._catalog.of_payload(request.payload)
        if request.queue_name or request.job_type:
            _check_names(request, job_type)
        if request.HasField("data"):
            raise _invalid("data", "payload_or_data", "send the payload either typed or as `data`, not both")
        return job_type, payload

    def _admitted(
        self,
        request: EnqueueJobRequest,
        job_type: JobType,
        payload: Message | None,
        origin: Origin,
        *,
        recurring: bool = False,
    ) -> Admitted:
        """Checks payload and options of a request, and makes the job that it asks for."""
        now_ms = time.time_ns() // 1_000_000
        policy = self._policies[job_type.key]
        root = policy.root
        if payload is None:
            payload, root = decode_data(job_type, request.data), "data"
        whole = payload.SerializeToString(deterministic=True)
        check_payload(job_type, payload, self._settings, root, whole)
        self._check_size(whole)
        options, fields, own_id = policy.options, policy.fields, ""
        if request.HasField("options"):
            options = _completed(request.options, policy.options)
            _check_times(options, now_ms)
            own_id = options.job_id
            if not recurring:
                _check_id(own_id)
            options.job_id = ""
            fields = _fields(options)
        job_id = own_id or new_job_id()
        own = JobEnvelope(
            id=job_id,
            payload=redacted(payload).SerializeToString() if job_type.sensitive else whole,
            accept_time=timestamp(now_ms),
        )
        job = NewJob(
            queue=job_type.queue,
            id=job_id,
            type=job_type.type,
            owner=origin.caller.id,
            # Concatenated, serialized messages are one message with the fields of both.
            envelope=policy.envelope(origin, options) + own.SerializeToString(),
            secret=whole if job_type.sensitive else b"",
            retention=policy.retention,
            digest=_digest(job_type, whole, origin.caller) if own_id else b"",
            **fields,
            **_repeatable(request, job_type, whole, origin.caller),
        )
        return Admitted(job, job_type, options, payload, root)

    def _check_size(self, payload: bytes) -> None:
        limit = self._settings.queue_max_payload_bytes
        if len(payload) > limit:
            raise PayloadTooLargeError(
                f"The payload has {len(payload)} bytes; at most {limit} are taken (QUEUE_MAX_PAYLOAD_BYTES). "
                "Store large data elsewhere and send its path.",
                limit=limit,
                size=len(payload),
            )


def _check_request(request: EnqueueJobRequest) -> None:
    """What the rules say of the request itself. What a payload alone has to hold to is checked with it."""
    if request.HasField("options") or request.request_id or not request.HasField("payload"):
        check_or_raise(request, "")
    if request.HasField("options"):
        milliseconds(request.options.run_at, "options.runAt")
        milliseconds(request.options.expire_at, "options.expireAt")


def _check_names(request: EnqueueJobRequest, job_type: JobType) -> None:
    for name, said, meant in (
        ("queueName", request.queue_name, job_type.queue),
        ("jobType", request.job_type, job_type.type),
    ):
        if said and said != meant:
            rule = f"the payload is a job of {job_type.key}; leave this empty or say {meant!r}"
            raise _invalid(name, "payload_type", rule)


def _completed(asked: JobOptions, policy: JobOptions) -> JobOptions:
    """The caller's options, completed by those of the type."""
    options = JobOptions()
    options.CopyFrom(policy)
    if asked.HasField("backoff"):
        options.ClearField("backoff")
        options.backoff.type = "fixed"
    options.MergeFrom(asked)
    return options


def _fields(options: JobOptions) -> dict[str, Any]:
    """The fields of a NewJob that follow from its options."""
    backoff = options.backoff
    return {
        "priority": options.priority,
        "delay": int(options.delay),
        "run_at": milliseconds(options.run_at, "options.runAt") if options.HasField("run_at") else 0,
        "expire_at": milliseconds(options.expire_at, "options.expireAt") if options.HasField("expire_at") else 0,
        "attempts": options.attempts,
        "exponential": backoff.type == "exponential",
        "backoff": backoff.delay,
        "jitter": backoff.jitter,
    }


def _check_times(options: JobOptions, now_ms: int) -> None:
    """What the rules on single fields cannot say."""
    starts = now_ms + int(options.delay)
    if options.HasField("run_at"):
        starts = milliseconds(options.run_at, "options.runAt")
        if starts > now_ms + LONGEST_DELAY_MS:
            raise _invalid("options.runAt", "too_far", "lies more than 366 days ahead; take an earlier time")
    if options.HasField("expire_at") and milliseconds(options.expire_at, "options.expireAt") <= max(starts, now_ms):
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


def repeatable(request_id: str, caller: str, *asked: bytes) -> dict[str, Any]:
    """The fields of a NewJob that a request id protects, whatever its length: whose it is, and all that was asked under it."""
    if not request_id:
        return {}
    return {
        "request": hashlib.sha256(f"{caller}\0{request_id}".encode()).digest()[:16],
        "request_digest": hashlib.sha256(b"\0".join(asked)).digest()[:16],
    }


def _repeatable(request: EnqueueJobRequest, job_type: JobType, payload: bytes, caller: Caller) -> dict[str, Any]:
    if not request.request_id:
        return {}
    options = request.options.SerializeToString(deterministic=True)
    asked = (job_type.key.encode(), str(len(options)).encode(), options, payload)
    return repeatable(request.request_id, caller.id, *asked)


def _disabled(setting: str, job_type: JobType) -> ServiceDisabledError:
    what = "Jobs are" if setting == "ENABLE_QUEUE_SERVICE" else f"Jobs of {job_type.queue} are"
    return ServiceDisabledError(f"{what} switched off by {setting}=false; set it to true to enqueue.", setting=setting)


def _invalid(field: str, rule: str, description: str) -> RequestInvalidError:
    return RequestInvalidError([FieldProblem(field, rule, description)])


def _json_name(member: str) -> str:
    first, *rest = member.split("_")
    return first + "".join(part.capitalize() for part in rest)
