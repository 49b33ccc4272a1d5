"""Follows one job to its end: a bar on a terminal, lines elsewhere, events for scripts."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Final

from qcollector.jobs.v1.job_pb2 import Job, JobState
from qcollector.jobs.v1.job_queries_pb2 import (
    GetJobRequest,
    JobLogLine,
    ListJobLogsRequest,
    ListJobLogsResponse,
    WatchJobResponse,
)

from cli.exits import CommandError, Exit
from cli.job_details import outcome
from cli.output.formats import as_json, moment
from cli.output.screen import bar
from cli.output.tables import Column, Columns
from cli.output.text import state_word
from cli.output.times import shown
from cli.session import Session
from client.handle import ENDS

LOG_EVERY: Final = 0.3
"""Seconds between two looks at a log that grows."""
LOG: Final[Columns[JobLogLine]] = (
    Column("Time", lambda line: shown(moment(line.time))),
    Column("Message", lambda line: line.message),
)


async def watch(session: Session, queue: str, job_id: str) -> Exit:
    """Prints every change, then how it ended. The exit status says whether it ended well."""
    job = await _now(session, queue, job_id)
    if not session.screen.for_people:
        with session.screen.stream() as write:
            async for event in session.patient_job(queue, job_id).watch():
                write(as_json(event))
                _note(job, event)
        return status_of(job)
    job = await follow(session, job, lines=not session.screen.shows_progress)
    session.screen.print(outcome(job))
    return status_of(job)


async def follow(session: Session, job: Job, *, lines: bool) -> Job:
    """The job at its end. Shows on the way how far it is: by a bar, or by lines.

    Raises:
      CommandError: it was deleted before it had ended.
    """
    with bar(session.screen, f"{job.queue_name}/{job.id}", 100) as shown_bar:
        async for event in session.patient_job(job.queue_name, job.id).watch():
            _note(job, event)
            text = _text(event)
            shown_bar.show(job.progress, state_word(job.state))
            if text:
                shown_bar.line(text)
            if lines:
                session.screen.say(_line(job, event, text))
    if job.state not in ENDS:
        raise CommandError(f"{job.queue_name}/{job.id} was deleted before it had ended.", Exit.NOT_FOUND)
    return job


async def logs(session: Session, queue: str, job_id: str, *, to_end: bool) -> None:
    """Prints the log lines that are kept; `to_end` prints what is added until the job ends, too."""
    with session.screen.listing(LOG, "The job has written no log line.") as write:
        seen = 0

        async def catch_up() -> None:
            nonlocal seen
            answer = await _log(session, queue, job_id)
            fresh = min(answer.total - seen, len(answer.lines))
            write(answer.lines[len(answer.lines) - fresh :])
            seen = answer.total

        await catch_up()
        if to_end:
            async for _ in _slowly(session.patient_job(queue, job_id).watch()):
                await catch_up()
            await catch_up()


def status_of(job: Job) -> Exit:
    return Exit.OK if job.state == JobState.JOB_STATE_COMPLETED else Exit.FAILED


async def _now(session: Session, queue: str, job_id: str) -> Job:
    request = GetJobRequest(queue_name=queue, job_id=job_id)
    return (await session.call(session.jobs.GetJob, request)).job


async def _log(session: Session, queue: str, job_id: str) -> ListJobLogsResponse:
    return await session.call(session.jobs.ListJobLogs, ListJobLogsRequest(queue_name=queue, job_id=job_id))


async def _slowly(events: AsyncIterator[WatchJobResponse]) -> AsyncIterator[None]:
    """Tells that something happened, but not more often than anybody can read."""
    told = 0.0
    async for _ in events:
        wait = told + LOG_EVERY - time.monotonic()
        if wait > 0:
            await asyncio.sleep(wait)
        told = time.monotonic()
        yield


def _note(job: Job, event: WatchJobResponse) -> None:
    """Brings the job up to what the event says of it."""
    match event.WhichOneof("event"):
        case "snapshot":
            job.CopyFrom(event.snapshot.job)
        case "reset":
            job.CopyFrom(event.reset.job)
        case "state":
            job.state = event.state.state
        case "progress":
            job.progress = event.progress.percent
        case "end" if event.end.HasField("job"):
            job.CopyFrom(event.end.job)
        case "end":
            job.state = event.end.state


def _text(event: WatchJobResponse) -> str:
    """What there is to read in it: a reason, a step, or a line of the log."""
    return event.state.reason or event.progress.step or event.log.message or event.end.reason


def _line(job: Job, event: WatchJobResponse, text: str) -> str:
    time_of_day = shown(moment(event.time))[11:]
    return f"{time_of_day}  {state_word(job.state):<9}  {job.progress:3.0f}%  {text}".rstrip()
