"""Recurring jobs: seen, made, changed, fired."""

import uuid
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from qcollector.jobs.v1.job_pb2 import JobOptions
from qcollector.jobs.v1.schedule_service_pb2 import (
    CreateScheduleRequest,
    DeleteScheduleRequest,
    DeleteScheduleResponse,
    GetScheduleRequest,
    ListScheduleRunsRequest,
    ListSchedulesRequest,
    PauseScheduleRequest,
    PreviewScheduleRequest,
    ResumeScheduleRequest,
    Schedule,
    ScheduleJob,
    ScheduleRun,
    TriggerScheduleRequest,
    UpdateScheduleRequest,
)
from qcollector.jobs.v1.schedule_service_pb2_grpc import ScheduleServiceStub

from cli.enqueueing import Typed
from cli.exits import CommandError, Exit
from cli.output.formats import as_json, moment
from cli.output.tables import Column, Columns, fields, section, tree, when
from cli.output.text import colour_of, harmless, state_word, yes_or_no
from cli.output.times import ago, shown
from cli.session import Session

if TYPE_CHECKING:
    from qcollector.jobs.v1.schedule_service_pb2_grpc import ScheduleServiceAsyncStub

SCHEDULES: Final[Columns[Schedule]] = (
    Column("Name", lambda one: one.name),
    Column("Paused", lambda one: yes_or_no(one.paused), style=lambda one: "yellow" if one.paused else ""),
    Column("Broken", lambda one: yes_or_no(bool(one.error)), style=lambda one: "red" if one.error else ""),
    Column("When", lambda one: one.cron_text or one.cron),
    Column("Zone", lambda one: one.timezone),
    Column("Queue", lambda one: one.queue_name),
    Column("Type", lambda one: one.job_type),
    Column("Last", lambda one: ago(moment(one.last_slot))),
    Column("Next", lambda one: ago(moment(one.next_times[0])) if one.next_times else ""),
)
RUNS: Final[Columns[ScheduleRun]] = (
    Column("Slot", lambda run: shown(moment(run.slot))),
    Column("Enqueued", lambda run: ago(moment(run.enqueue_time))),
    Column("Triggered", lambda run: yes_or_no(run.triggered)),
    Column("Job", lambda run: run.job.job_id),
    Column("State", lambda run: state_word(run.state) or "gone", style=lambda run: colour_of(state_word(run.state))),
    Column("Failed because", lambda run: run.failed_reason.partition("\n")[0]),
)


@dataclass(frozen=True)
class Wanted:
    """What the command line says of a schedule; None leaves it as it is."""

    cron: str | None = None
    timezone: str | None = None
    description: str | None = None
    queue: str = ""
    job_type: str = ""
    typed: Typed = field(default_factory=Typed)


async def list_all(session: Session) -> None:
    with session.screen.listing(SCHEDULES, "There are no schedules.") as write:
        async for page in _pages(session):
            write(page)


async def names(session: Session) -> list[str]:
    return [one.name async for page in _pages(session) for one in page]


async def show(session: Session, name: str) -> None:
    schedule = await _get(session, name)
    session.screen.one(schedule, lambda: in_full(schedule))


async def create(session: Session, name: str, wanted: Wanted, *, paused: bool) -> None:
    request = CreateScheduleRequest(
        name=name,
        description=wanted.description or "",
        cron=wanted.cron or "",
        timezone=wanted.timezone or "",
        job=_job(wanted, JobOptions()),
        paused=paused,
    )
    schedule = (await session.call(_calls(session).CreateSchedule, request)).schedule
    session.screen.one(schedule, lambda: _told(schedule, "is there"))


async def update(session: Session, name: str, wanted: Wanted) -> None:
    """Changes what is named. The job is replaced as a whole, since its sensitive values are not shown to be kept."""
    request = UpdateScheduleRequest(
        name=name, description=wanted.description, cron=wanted.cron, timezone=wanted.timezone
    )
    options = wanted.typed.options()
    if wanted.typed.data or wanted.typed.settings:
        before = await _get(session, name)
        request.etag = before.etag  # the job is made of what it was
        here = Wanted(
            queue=wanted.queue or before.queue_name, job_type=wanted.job_type or before.job_type, typed=wanted.typed
        )
        request.job.CopyFrom(_job(here, before.options))
    elif wanted.queue or wanted.job_type or options.ListFields():
        raise CommandError("The job is replaced as a whole: say its --data as well.", Exit.USAGE)
    schedule = (await session.call(_calls(session).UpdateSchedule, request)).schedule
    session.screen.one(schedule, lambda: _told(schedule, "is changed"))


