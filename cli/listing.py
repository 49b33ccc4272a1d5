"""Jobs page by page, of one queue or merged from several, and how they are shown in rows."""

from collections.abc import AsyncIterator, Sequence
from typing import Final

from qcollector.jobs.v1.job_pb2 import Job
from qcollector.jobs.v1.job_service_pb2 import ListJobsRequest

from cli.columns import Column, Columns
from cli.filters import job_filter
from cli.mapping import moment
from cli.moments import ago
from cli.selection import Filter
from cli.session import Session
from cli.words import colour_of, state_word

PAGE: Final = 500
"""The most that the service gives."""
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


async def show(session: Session, queues: Sequence[str], wanted: Filter, order: str, limit: int) -> None:
    """Prints the jobs that match, `limit` at most (0 means all), and says where there would have been more."""
    count = 0
    # One more than wanted tells whether there are more.
    size = min(limit + 1, PAGE) if limit else PAGE
    with session.screen.listing(JOBS, "No job matches.") as write:
        async for page in _pages(session, queues, wanted, order, size):
            if limit and count + len(page) > limit:
                write(page[: limit - count])
                session.screen.hint(f"The first {limit} are shown: --limit says how many, 0 means all.")
                return
            write(page)
            count += len(page)


def _pages(
    session: Session, queues: Sequence[str], wanted: Filter, order: str, size: int
) -> AsyncIterator[Sequence[Job]]:
    if len(queues) == 1:
        return pages(session, queues[0], wanted, order, size)
    return _merged([pages(session, queue, wanted, order, size) for queue in queues], size, newest=order == NEWEST)


async def pages(session: Session, queue: str, wanted: Filter, order: str, size: int) -> AsyncIterator[Sequence[Job]]:
    """The jobs of one queue that match."""
    conditions = job_filter(wanted)
    request = ListJobsRequest(queue_name=queue, order_by=ORDERS[order], page_size=size)
    for field, value in conditions.ListFields():
        if field.is_repeated:
            getattr(request, field.name).extend(value)
        elif field.message_type is not None:
            getattr(request, field.name).CopyFrom(value)
        else:
            setattr(request, field.name, value)
    while True:
        answer = await session.call(session.jobs.ListJobs, request)
        yield answer.jobs
        if not answer.next_page_token:
            return
        request.page_token = answer.next_page_token


async def _merged(
    sources: Sequence[AsyncIterator[Sequence[Job]]], size: int, *, newest: bool
) -> AsyncIterator[Sequence[Job]]:
    """The jobs of several queues in the order of their creation; a page of each is held at a time."""
    heads = [head for source in sources if (head := await _Head.of(source)) is not None]
    page: list[Job] = []
    while heads:
        head = (max if newest else min)(heads, key=_Head.created)
        page.append(head.take())
        if len(page) == size:
            yield page
            page = []
        if not await head.refill():
            heads.remove(head)
    yield page


class _Head:
    """What comes next from one queue."""

    def __init__(self, source: AsyncIterator[Sequence[Job]]) -> None:
        self._source = source
        self._jobs: list[Job] = []

    @classmethod
    async def of(cls, source: AsyncIterator[Sequence[Job]]) -> "_Head | None":
        head = cls(source)
        return head if await head.refill() else None

    def created(self) -> tuple[int, int]:
        return self._jobs[-1].create_time.seconds, self._jobs[-1].create_time.nanos

    def take(self) -> Job:
        return self._jobs.pop()

    async def refill(self) -> bool:
        """Whether there is another one."""
        while not self._jobs:
            page = await anext(self._source, None)
            if page is None:
                return False
            self._jobs = list(reversed(page))
        return True


def _cut(text: str) -> str:
    line = text.partition("\n")[0]
    return line if len(line) <= _LONGEST_REASON else line[: _LONGEST_REASON - 1] + "…"
