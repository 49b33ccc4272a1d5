"""One line in the log for each start of a job: when it began, how long it waited and ran, and what came of it.

A worker that drains twenty thousand jobs a second writes as many lines. So where the log is JSON they are encoded here, in
one step, instead of passing through structlog's processors. Those with a reason still do: what it may quote is redacted there.
"""

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec
import structlog

from base import logs
from engine.jobs import Loss, Outcome, Settlement
from workers.running import RunningJob

EVENT: Final = "job_ended"

_WORDS: Final = {outcome: outcome.name.lower() for outcome in (*Outcome, *Loss)}
_WARNINGS: Final = frozenset({Loss.LOST, Outcome.FAIL, Outcome.FAIL_FOR_GOOD})
_encode: Final = msgspec.json.Encoder().encode
_log = structlog.get_logger(__name__)


class Line(msgspec.Struct, omit_defaults=True, gc=False):
    """The fields, in the order in which they are written."""

    timestamp: datetime
    process: str
    level: str
    event: str
    outcome: str
    job_id: str
    queue: str
    job_type: str
    attempt: int
    starts: int
    start_time: datetime
    wait_ms: float
    """From ready to started, as well as the store's clock and this host's agree."""
    run_ms: float
    reason: str = ""
    request_id: str = ""
    trace_id: str = ""


class JobLog:
    """The lines of one process."""

    def __init__(self, process: str) -> None:
        self._process = process
        self._write = logs.line_writer()

    def ended(self, jobs: Sequence[tuple[RunningJob, Settlement | Loss]]) -> None:
        """Logs how jobs ended, or why they were no longer this worker's."""
        now = time.time()
        moment, since_start = datetime.fromtimestamp(now, UTC), now - time.monotonic()
        for job, end in jobs:
            self._log(self._line(job, end, moment, job.started + since_start))

    def _log(self, line: Line) -> None:
        if self._write is not None and not line.reason:
            self._write(_encode(line) + b"\n")
            return
        fields = {key: value for key, value in msgspec.structs.asdict(line).items() if value != ""}
        for given_by_the_log in ("timestamp", "process", "level", "event"):
            del fields[given_by_the_log]
        if line.level == "warning":
            _log.warning(EVENT, **fields)
        else:
            _log.info(EVENT, **fields)

    def _line(self, job: RunningJob, end: Settlement | Loss, now: datetime, started: float) -> Line:
        claimed, envelope = job.claimed, job.envelope
        seconds = job.ended - job.started
        outcome, reason = (end, "") if isinstance(end, Loss) else (end.outcome, end.reason)
        return Line(
            timestamp=now,
            process=self._process,
            level="warning" if outcome in _WARNINGS else "info",
            event=EVENT,
            outcome=_WORDS[outcome],
            job_id=claimed.id,
            queue=job.queue,
            job_type=job.job_type,
            attempt=claimed.fails + 1,
            starts=claimed.fence,
            start_time=datetime.fromtimestamp(started, UTC),
            wait_ms=max(round(started * 1000 - claimed.ready, 1), 0.0),
            run_ms=round(seconds * 1000, 2),
            reason=reason,
            request_id=envelope.request_id,
            trace_id=job.trace.trace_id,
        )
