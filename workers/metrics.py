"""What a worker process measures of its jobs."""

import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from prometheus_client.core import CounterMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from base.telemetry.instruments import Instruments
from base.telemetry.tallies import LONG, Counts, Distribution, Durations, Reading, Readings
from contract.catalog import Catalog
from engine.claims import Reaped
from engine.jobs import Loss, Outcome, Settlement
from workers.pump import Ended, Pump

OTHER: Final = "other"
"""Stands for every type that this worker does not know: labels are bounded by the contract."""
COMPLETED, RETRIED, FAILED = "completed", "retried", "failed"

_WORDS: Final = {
    Outcome.COMPLETE: COMPLETED,
    Outcome.FAIL: RETRIED,
    Outcome.FAIL_FOR_GOOD: FAILED,
    Outcome.SNOOZE: "snoozed",
    Outcome.RELEASE: "released",
    Outcome.UNKNOWN: "unknown_type",
}


class _TypeMetrics:
    """The jobs of one type. They pass tens of thousands of times a second: nothing is looked up twice."""

    __slots__ = ("numbers", "run", "wait")

    def __init__(self, wait: Distribution, run: Distribution) -> None:
        self.numbers = dict.fromkeys((*_WORDS.values(), *Loss), 0)
        self.wait = wait
        self.run = run


class JobMetrics(Collector):
    """All jobs of one worker process."""

    def __init__(self, catalog: Catalog, queues: Sequence[str]) -> None:
        self._wait = Durations(
            "qjobs_job_wait_seconds", "From ready to started, of each start.", ("queue", "type"), LONG
        )
        self._run = Durations("qjobs_job_run_seconds", "From started to ended, of each start.", ("queue", "type"), LONG)
        self._kinds = {
            queue: {
                word: _TypeMetrics(self._wait.of(queue, word), self._run.of(queue, word))
                for word in (*(job_type.type for job_type in catalog.types.values() if job_type.queue == queue), OTHER)
            }
            for queue in queues
        }

    def ended(self, jobs: Sequence[Ended]) -> None:
        """Counts how starts of jobs of one queue ended."""
        since_start = time.time() - time.monotonic()
        kinds = self._kinds[jobs[0][0].queue]
        batches: dict[str, tuple[_TypeMetrics, list[float], list[float]]] = {}
        for job, end in jobs:
            word, claimed, started = job.job_type, job.claimed, job.started
            if (batch := batches.get(word)) is None:
                batch = batches[word] = (kinds.get(word) or kinds[OTHER], [], [])
            kind, runs, waits = batch
            outcome = _WORDS[end.outcome] if isinstance(end, Settlement) else end
            if outcome is RETRIED and claimed.fails + 1 >= claimed.max_attempts:
                outcome = FAILED
            kind.numbers[outcome] += 1
            runs.append(job.ended - started)
            waited = started + since_start - claimed.ready / 1000
            waits.append(waited if waited > 0 else 0.0)  # this clock and the store's may differ a little
        for kind, runs, waits in batches.values():
            kind.run.observe_all(runs)
            kind.wait.observe_all(waits)

    def collect(self) -> Iterable[Metric]:
        attempts = CounterMetricFamily(
            "qjobs_attempts",
            "Starts of jobs that have ended, by outcome; those that end a job are completed and failed.",
            labels=("queue", "type", "outcome"),
        )
        leases = CounterMetricFamily(
            "qjobs_leases_lost",
            "Jobs that ceased to be this worker's while they ran, those apart that were cancelled.",
            labels=("queue",),
        )
        for queue, kinds in self._kinds.items():
            for word, kind in kinds.items():
                for outcome, number in kind.numbers.items():
                    if number or outcome in {COMPLETED, FAILED}:
                        attempts.add_metric((queue, word, outcome), number)
            leases.add_metric((queue,), sum(kind.numbers[Loss.LOST] for kind in kinds.values()))
        yield from (attempts, leases)

    def expose(self, instruments: Instruments, pumps: Sequence[Pump]) -> None:
        def running() -> Iterator[Reading]:
            for pump in pumps:
                yield (pump.queue,), len(pump.slots)

        def slots() -> Iterator[Reading]:
            for pump in pumps:
                yield (pump.queue,), pump.concurrency

        instruments.add(
            *(self, self._wait, self._run),
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
