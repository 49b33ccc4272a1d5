"""What can go wrong with a call, apart from any protocol: one class for each reason of the contract."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from qcollector.jobs.v1.error_reason_pb2 import ErrorReason


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """One field that breaks a rule."""

    field: str
    """Its path as the caller wrote it, such as `data.user.email`."""
    rule: str
    """The rule's id, such as `string.max_len`."""
    description: str
    """What is wrong and what would be right."""


class JobServiceError(Exception):
    """A call that is refused. The message is for the caller: cause and remedy, nothing internal."""

    reason: ClassVar[ErrorReason.ValueType] = ErrorReason.ERROR_REASON_INTERNAL
    problems: tuple[FieldProblem, ...] = ()
    """The fields at fault, where fields are."""

    def __init__(self, message: str, *, retry_after: float | None = None, **metadata: str | float) -> None:
        super().__init__(message)
        self.message = message
        self.retry_after = retry_after
        """Seconds after which the same call may succeed."""
        self.metadata = {key: str(value) for key, value in metadata.items()}


class TokenMissingError(JobServiceError):
    reason = ErrorReason.ERROR_REASON_TOKEN_MISSING


class TokenInvalidError(JobServiceError):
    reason = ErrorReason.ERROR_REASON_TOKEN_INVALID


class TokenExpiredError(JobServiceError):
    reason = ErrorReason.ERROR_REASON_TOKEN_EXPIRED


class RoleInsufficientError(JobServiceError):
    reason = ErrorReason.ERROR_REASON_ROLE_INSUFFICIENT


class QueueUnknownError(JobServiceError):
    reason = ErrorReason.ERROR_REASON_QUEUE_UNKNOWN


class JobTypeUnknownError(JobServiceError):
    reason = ErrorReason.ERROR_REASON_JOB_TYPE_UNKNOWN


class JobNotFoundError(JobServiceError):
    reason = ErrorReason.ERROR_REASON_JOB_NOT_FOUND


class RequestInvalidError(JobServiceError):
    """Carries every field at fault."""

    reason = ErrorReason.ERROR_REASON_REQUEST_INVALID

    def __init__(self, problems: Sequence[FieldProblem], message: str = "") -> None:
        super().__init__(message or "; ".join(f"{p.field}: {p.description}".removeprefix(": ") for p in problems[:5]))
        self.problems = tuple(problems)


class PayloadTooLargeError(JobServiceError):
    reason = ErrorReason.ERROR_REASON_PAYLOAD_TOO_LARGE


class JobStateConflictError(JobServiceError):
    reason = ErrorReason.ERROR_REASON_JOB_STATE_CONFLICT


class JobIdConflictError(JobServiceError):
    reason = ErrorReason.ERROR_REASON_JOB_ID_CONFLICT


class RequestIdConflictError(JobServiceError):
    reason = ErrorReason.ERROR_REASON_REQUEST_ID_CONFLICT

    def __init__(self, message: str, *, retry_after: float | None = None, **metadata: str | float) -> None:
        super().__init__(message, retry_after=retry_after, **metadata)
        self.problems = (FieldProblem("requestId", "request_id_conflict", message),)


class JobPurgedError(JobServiceError):
    reason = ErrorReason.ERROR_REASON_JOB_PURGED


class BacklogFullError(JobServiceError):
    reason = ErrorReason.ERROR_REASON_BACKLOG_FULL


class StoreFullError(JobServiceError):
    reason = ErrorReason.ERROR_REASON_STORE_FULL


class RateLimitedError(JobServiceError):
    reason = ErrorReason.ERROR_REASON_RATE_LIMITED


class StoreUnavailableError(JobServiceError):
    reason = ErrorReason.ERROR_REASON_STORE_UNAVAILABLE


class DatabaseAwayError(JobServiceError):
    reason = ErrorReason.ERROR_REASON_DATABASE_UNAVAILABLE


class DatabaseUnfitError(JobServiceError):
    reason = ErrorReason.ERROR_REASON_DATABASE_UNFIT


class ShuttingDownError(JobServiceError):
    reason = ErrorReason.ERROR_REASON_SHUTTING_DOWN


class ServiceDisabledError(JobServiceError):
    reason = ErrorReason.ERROR_REASON_SERVICE_DISABLED


class ResultNotFoundError(JobServiceError):
    reason = ErrorReason.ERROR_REASON_RESULT_NOT_FOUND


class ScheduleNotFoundError(JobServiceError):
    reason = ErrorReason.ERROR_REASON_SCHEDULE_NOT_FOUND


class ScheduleExistsError(JobServiceError):
    reason = ErrorReason.ERROR_REASON_SCHEDULE_EXISTS


class ScheduleBrokenError(JobServiceError):
    reason = ErrorReason.ERROR_REASON_SCHEDULE_BROKEN


class EtagMismatchError(JobServiceError):
    reason = ErrorReason.ERROR_REASON_ETAG_MISMATCH
