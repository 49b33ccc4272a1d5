"""What is done to single jobs, whose answer is the job itself."""

from collections.abc import Sequence
from itertools import groupby

from qcollector.jobs.v1.job_actions_pb2 import (
    CancelJobRequest,
    DeleteJobRequest,
    DeleteJobResponse,
    PromoteJobRequest,
    RetryJobRequest,
)
from qcollector.jobs.v1.job_pb2 import Job
from qcollector.jobs.v1.job_queries_pb2 import GetJobRequest
from qcollector.jobs.v1.overview_pb2 import ListJobTypesRequest

from cli import bulk, listing
from cli.exits import Exit
from cli.filters import queue_names, queue_of
from cli.job_details import in_full
from cli.output.text import state_word
from cli.selection import Filter, Named
from cli.session import Session


async def list_jobs(session: Session, queue: str, wanted: Filter, order: str, limit: int) -> None:
    """The jobs of one queue, or of all."""
    await listing.show(session, queue, wanted, order, limit)


async def show(session: Session, named: Named) -> None:
    job = await get(session, named)
    session.screen.one(job, lambda: in_full(job))


async def get(session: Session, named: Named) -> Job:
    (job_id,) = named.ids
    queue = await queue_of(session, named.queue, job_id)
    request = GetJobRequest(queue_name=queue, job_id=job_id)
    return (await session.call(session.jobs.GetJob, request)).job


async def change(session: Session, deed: str, named: Named, reason: str) -> Exit | None:
    """Does it to the jobs of these ids. A single one answers for itself, many are reported."""
    places = [(await queue_of(session, named.queue, job_id), job_id) for job_id in named.ids]
    if len(places) == 1:
        await _change_one(session, deed, *places[0], reason)
        return None
    by_queue = groupby(sorted(places), key=lambda place: place[0])
    return await bulk.by_ids(
        session, bulk.DEEDS[deed], [(queue, [job_id for _, job_id in of]) for queue, of in by_queue], reason
    )


async def change_all(session: Session, deed: str, queue: str, wanted: Filter, reason: str, *, yes: bool) -> Exit:
    """Does it to all jobs that match, of one queue or of all."""
    queues = [queue] if queue else await queues_with(session, wanted.job_type)
    return await bulk.by_filter(session, bulk.DEEDS[deed], queues, wanted, reason, yes=yes)


async def queues_with(session: Session, job_type: str) -> Sequence[str]:
    """All queues; with a type those that have it, as the others would refuse to look for it."""
    if not job_type:
        return await queue_names(session)
    pages = session.pages(session.jobs.ListJobTypes, ListJobTypesRequest())
    return sorted({one.queue_name async for page in pages for one in page.job_types if one.job_type == job_type})


async def _change_one(session: Session, deed: str, queue: str, job_id: str, reason: str) -> None:
    request = {"queue_name": queue, "job_id": job_id, "reason": reason}
    calls = session.jobs
    if deed == "remove":
        await session.call(calls.DeleteJob, DeleteJobRequest(**request))
        session.screen.one(DeleteJobResponse(), lambda: f"Removed {queue}/{job_id}.")
        return
    if deed == "cancel":
        job = (await session.call(calls.CancelJob, CancelJobRequest(**request))).job
    elif deed == "retry":
        job = (await session.call(calls.RetryJob, RetryJobRequest(**request))).job
    else:
        job = (await session.call(calls.PromoteJob, PromoteJobRequest(**request))).job
    session.screen.one(job, lambda: f"{queue}/{job_id} is {state_word(job.state)}.")
