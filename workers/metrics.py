"""What a worker process measures of its jobs."""

import time
from collections.abc import Iterator, Sequence
from typing import Final

from base.telemetry.instruments import Instruments
from base.telemetry.tallies import LONG, Counts, Distribution, Durations, Labels, Reading, Readings
from engine.catalog import Catalog
from engine.claims import Reaped
from engine.jobs import Outcome, Settlement
from workers.pump import Pump
from workers.running import RunningJob

OTHER: Final = "other"
"""Stands for every type that this worker does not know: labels are bounded by the contract."""
LOST: Final = "lost"

_WORDS: Final = {
    Outcome.COMPLETE: "completed",
    Outcome.FAIL: "retried",
    Outcome.FAIL_FOR_GOOD: "failed",
    Outcome.SNOOZE: "snoozed",
    Outcome.RELEASE: "released",
    Outcome.UNKNOWN: "unknown_type",
}


class _TypeMetrics:
    """The jobs of one type. They pass tens of thousands of times a second: nothing is looked up twice."""

    __slots__ = ("labels", "run", "wait")

    def __init__(self, queue: str, word: str, wait: Distribution, run: Distribution) -> None:
        self.wait = wait
        self.run = run
        self.labels: dict[str, Labels] = {outcome: (queue, word, outcome) for outcome in (*_WORDS.values(), LOST)}


class JobMetrics:
    """All jobs of one worker process."""

    def __init__(self, catalog: Catalog, queues: Sequence[str]) -> None:
        self._attempts = Counts(
            "qjobs_attempts",
            "Starts of jobs that have ended, by outcome; those that end a job are completed and failed.",
            ("queue", "type", "outcome"),
        )
        self._wait = Durations(
            "qjobs_job_wait_seconds", "From ready to started, of each start.", ("queue", "type"), LONG
        )
        self._run = Durations("qjobs_job_run_seconds", "From started to ended, of each start.", ("queue", "type"), LONG)
        self._leases = Counts(
            "qjobs_leases_lost",
            "Jobs that ceased to be this worker's while they ran, cancelled ones included.",
            ("queue",),
        )
        self._types = {
            (job_type.queue, job_type.type): self._of(job_type.queue, job_type.type)
            for job_type in catalog.types.values()
            if job_type.queue in queues
        }
        self._others = {queue: self._of(queue, OTHER) for queue in queues}

    def _of(self, queue: str, word: str) -> _TypeMetrics:
        return _TypeMetrics(queue, word, self._wait.of(queue, word), self._run.of(queue, word))

    def ended(self, job: RunningJob, settlement: Settlement | None) -> None:
        """Counts how a start of a job ended. Without a settlement it was no longer this worker's."""
        kind = self._types.get((job.queue, job.envelope.job_type)) or self._others[job.queue]
        if settlement is None:
            outcome = LOST
            self._leases.add((job.queue,))
        else:
            outcome = _WORDS[settlement.outcome]
            if settlement.outcome is Outcome.FAIL and job.claimed.fails + 1 >= job.claimed.max_attempts:
                outcome = "failed"
        self._attempts.add(kind.labels[outcome])
        started = time.time() - (time.monotonic() - job.started)
        kind.wait.observe(max(started - job.claimed.ready / 1000, 0.0))
        kind.run.observe(job.ended - job.started)

    def expose(self, instruments: Instruments, pumps: Sequence[Pump]) -> None:
        def running() -> Iterator[Reading]:
            for pump in pumps:
                yield (pump.queue,), len(pump.slots)

        def slots() -> Iterator[Reading]:
            for pump in pumps:
                yield (pump.queue,), pump.concurrency

        instruments.add(
            *(self._attempts, self._wait, self._run, self._leases),
            Readings("qjobs_worker_jobs_running", "Jobs that this worker runs now.", ("queue",), running),
            Readings("qjobs_worker_slots", "Jobs that this worker runs at once at most.", ("queue",), slots),
        )


class ReapMetrics:
    """What a process has cleared up; each worker and each scheduler takes its turn."""

    def __init__(self, queues: Sequence[str]) -> None:
        begin = [(queue,) for queue in queues]
        self.stalled = Counts(
            "qjobs_jobs_stalled",
            "Jobs found by this process whose worker had stopped renewing its lease.",
            ("queue",),
            begin,
        )
        self.forgotten = Counts(
            "qjobs_jobs_forgotten",
            "Finished jobs that this process removed once they had been kept long enough.",
            ("queue",),
        )

    def reaped(self, queue: str, reaped: Reaped) -> None:
        self.stalled.add((queue,), len(reaped.stalled))
        self.forgotten.add((queue,), reaped.forgotten)
