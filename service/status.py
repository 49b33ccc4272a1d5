"""How errors leave the service: one code for each reason, and the details of google.rpc that say more."""

from typing import Final

import grpc
from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status
from grpc import StatusCode
from qcollector.jobs.v1.error_reason_pb2 import ErrorReason

from contract.errors import JobServiceError

DOMAIN: Final = "jobs.qcollector"
MAX_MESSAGE: Final = 600
MAX_FIELD: Final = 200
MAX_DETAILS: Final = 4096
"""Bytes. A status travels in a header, and clients refuse headers of more than 8 KB."""

CODES: Final = {
    ErrorReason.ERROR_REASON_TOKEN_MISSING: StatusCode.UNAUTHENTICATED,
    ErrorReason.ERROR_REASON_TOKEN_INVALID: StatusCode.UNAUTHENTICATED,
    ErrorReason.ERROR_REASON_TOKEN_EXPIRED: StatusCode.UNAUTHENTICATED,
    ErrorReason.ERROR_REASON_ROLE_INSUFFICIENT: StatusCode.PERMISSION_DENIED,
    ErrorReason.ERROR_REASON_QUEUE_UNKNOWN: StatusCode.NOT_FOUND,
    ErrorReason.ERROR_REASON_JOB_TYPE_UNKNOWN: StatusCode.INVALID_ARGUMENT,
    ErrorReason.ERROR_REASON_JOB_NOT_FOUND: StatusCode.NOT_FOUND,
    ErrorReason.ERROR_REASON_REQUEST_INVALID: StatusCode.INVALID_ARGUMENT,
    ErrorReason.ERROR_REASON_PAYLOAD_TOO_LARGE: StatusCode.INVALID_ARGUMENT,
    ErrorReason.ERROR_REASON_JOB_STATE_CONFLICT: StatusCode.FAILED_PRECONDITION,
    ErrorReason.ERROR_REASON_JOB_ID_CONFLICT: StatusCode.ALREADY_EXISTS,
    ErrorReason.ERROR_REASON_REQUEST_ID_CONFLICT: StatusCode.ALREADY_EXISTS,
    ErrorReason.ERROR_REASON_JOB_PURGED: StatusCode.FAILED_PRECONDITION,
    ErrorReason.ERROR_REASON_BACKLOG_FULL: StatusCode.RESOURCE_EXHAUSTED,
    ErrorReason.ERROR_REASON_STORE_FULL: StatusCode.RESOURCE_EXHAUSTED,
    ErrorReason.ERROR_REASON_RATE_LIMITED: StatusCode.RESOURCE_EXHAUSTED,
    ErrorReason.ERROR_REASON_STORE_UNAVAILABLE: StatusCode.UNAVAILABLE,
    ErrorReason.ERROR_REASON_DATABASE_UNAVAILABLE: StatusCode.UNAVAILABLE,
    ErrorReason.ERROR_REASON_DATABASE_UNFIT: StatusCode.FAILED_PRECONDITION,
    ErrorReason.ERROR_REASON_SHUTTING_DOWN: StatusCode.UNAVAILABLE,
    ErrorReason.ERROR_REASON_SERVICE_DISABLED: StatusCode.FAILED_PRECONDITION,
    ErrorReason.ERROR_REASON_RESULT_NOT_FOUND: StatusCode.NOT_FOUND,
    ErrorReason.ERROR_REASON_INTERNAL: StatusCode.INTERNAL,
    ErrorReason.ERROR_REASON_SCHEDULE_NOT_FOUND: StatusCode.NOT_FOUND,
    ErrorReason.ERROR_REASON_SCHEDULE_EXISTS: StatusCode.ALREADY_EXISTS,
    ErrorReason.ERROR_REASON_SCHEDULE_BROKEN: StatusCode.FAILED_PRECONDITION,
    ErrorReason.ERROR_REASON_ETAG_MISMATCH: StatusCode.ABORTED,
}


HTTP_STATUS: Final = "x-http-status"
"""Metadata whose value the gateway makes the status of its answer."""
_OVER_HTTP: Final = {
    ErrorReason.ERROR_REASON_JOB_STATE_CONFLICT: 409,
    ErrorReason.ERROR_REASON_JOB_PURGED: 409,
    ErrorReason.ERROR_REASON_SERVICE_DISABLED: 503,
    ErrorReason.ERROR_REASON_DATABASE_UNFIT: 503,
}
"""For FAILED_PRECONDITION, which the gateway would make 400: the request is well formed, but the job, or the service, is in the
wrong state for it."""


ELSEWHERE: Final = "x-call-elsewhere"
"""Metadata of a call that this process, which is stopping, has not begun: the gateway repeats it with another process."""


def for_gateway(error: JobServiceError) -> tuple[tuple[str, str], ...]:
    """The metadata for an HTTP status other than the one that the gateway makes of the code, and for a call to be repeated."""
    if error.reason == ErrorReason.ERROR_REASON_SHUTTING_DOWN:
        return ((ELSEWHERE, "1"),)
    status = _OVER_HTTP.get(error.reason)
    return () if status is None else ((HTTP_STATUS, str(status)),)


def code_of(error: JobServiceError) -> grpc.StatusCode:
    return CODES[error.reason]


def reason_of(error: JobServiceError) -> str:
    """The word of the contract's reason, such as JOB_NOT_FOUND."""
    return ErrorReason.Name(error.reason).removeprefix("ERROR_REASON_")


def status_of(error: JobServiceError) -> Status:
    """The error as google.rpc.Status: ErrorInfo always, BadRequest where fields are at fault, RetryInfo where waiting helps."""
    metadata = {key: _cut(value, MAX_FIELD) for key, value in error.metadata.items()}
    details: list[Message] = [ErrorInfo(reason=reason_of(error), domain=DOMAIN, metadata=metadata)]
    if error.retry_after is not None:
        details.append(RetryInfo(retry_delay=_duration(error.retry_after)))
    if error.problems:
        details.append(_bad_request(error))
    return Status(
        code=code_of(error).value[0],
        message=_cut(error.message, MAX_MESSAGE),
        details=[_packed(part) for part in details],
    )


def _bad_request(error: JobServiceError) -> BadRequest:
    """The fields at fault, as many as a header holds."""
    answer = BadRequest()
    for problem in error.problems:
        answer.field_violations.add(
            field=_cut(problem.field, MAX_FIELD),
            description=_cut(problem.description, MAX_MESSAGE),
            reason=problem.rule,
        )
        if answer.ByteSize() > MAX_DETAILS:
            del answer.field_violations[-1]
            break
    return answer


def _duration(seconds: float) -> Duration:
    duration = Duration()
    duration.FromMilliseconds(round(seconds * 1000))
    return duration


def _packed(message: Message) -> Any:
    packed = Any()
    packed.Pack(message)
    return packed


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
