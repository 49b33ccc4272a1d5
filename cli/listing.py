"""Jobs page by page, of one queue or of all, and how they are shown in rows."""

from collections.abc import AsyncIterator, Sequence
from typing import Final

from qcollector.jobs.v1.job_pb2 import Job
from qcollector.jobs.v1.job_queries_pb2 import ListJobsRequest, ListJobsResponse

from cli.filters import job_filter
from cli.output.formats import moment
from cli.output.screen import bar
from cli.output.tables import Column, Columns
from cli.output.text import colour_of, state_word
from cli.output.times import ago
from cli.selection import Filter
from cli.session import Session

PAGE: Final = 500
"""The most that the service gives."""
ALL_QUEUES: Final = "-"
"""In a queue's place."""
NEWEST, OLDEST, NEXT = "newest", "oldest", "queue"
ORDERS: Final = {NEWEST: "create_time desc", OLDEST: "create_time", NEXT: "state"}

JOBS: Final[Columns[Job]] = (
    Column("Id", lambda job: job.id),
    Column("Queue", lambda job: job.queue_name),
    Column("Type", lambda job: job.job_type),
    Column("State", lambda job: state_word(job.state), style=lambda job: colour_of(state_word(job.state))),
    Column("Progress", lambda job: f"{job.progress:.0f}%", right=True),
    Column("Attempts", lambda job: f"{job.attempts_made}/{job.max_attempts}", right=True),
    Column("Created", lambda job: ago(moment(job.create_time))),
    Column("Due", lambda job: ago(moment(job.run_time))),
    Column("By", lambda job: job.created_by.name or job.created_by.id),
    Column("Last error", lambda job: _cut(job.failed_reason)),
)
_LONGEST_REASON: Final = 80


async def show(session: Session, queue: str, wanted: Filter, order: str, limit: int) -> None:
    """Prints the jobs that match, `limit` at most (0 means all), and says where there would have been more."""
    count = 0
    # One more than wanted tells whether there are more.
    size = min(limit + 1, PAGE) if limit else PAGE
    with session.screen.listing(JOBS, "No job matches.") as write:
        async for jobs in _found(session, _pages(session, queue, wanted, order, size)):
            if limit and count + len(jobs) > limit:
                write(jobs[: limit - count])
                session.screen.hint(f"The first {limit} are shown: --limit says how many, 0 means all.")
                return
            write(jobs)
            count += len(jobs)


async def _found(session: Session, pages: AsyncIterator[ListJobsResponse]) -> AsyncIterator[Sequence[Job]]:
    """The pages that hold jobs. While a search finds none, it shows how many it has looked at."""
    scanned = 0
    jobs: Sequence[Job] = ()
    while True:
        with bar(session.screen, "Searching", None) as progress:
            async for page in pages:
                scanned += page.scanned
                jobs = page.jobs
                if jobs:
                    break
                progress.show(scanned, f"{scanned:,} jobs looked at")
            else:
                return
        yield jobs


def _pages(session: Session, queue: str, wanted: Filter, order: str, size: int) -> AsyncIterator[ListJobsResponse]:
    """What matches, of one queue or, for an empty name, of all."""
    conditions = job_filter(wanted)
    request = ListJobsRequest(queue_name=queue or ALL_QUEUES, order_by=ORDERS[order], page_size=size)
    for field, value in conditions.ListFields():
        if field.is_repeated:
            getattr(request, field.name).extend(value)
        elif field.message_type is not None:
            getattr(request, field.name).CopyFrom(value)
        else:
            setattr(request, field.name, value)
    return session.pages(session.jobs.ListJobs, request)


def _cut(text: str) -> str:
    line = text.partition("\n")[0]
    return line if len(line) <= _LONGEST_REASON else line[: _LONGEST_REASON - 1] + "…"
