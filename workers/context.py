"""What a handler knows of its job, and what it can say while it runs."""

from typing import Protocol

import structlog
from qcollector.jobs.v1.job_pb2 import Caller

from base.settings import Settings
from contract.new_job import Slot


class LeaseLostError(Exception):
    """The job is no longer this worker's: it was cancelled, or another worker runs it. Stop working on it."""


class JobContext(Protocol):
    """Handed to every handler. Whatever it writes is fenced: once the job is no longer this worker's, it is dropped.

    A job that is cancelled, lost, over its time or still running at the end of a shutdown is cancelled in anyio's way:
    every `await` raises until the handler has ended. Cleanup that must await runs under
    `with anyio.CancelScope(shield=True)`; work that blocks runs under `anyio.to_thread` (waited for) or
    `anyio.to_process` with `cancellable=True` (killed).
    """

    @property
    def job_id(self) -> str: ...

    @property
    def queue(self) -> str: ...

    @property
    def job_type(self) -> str:
        """The type's word, such as "welcome"."""

    @property
    def attempt(self) -> int:
        """1 for the first; a restart after a lost worker is the same attempt again."""

    @property
    def max_attempts(self) -> int: ...

    @property
    def starts(self) -> int:
        """How often it has been started, this time included."""

    @property
    def caller(self) -> Caller:
        """Who enqueued it."""

    @property
    def slot(self) -> Slot | None:
        """When the schedule that enqueued it was due; None for a job that no schedule enqueued."""

    @property
    def settings(self) -> Settings: ...

    @property
    def log(self) -> structlog.stdlib.BoundLogger:
        """The process's log, bound to this job."""

    @property
    def checkpoint_data(self) -> bytes:
        """What the last checkpoint of an earlier start held; empty if there was none."""

    async def progress(self, percent: float, message: str = "") -> None:
        """Tells watchers how far it is, 0 to 100, and the step's name. Cheap: at most ten a second are written."""

    async def say(self, message: str) -> None:
        """Adds a line to the job's log, which watchers see at once."""

    async def checkpoint(self, data: bytes) -> None:
        """Keeps `data` (up to 1 MB) with the job for its next start. Returns once it is stored.

        Raises:
          LeaseLostError: the job is no longer this worker's; stop working on it.
          ValueError: `data` is too large.
        """
