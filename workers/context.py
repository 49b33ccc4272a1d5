"""What a handler knows of its job, and what it can say while it runs."""

from typing import Protocol

import structlog

from base.settings import Settings
from qcollector.jobs.v1.job_pb2 import Caller


class JobContext(Protocol):
    """Handed to every handler. Whatever it writes is fenced: once the job is no longer this worker's, it is dropped."""

    job_id: str
    queue: str
    job_type: str
    attempt: int
    """1 for the first; a restart after a lost worker is the same attempt again."""
    max_attempts: int
    starts: int
    caller: Caller
    settings: Settings
    log: structlog.stdlib.BoundLogger
    """The process's log, bound to this job."""
    checkpoint_data: bytes
    """What the last checkpoint of an earlier start held; empty if there was none."""

    async def progress(self, percent: float, message: str = "") -> None:
        """Tells watchers how far it is, 0 to 100, and the step's name. Cheap: at most ten a second are written."""

    async def say(self, message: str) -> None:
        """Adds a line to the job's log, which watchers see at once."""

    async def checkpoint(self, data: bytes) -> None:
        """Keeps `data` (up to 1 MB) with the job for its next start. Returns once it is stored.

        Raises:
          LeaseLostError: the job is no longer this worker's; stop working on it.
        """
