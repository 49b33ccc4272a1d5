"""Queues at a glance, and what is done to a whole queue."""

from typing import Final

from qcollector.jobs.v1.queue_pb2 import QueueLimits, QueueQuantiles, QueueRateLimit, QueueStats
from qcollector.jobs.v1.queue_requests_pb2 import (
    CleanQueueRequest,
    CleanQueueResponse,
    GetQueueStatsRequest,
    ListQueueStatsRequest,
    PauseQueueRequest,
    ResumeQueueRequest,
    UpdateQueueRequest,
)

from cli.output.formats import moment
from cli.output.tables import Column, Columns, fields
from cli.output.text import count_of, yes_or_no
from cli.output.times import in_words, shown
from cli.session import BULK_SECONDS, Session

QUEUES: Final[Columns[QueueStats]] = (
    Column("Queue", lambda queue: queue.queue_name),
    Column("Paused", lambda queue: yes_or_no(queue.paused), style=lambda queue: "yellow" if queue.paused else ""),
    Column("Waiting", lambda queue: f"{queue.counts.waiting:,}", right=True),
    Column("Delayed", lambda queue: f"{queue.counts.delayed:,}", right=True),
    Column("Active", lambda queue: f"{queue.counts.active:,}", right=True),
    Column("Completed", lambda queue: f"{queue.counts.completed:,}", right=True),
    Column(
        "Failed",
        lambda queue: f"{queue.counts.failed:,}",
        right=True,
        style=lambda queue: "red" if queue.counts.failed else "",
    ),
    Column("Oldest", lambda queue: in_words(queue.oldest_waiting_age_ms) if queue.counts.waiting else "", right=True),
    Column("Done/min", lambda queue: f"{queue.per_minute.completed:,.0f}", right=True),
    Column("Failed/min", lambda queue: f"{queue.per_minute.failed:,.0f}", right=True),
)


async def list_all(session: Session) -> None:
    with session.screen.listing(QUEUES, "There are no queues.") as show:
        async for page in session.pages(session.jobs.ListQueueStats, ListQueueStatsRequest()):
            show(page.queues)


async def show(session: Session, queue: str) -> None:
    answer = await session.call(session.jobs.GetQueueStats, GetQueueStatsRequest(queue_name=queue))
    session.screen.one(answer.stats, lambda: in_full(answer.stats))


async def pause(session: Session, queue: str, reason: str) -> None:
    answer = await session.call(session.jobs.PauseQueue, PauseQueueRequest(queue_name=queue, reason=reason))
    session.screen.one(answer, lambda: f"{queue} is paused: its jobs stay waiting, running ones end.")


async def resume(session: Session, queue: str, reason: str) -> None:
    answer = await session.call(session.jobs.ResumeQueue, ResumeQueueRequest(queue_name=queue, reason=reason))
    session.screen.one(answer, lambda: f"{queue} runs again.")


async def clean(session: Session, queue: str, grace: float, *, yes: bool) -> None:
    """Removes finished jobs, once it has been said how many there are at most."""
    stats = (await session.call(session.jobs.GetQueueStats, GetQueueStatsRequest(queue_name=queue))).stats
    finished = stats.counts.completed + stats.counts.failed + stats.counts.cancelled
    answer = CleanQueueResponse()
    if finished:
        age = f"that ended more than {in_words(grace)} ago" if grace else "whenever they ended"
        session.screen.confirm(f"Remove those of the {count_of(finished, 'finished job')} of {queue} {age}?", yes=yes)
        request = CleanQueueRequest(queue_name=queue, grace=grace)
        answer = await session.call(session.jobs.CleanQueue, request, seconds=BULK_SECONDS)
    removed = answer.removed
    session.screen.one(
        answer,
        lambda: (
            f"Removed from {queue}: {removed.completed:,} completed, {removed.failed:,} failed, "
            f"{removed.cancelled:,} cancelled."
        ),
    )


async def limit(
    session: Session, queue: str, max_active: int | None, rate: tuple[int, int] | None, reason: str
) -> None:
    """Sets limits; without any it shows those in force."""
    if max_active is None and rate is None:
        stats = (await session.call(session.jobs.GetQueueStats, GetQueueStatsRequest(queue_name=queue))).stats
    else:
        request = UpdateQueueRequest(queue_name=queue, max_active=max_active, reason=reason)
        if rate is not None:
            request.rate.CopyFrom(QueueRateLimit(max=rate[0], period_ms=rate[1]))
        stats = (await session.call(session.jobs.UpdateQueue, request)).stats
    session.screen.one(stats, lambda: f"{queue}: {_limits(stats.limits)}.")


def in_full(queue: QueueStats) -> str:
    """All that is known of a queue."""
    counts, totals = queue.counts, queue.totals
    held = ("waiting", "delayed", "active", "completed", "failed", "cancelled")
    return fields(
        [
            ("Queue", queue.queue_name),
            ("Paused", _paused(queue)),
            ("Limits", _limits(queue.limits)),
            ("Held now", ", ".join(f"{getattr(counts, word):,} {word}" for word in held)),
            *([("Set aside", _set_aside(queue))] if queue.set_aside else []),
            ("Since it began", ", ".join(f"{getattr(totals, word):,.0f} {word}" for word in held[3:])),
            ("Last minute", f"{queue.per_minute.completed:,.0f} completed, {queue.per_minute.failed:,.0f} failed"),
            ("Oldest waiting", in_words(queue.oldest_waiting_age_ms) if counts.waiting else "none waits"),
            ("Wait", _quantiles(queue.wait_ms)),
            ("Run", _quantiles(queue.run_ms)),
        ]
    )


def _set_aside(queue: QueueStats) -> str:
    return f"{queue.set_aside:,} of the waiting jobs, until fewer jobs of the same caller are active"


def _paused(queue: QueueStats) -> str:
    if not queue.paused:
        return yes_or_no(queue.paused)
    pause = queue.pause
    since = f"since {shown(moment(pause.time))}" if pause.HasField("time") else ""
    by = f"by {pause.by.name or pause.by.id}" if pause.HasField("by") else ""
    told = " ".join(word for word in ("yes", since, by) if word)
    return f"{told}: {pause.reason}" if pause.reason else told


def _limits(limits: QueueLimits) -> str:
    active = f"at most {limits.max_active:,} active at once" if limits.max_active else ""
    rate = f"at most {limits.rate.max:,} starts in {in_words(limits.rate.period_ms)}" if limits.HasField("rate") else ""
    return ", ".join(word for word in (active, rate) if word) or "no limits over all workers"


def _quantiles(times: QueueQuantiles) -> str:
    if not times.p99:
        return "nothing in the last five minutes"
    return f"p50 {in_words(times.p50)}, p95 {in_words(times.p95)}, p99 {in_words(times.p99)} (last five minutes)"
