"""What a call of the client can end in, other than well."""

from dataclasses import dataclass
from typing import Self

import grpc
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

_DETAILS = "grpc-status-details-bin"


@dataclass(frozen=True, slots=True)
class Violation:
    """A field that breaks a rule."""

    field: str
    description: str


class JobsError(Exception):
    """A refused call: `code` is gRPC's, `reason` the contract's (ErrorReason without its prefix)."""

    def __init__(
        self,
        message: str,
        code: grpc.StatusCode,
        reason: str = "",
        violations: tuple[Violation, ...] = (),
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.violations = violations
        self.retry_after = retry_after
        """Seconds after which the same call may succeed."""

    @classmethod
    def of(cls, error: grpc.aio.AioRpcError) -> Self:
        reason = ""
        violations: tuple[Violation, ...] = ()
        retry_after: float | None = None
        for packed in _status(error).details:
            info, bad, retry = ErrorInfo(), BadRequest(), RetryInfo()
            if packed.Unpack(info):
                reason = info.reason
            elif packed.Unpack(bad):
                violations = tuple(Violation(one.field, one.description) for one in bad.field_violations)
            elif packed.Unpack(retry):
                retry_after = retry.retry_delay.ToTimedelta().total_seconds()
        return cls(error.details() or error.code().name, error.code(), reason, violations, retry_after)


class UnavailableError(JobsError):
    """The service, or its store, could not be reached for as long as the client had patience."""


class NotEnqueuedError(Exception):
    """The job was never enqueued, because the service was away and `on_unavailable` lets the application go on."""


def _status(error: grpc.aio.AioRpcError) -> Status:
    for key, value in error.trailing_metadata() or ():
        if key == _DETAILS and isinstance(value, bytes):
            return Status.FromString(value)
    return Status()
