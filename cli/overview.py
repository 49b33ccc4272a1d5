"""The whole at a glance: all queues, the workers, and whether it is well."""

import contextlib
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Final

from grpc import aio
from qcollector.jobs.v1.overview_pb2 import (
    CheckHealthRequest,
    CheckHealthResponse,
    GetDashboardRequest,
    GetDashboardResponse,
    ListWorkersRequest,
)
from qcollector.jobs.v1.queue_pb2 import HealthCheck, QueueStats, Worker
from qcollector.jobs.v1.queue_requests_pb2 import GetQueueStatsRequest, WatchQueuesRequest

from cli.exits import Exit
from cli.output.formats import as_json, moment
from cli.output.tables import Column, Columns, console_on, fields, terminal_table
from cli.output.text import bytes_in_words, colour_of, harmless, yes_or_no
from cli.output.times import ago, in_words
from cli.queues import QUEUES
from cli.session import Session
from client import JobsError

if TYPE_CHECKING:
    from rich.live import Live


def _busy(worker: Worker) -> str:
    return f"{sum(queue.active for queue in worker.queues)}/{sum(queue.concurrency for queue in worker.queues)}"


WORKERS: Final[Columns[Worker]] = (
    Column("Worker", lambda worker: worker.id),
    Column("Host", lambda worker: worker.host),
    Column("Pid", lambda worker: str(worker.pid), right=True),
    Column("Version", lambda worker: worker.version),
    Column("Busy", _busy, right=True),
    Column("Memory", lambda worker: bytes_in_words(worker.memory_bytes), right=True),
    Column("Started", lambda worker: ago(moment(worker.start_time))),
    Column("Reported", lambda worker: ago(moment(worker.heartbeat_time))),
    Column("Draining", lambda worker: yes_or_no(worker.draining), style=lambda one: "yellow" if one.draining else ""),
    Column("Queues", lambda worker: ", ".join(queue.queue_name for queue in worker.queues)),
)
CHECKS: Final[Columns[HealthCheck]] = (
    Column("Check", lambda check: check.name),
    Column("Status", lambda check: check.status, style=lambda check: colour_of(check.status)),
    Column("Latency", lambda check: in_words(check.latency_ms), right=True),
    Column("Reason", lambda check: check.reason),
)
UNHEALTHY: Final = "unhealthy"


async def stats(session: Session) -> None:
    """Sums, and a line for each queue."""
    answer = await session.call(session.jobs.GetDashboard, GetDashboardRequest())
    if not session.screen.for_people:
        session.screen.record(as_json(answer))
        return
    session.screen.print(_sums(answer))
    session.screen.print("")
    with session.screen.listing(QUEUES, "There are no queues.") as show:
        show(answer.queues)


async def watch(session: Session, only: str = "") -> None:
    """Follows all queues, or one, until it is interrupted."""
    if only:
        # One that is unknown is refused by this call.
        await session.call(session.jobs.GetQueueStats, GetQueueStatsRequest(queue_name=only))
    with _shown(session) as show:
        async for changed in _changes(session):
            queues = [queue for queue in changed if not only or queue.queue_name == only]
            if queues:
                show(queues)


async def health(session: Session) -> Exit:
    """The exit status is FAILED where it is unhealthy."""
    answer = await session.call(session.jobs.CheckHealth, CheckHealthRequest())
    if session.screen.for_people:
        session.screen.print(_verdict(answer))
        session.screen.print("")
        with session.screen.listing(CHECKS, "Nothing was checked.") as show:
            show(answer.checks)
    else:
        session.screen.record(as_json(answer))
    return Exit.FAILED if answer.status == UNHEALTHY else Exit.OK


async def workers(session: Session) -> None:
    with session.screen.listing(WORKERS, "No worker has reported within the last half minute.") as show:
        async for page in session.pages(session.jobs.ListWorkers, ListWorkersRequest()):
            show(page.workers)


async def _changes(session: Session) -> AsyncIterator[Sequence[QueueStats]]:
    stream = session.jobs.WatchQueues(WatchQueuesRequest(), metadata=session.connection.metadata)
    try:
        async for answer in stream:
            yield answer.queues
    except aio.AioRpcError as error:
        raise JobsError.of(error) from None
    finally:
        stream.cancel()


@contextlib.contextmanager
def _shown(session: Session) -> Iterator[Callable[[Sequence[QueueStats]], None]]:
    """A table that changes in its place on a terminal; elsewhere a line for each queue whenever it changes."""
    screen = session.screen
    if screen.for_people and screen.is_terminal:
        with _live(session) as live:
            known: dict[str, QueueStats] = {}

            def redraw(queues: Sequence[QueueStats]) -> None:
                known.update((queue.queue_name, queue) for queue in queues)
                rows = [known[name] for name in sorted(known)]
                live.update(terminal_table(QUEUES, rows, "Ctrl-C ends"), refresh=True)  # type: ignore[arg-type]

            yield redraw
        return
    with screen.listing(QUEUES, "Nothing has changed.") as show:
        yield show


def _live(session: Session) -> "Live":
    from rich.live import Live  # noqa: PLC0415  (for terminals alone)

    return Live(console=console_on(session.screen.out), auto_refresh=False)


def _sums(answer: GetDashboardResponse) -> str:
    sums, system = answer.overview, answer.system
    held = (
        f"{sums.waiting_jobs:,} waiting, {sums.active_jobs:,} active, {sums.delayed_jobs:,} delayed, "
        f"{sums.completed_jobs:,} completed, {sums.failed_jobs:,} failed, {sums.cancelled_jobs:,} cancelled, "
        f"{sums.total_jobs:,} in all"
    )
    totals = sums.totals_since_start
    ever = f"{totals.completed:,.0f} completed, {totals.failed:,.0f} failed, {totals.cancelled:,.0f} cancelled"
    reason = f": {answer.health.reason}" if answer.health.reason else ""
    return fields(
        [
            ("Health", f"{answer.health.status}{reason}"),
            ("Jobs now", held),
            ("Since the start", ever),
            ("Workers", f"{system.workers}"),
            ("Service", f"{system.version}, up {in_words(system.uptime_seconds * 1000)}"),
            ("Store", f"{system.store_version}, {bytes_in_words(system.store_memory_bytes)}"),
        ]
    )


def _verdict(answer: CheckHealthResponse) -> str:
    return harmless(f"{answer.status}{': ' + answer.reason if answer.reason else ''}")
