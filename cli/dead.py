"""Jobs that failed for good, over all queues."""

from typing import Final

from qcollector.jobs.v1.job_pb2 import Job

from cli import steering
from cli.exits import CommandError, Exit
from cli.job_details import in_full
from cli.listing import NEWEST
from cli.output.text import state_word
from cli.selection import Filter, Named
from cli.session import Session

FAILED: Final = "failed"


async def list_dead(session: Session, queue: str, wanted: Filter, limit: int) -> None:
    await steering.list_jobs(session, queue, wanted, NEWEST, limit)


async def show(session: Session, named: Named) -> None:
    job = await _dead(session, named)
    session.screen.one(job, lambda: in_full(job))


async def change(session: Session, deed: str, named: Named, reason: str) -> Exit | None:
    """As for any jobs, but each of them must have failed for good."""
    for job_id in named.ids:
        await _dead(session, Named(named.queue, (job_id,)))
    return await steering.change(session, deed, named, reason)


async def _dead(session: Session, named: Named) -> Job:
    """The job. Raises CommandError where it has not failed."""
    job = await steering.get(session, named)
    word = state_word(job.state)
    if word != FAILED:
        raise CommandError(f"{job.queue_name}/{job.id} is {word}, no dead letter: see `qjobs job`.", Exit.CONFLICT)
    return job
