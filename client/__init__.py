"""The typed client of the job service: the contract and gRPC alone."""

from client.client import JobClient, OnUnavailable, Options
from client.errors import JobsError, NotEnqueuedError, UnavailableError, Violation
from client.handle import JobFailedError, JobHandle

__all__ = [
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
