"""Which jobs are meant: by name, or by what they have in common."""

import asyncio
from datetime import datetime

from google.protobuf.timestamp_pb2 import Timestamp
from grpc import StatusCode
from qcollector.jobs.v1.job_bulk_pb2 import JobFilter
from qcollector.jobs.v1.job_queries_pb2 import GetJobRequest
from qcollector.jobs.v1.queue_requests_pb2 import ListQueueStatsRequest

from cli.exits import CommandError, Exit
from cli.output.text import state_of
from cli.selection import Filter
from cli.session import Session
from client import JobsError


def job_filter(wanted: Filter) -> JobFilter:
    return JobFilter(
        states=[state_of(word) for word in wanted.states],
        job_type=wanted.job_type,
        created_by=wanted.created_by,
        created_after=stamp(wanted.after),
        created_before=stamp(wanted.before),
        text=wanted.text,
    )


def stamp(moment: datetime | None) -> Timestamp | None:
    if moment is None:
        return None
    made = Timestamp()
    made.FromDatetime(moment)
    return made


async def queue_names(session: Session) -> list[str]:
    pages = session.pages(session.jobs.ListQueueStats, ListQueueStatsRequest())
    return [queue.queue_name async for page in pages for queue in page.queues]


async def queue_of(session: Session, queue: str, job_id: str) -> str:
    """The queue as it was named, else the one that holds the job.

    Raises:
      CommandError: none holds it, or several do.
    """
    if queue:
        return queue
    names = await queue_names(session)
    held = await asyncio.gather(*(_holds(session, name, job_id) for name in names))
    found = [name for name, holds in zip(names, held, strict=True) if holds]
    if not found:
        raise CommandError(f"No queue holds a job {job_id!r} that you may see.", Exit.NOT_FOUND)
    if len(found) > 1:
        raise CommandError(f"{' and '.join(found)} each hold a job {job_id!r}: name one by --queue.", Exit.USAGE)
    return found[0]


async def _holds(session: Session, queue: str, job_id: str) -> bool:
    try:
        await session.call(session.jobs.GetJob, GetJobRequest(queue_name=queue, job_id=job_id))
    except JobsError as error:
        if error.code is StatusCode.NOT_FOUND:
            return False
        raise
    return True
