"""A job that this worker runs: what its handler sees of it, and what the receiver, the pump and the heartbeat track."""

import asyncio
import math
import time
from datetime import UTC
from enum import StrEnum
from typing import Any, Final

import anyio
import structlog
from qcollector.jobs.storage.v1.storage_pb2 import JobEnvelope
from qcollector.jobs.v1.job_pb2 import Caller

from base.settings import Settings
from base.telemetry.trace_context import NO_TRACE, TraceContext
from contract.catalog import JobType
from contract.new_job import Slot
from engine.jobs import ClaimedJob, Loss
from workers.notes import Notes, Voice

MAX_CHECKPOINT_BYTES: Final = 1_000_000

_log = structlog.get_logger(__name__)


class BreakOff(StrEnum):
    """Why a running job is made to end."""

    CANCELLED = Loss.CANCELLED.value
    LOST = Loss.LOST.value
    TIMEOUT = "timeout"
    SHUTDOWN = "shutdown"
    """The worker ends: the job goes back to its queue."""


NOT_OURS: Final = frozenset({BreakOff.CANCELLED, BreakOff.LOST})
"""Whatever comes of such a job is dropped."""


class RunningJob:
    """One start of one job. It is the JobContext of its handler."""

    __slots__ = (
        "_bound_log",
        "_notes",
        "_voice",
        "broken_off",
        "claimed",
        "ended",
        "envelope",
        "job_type",
        "limit",
        "queue",
        "scope",
        "settings",
        "started",
        "task",
        "trace",
    )

    def __init__(self, claimed: ClaimedJob, queue: str, settings: Settings, notes: Notes) -> None:
        self.claimed = claimed
        self.queue = queue
        self.settings = settings
        self.envelope: JobEnvelope = _UNDECODED
        self.job_type = ""
        """Its type's word; empty until it is decoded, and where this worker does not know the type."""
        self.limit = 0.0
        """Seconds that it may run; 0 until it is decoded."""
        self.started = time.monotonic()
        self.ended = 0.0
        """When its task ended, by the monotonic clock; 0 while it runs. What came of it may not be in the store yet."""
        self.broken_off: BreakOff | None = None
        self.scope: anyio.CancelScope | None = None
        self.task: asyncio.Task[None] | None = None
        self.trace = NO_TRACE
        """What this start is part of; whatever it enqueues is, too."""
        self._notes = notes
        self._voice: Voice | None = None
        self._bound_log: Any = None

    def decoded(self, envelope: JobEnvelope, job_type: JobType) -> None:
        self.envelope = envelope
        self.job_type = job_type.type
        self.trace = TraceContext(envelope.traceparent, envelope.tracestate)
        self.limit = (envelope.options.timeout or job_type.timeout) / 1000

    @property
    def job_id(self) -> str:
        return self.claimed.id

    @property
    def attempt(self) -> int:
        return self.claimed.fails + 1

    @property
    def max_attempts(self) -> int:
        return self.claimed.max_attempts

    @property
    def starts(self) -> int:
        return self.claimed.fence

    @property
    def caller(self) -> Caller:
        return self.envelope.created_by

    @property
    def slot(self) -> Slot | None:
        if not self.envelope.HasField("slot_time"):
            return None
        return Slot(self.envelope.slot_time.ToDatetime(tzinfo=UTC), self.envelope.slot_timezone)

    @property
    def checkpoint_data(self) -> bytes:
        return self.claimed.checkpoint

    @property
    def log(self) -> structlog.stdlib.BoundLogger:
        if self._bound_log is None:
            fields = {
                "job_id": self.job_id,
                "queue": self.queue,
                "job_type": self.job_type,
                "attempt": self.attempt,
                "request_id": self.envelope.request_id,
                "trace_id": self.trace.trace_id,
            }
            self._bound_log = _log.bind(**{key: value for key, value in fields.items() if value})
        logger: structlog.stdlib.BoundLogger = self._bound_log
        return logger

    @property
    def loss(self) -> Loss:
        """Why it is this worker's no more, where nothing is to be reported of it."""
        return Loss.CANCELLED if self.broken_off is BreakOff.CANCELLED else Loss.LOST

    async def progress(self, percent: float, message: str = "") -> None:
        if math.isnan(percent):
            raise ValueError("progress: not a number")
        self._notes.progress(self._speaking(), min(max(percent, 0.0), 100.0), message)

    async def say(self, message: str) -> None:
        self._notes.say(self._speaking(), message)

    async def checkpoint(self, data: bytes) -> None:
        if len(data) > MAX_CHECKPOINT_BYTES:
            raise ValueError(f"checkpoint: {len(data)} bytes; at most {MAX_CHECKPOINT_BYTES} can be kept")
        await self._notes.checkpoint(self._speaking(), data)

    async def last_word(self) -> None:
        """Returns once all that it has said is stored, or it is lost."""
        if self._voice is not None:
            await self._notes.flush(self._voice)

    def break_off(self, why: BreakOff) -> None:
        """Cancels its task. The first reason given counts, except that a loss outdoes the others."""
        if self.broken_off is None or (why in NOT_OURS and self.broken_off not in NOT_OURS):
            self.broken_off = why
        if why in NOT_OURS and self._voice is not None:
            self._voice.lost = True
        if self.scope is not None:
            self.scope.cancel(why)

    def _speaking(self) -> Voice:
        if self._voice is None:
            self._voice = Voice(self.claimed.id, self.claimed.fence, self._unheard)
        return self._voice

    def _unheard(self, why: Loss) -> None:
        self.break_off(BreakOff(why))


_UNDECODED: Final = JobEnvelope()
