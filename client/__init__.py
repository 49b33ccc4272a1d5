"""The typed client of the job service: the contract and gRPC alone."""

from typing import TYPE_CHECKING, Any

from client.calls import Calls, OnUnavailable, Options
from client.errors import JobsError, NotEnqueuedError, UnavailableError, Violation
from client.handle import JobFailedError, JobHandle

if TYPE_CHECKING:
    from client.client import JobClient

__all__ = [
    "Calls",
    "JobClient",
    "JobFailedError",
    "JobHandle",
    "JobsError",
    "NotEnqueuedError",
    "OnUnavailable",
    "Options",
    "UnavailableError",
    "Violation",
]


def __getattr__(name: str) -> Any:
    """JobClient is put together from the families' calls, which stand on this package: only who asks for it needs them."""
    if name == "JobClient":
        from client.client import JobClient  # noqa: PLC0415  (see above)

        return JobClient
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