async def pause(session: Session, name: str) -> None:
    schedule = (await session.call(_calls(session).PauseSchedule, PauseScheduleRequest(name=name))).schedule
    session.screen.one(schedule, lambda: f"{name} is paused: it fires no more until it is resumed.")


async def resume(session: Session, name: str) -> None:
    schedule = (await session.call(_calls(session).ResumeSchedule, ResumeScheduleRequest(name=name))).schedule
    session.screen.one(schedule, lambda: _told(schedule, "fires again"))


async def trigger(session: Session, name: str, request_id: str) -> None:
    request = TriggerScheduleRequest(name=name, request_id=request_id or str(uuid.uuid4()))
    answer = await session.call(_calls(session).TriggerSchedule, request)
    session.screen.one(
        answer,
        lambda: harmless(
            answer.job_id if session.screen.quiet else f"{answer.queue_name}/{answer.job_id} is enqueued."
        ),
    )


async def runs(session: Session, name: str, limit: int) -> None:
    answer = await session.call(_calls(session).ListScheduleRuns, ListScheduleRunsRequest(name=name, page_size=limit))
    with session.screen.listing(RUNS, f"{name} has not fired yet.") as write:
        write(answer.runs)


async def preview(session: Session, cron: str, timezone: str, count: int) -> None:
    request = PreviewScheduleRequest(cron=cron, timezone=timezone, count=count)
    answer = await session.call(_calls(session).PreviewSchedule, request)
    session.screen.one(answer, lambda: "\n".join([harmless(answer.cron_text), *map(when, answer.times)]))


async def delete(session: Session, name: str, *, yes: bool) -> None:
    await _get(session, name)
    session.screen.confirm(f"Delete the schedule {name}?", yes=yes)
    await session.call(_calls(session).DeleteSchedule, DeleteScheduleRequest(name=name))
    session.screen.one(DeleteScheduleResponse(), lambda: f"{name} is deleted. Jobs that it enqueued stay.")


def in_full(schedule: Schedule) -> str:
    """All that is known of a schedule."""
    head = fields(
        [
            ("Name", schedule.name),
            ("For", schedule.description),
            ("Paused", yes_or_no(schedule.paused)),
            ("When", f"{schedule.cron} ({schedule.cron_text})"),
            ("Cannot fire", schedule.error),
            (
                "Zone",
                f"{schedule.timezone}{' (follows SCHEDULE_TIMEZONE)' if schedule.timezone_follows_setting else ''}",
            ),
            ("Queue", schedule.queue_name),
            ("Type", schedule.job_type),
            ("Last slot", when(schedule.last_slot)),
            ("Runs as", schedule.run_as.id),
            ("Made by", schedule.created_by.id),
            ("Made", when(schedule.create_time)),
            ("Changed by", schedule.updated_by.id),
            ("Changed", when(schedule.update_time)),
        ]
    )
    return (
        head
        + section("Next", "\n".join(map(when, schedule.next_times)))
        + section("Payload", tree(as_json(schedule.payload)))
        + section("Options", tree({name: value for name, value in as_json(schedule.options).items() if value}))
    )


async def _pages(session: Session) -> AsyncIterator[Sequence[Schedule]]:
    request = ListSchedulesRequest(page_size=500)
    while True:
        answer = await session.call(_calls(session).ListSchedules, request)
        yield answer.schedules
        if not answer.next_page_token:
            return
        request.page_token = answer.next_page_token


async def _get(session: Session, name: str) -> Schedule:
    return (await session.call(_calls(session).GetSchedule, GetScheduleRequest(name=name))).schedule


def _job(wanted: Wanted, options: JobOptions) -> ScheduleJob:
    """The job: `options` as they were, and over them those that are typed."""
    job = ScheduleJob(queue_name=wanted.queue, job_type=wanted.job_type, data=wanted.typed.struct(), options=options)
    typed = wanted.typed.options()
    if typed.HasField("backoff"):
        job.options.ClearField("backoff")  # it is typed as a whole
    job.options.MergeFrom(typed)
    return job


def _told(schedule: Schedule, what: str) -> str:
    first = f": next {when(schedule.next_times[0])}" if schedule.next_times else ""
    return harmless(f"{schedule.name} {what}, {schedule.cron_text or schedule.cron} ({schedule.timezone}){first}.")


def _calls(session: Session) -> "ScheduleServiceAsyncStub":
    return ScheduleServiceStub(session.connection.channel)
