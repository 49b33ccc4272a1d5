"""A job as it is handed to the store, and the slot of the schedule that it comes from."""

from dataclasses import dataclass
from datetime import datetime

import msgspec


@dataclass(frozen=True, slots=True)
class Slot:
    """When a schedule was to enqueue a job, or somebody triggered it."""

    time: datetime
    timezone: str
    """The IANA zone of the schedule."""


class NewJob(msgspec.Struct, frozen=True, gc=False):
    """A job that is valid in every respect and ready to be stored. Times are milliseconds."""

    queue: str
    id: str
    type: str
    owner: str
    """The caller's id."""
    envelope: bytes
    """A JobEnvelope, serialized, without sensitive values."""
    secret: bytes = b""
    """The whole payload message, serialized, where it has sensitive values."""
    priority: int = 0
    delay: int = 0
    run_at: int = 0
    """Unix time; 0 means by `delay`."""
    expire_at: int = 0
    attempts: int = 1
    exponential: bool = False
    backoff: int = 0
    jitter: float = 0.0
    retention: int = 0
    """How long it stays at least once it has ended, where that is longer than the queue's minimum."""
    digest: bytes = b""
    """Set for a caller's own id: what else with that id counts as the same job."""
    request: bytes = b""
    """Set for a request with an id: names caller and request id."""
    request_digest: bytes = b""
    """What else with that request id counts as the same request."""
