"""What the store holds, for Prometheus: read when it asks, in one round trip, and at most once a second."""

import asyncio
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from qcollector.jobs.v1.queue_pb2 import Worker

from engine.jobs import FINISHED, QueueSnapshot, State
from service.registry import Registered, Registry

REMEMBERED_SECONDS: Final = 1.0
PATIENCE_SECONDS: Final = 4.0
"""Less than Prometheus waits for the whole page, which has more on it than this."""

_SHOWN: Final = tuple(state for state in State if state is not State.BLOCKED)


class QueueMetrics(Collector):
    """Every service process shows the same: a query takes the maximum over them, not the sum."""

    def __init__(self, registry: Registry, backlog: int) -> None:
        self._registry = registry
        self._backlog = backlog
        self._loop = asyncio.get_running_loop()
        self._last = Registered()
        self._until = 0.0

    def collect(self) -> Iterable[Metric]:
        registered = self._read()
        yield _gauge("qjobs_store_up", "Whether the store answers.", (), [((), float(not registered.problem))])
        if not registered.problem:
            yield from self._of_queues(registered.queues)
            yield from _of_workers(self._registry.queues, registered.workers)
            yield _gauge(
                "qjobs_schedule_overdue_seconds",
                "How long the slot has been past that no scheduler has fired; 0 if all are fired.",
                (),
                [((), max(registered.schedules.overdue.values(), default=0.0))],
            )
            yield _gauge(
                "qjobs_schedule_broken",
                "1 for a schedule that cannot fire; health says why.",
                ("schedule",),
                [((name,), 1.0) for name in registered.schedules.faults],
            )

    def _read(self) -> Registered:
        """Called by the thread that answers Prometheus; the store is asked on the service's own loop."""
        if time.monotonic() > self._until:
            asked = asyncio.run_coroutine_threadsafe(self._registry.read(), self._loop)
            try:
                self._last = asked.result(PATIENCE_SECONDS)
            except FutureTimeoutError:
                asked.cancel()
                self._last = Registered(problem="it did not answer in time")
            self._until = time.monotonic() + REMEMBERED_SECONDS
        return self._last

    def _of_queues(self, queues: Sequence[QueueSnapshot]) -> Iterator[Metric]:
        yield _gauge(
            "qjobs_queue_jobs",
            "Jobs that a queue holds now, by state. The failed ones are the dead letters.",
            ("queue", "state"),
            [((queue.name, _word(state)), queue.counts[state]) for queue in queues for state in _SHOWN],
        )
        yield _gauge(
            "qjobs_queue_set_aside_jobs",
            "Of the waiting jobs, those that no worker can take until fewer of their caller's are active.",
            ("queue",),
            [((queue.name,), queue.set_aside) for queue in queues],
        )
        ended = CounterMetricFamily(
            "qjobs_queue_jobs_ended",
            "Jobs that ended since the queue began, by final state.",
            labels=("queue", "state"),
        )
        for queue in queues:
            for state in sorted(FINISHED):
                ended.add_metric((queue.name, _word(state)), queue.totals[state])
        yield ended
        yield _gauge(
            "qjobs_queue_oldest_waiting_seconds",
            "How long the job has waited that has been ready longest; 0 if none waits.",
            ("queue",),
            [((queue.name,), queue.oldest_waiting_age / 1000) for queue in queues],
        )
        yield _gauge(
            "qjobs_queue_paused",
            "1 for a queue that is paused.",
            ("queue",),
            [((queue.name,), float(queue.paused)) for queue in queues],
        )
        yield _gauge(
            "qjobs_queue_active_max",
            "The most jobs that may be active at once over all workers; 0 is no limit.",
            ("queue",),
            [((queue.name,), queue.limits.max_active) for queue in queues],
        )
        yield _gauge(
            "qjobs_queue_backlog_max",
            "Unfinished jobs beyond which a queue takes no more (QUEUE_MAX_BACKLOG).",
            (),
            [((), self._backlog)],
        )


def _of_workers(names: Sequence[str], workers: Sequence[Worker]) -> Iterator[Metric]:
    serving = dict.fromkeys(names, 0)
    slots = dict.fromkeys(names, 0)
    for worker in workers:
        for queue in worker.queues if not worker.draining else ():
            if queue.queue_name in serving:
                serving[queue.queue_name] += 1
                slots[queue.queue_name] += queue.concurrency
    yield _gauge(
        "qjobs_queue_workers",
        "Worker processes that take a queue's jobs.",
        ("queue",),
        [((name,), number) for name, number in serving.items()],
    )
    yield _gauge(
        "qjobs_queue_slots",
        "Jobs of a queue that all workers together run at once.",
        ("queue",),
        [((name,), number) for name, number in slots.items()],
    )


def _gauge(
    name: str, documentation: str, labels: Sequence[str], rows: Iterable[tuple[Sequence[str], float]]
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, documentation, labels=labels)
    for values, value in rows:
        family.add_metric(values, value)
    return family


def _word(state: State) -> str:
    return state.name.lower()
