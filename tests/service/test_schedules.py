"""Schedules over gRPC: made, changed, paused, triggered, previewed; wrong ones refused by field."""

from typing import Any

import grpc
import pytest
from google.protobuf.json_format import ParseDict
from qcollector.jobs.v1 import schedule_service_pb2 as pb
from qcollector.jobs.v1.schedule_service_pb2_grpc import ScheduleServiceStub

from tests.service.conftest import Running, bearer, refused

NOOP = {"queueName": "test:work", "jobType": "noop", "data": {"pad": "x"}, "options": {"priority": 3}}


class Schedules:
    """ScheduleService as one caller sees it."""

    def __init__(self, service: Running, role: str) -> None:
        self._stub = ScheduleServiceStub(service.channel)
        self._metadata = bearer(role=role)

    def call(self, method: str, **fields: Any) -> Any:
        request = ParseDict(fields, getattr(pb, f"{method}Request")())
        return getattr(self._stub, method)(request, metadata=self._metadata)


@pytest.fixture
def admin(service: Running) -> Schedules:
    return Schedules(service, "admin")


async def test_a_schedule_is_made_shown_changed_paused_and_deleted(admin: Schedules) -> None:
    made = (
        await admin.call("CreateSchedule", name="nightly", cron="0  2 * * *", timezone="Europe/Berlin", job=NOOP)
    ).schedule
    assert (made.cron, made.cron_text, made.timezone, made.queue_name) == (
        "0 2 * * *",
        "At 02:00",
        "Europe/Berlin",
        "test:work",
    )
    assert len(made.next_times) == 5
    assert (made.created_by, made.options.priority, made.payload.WhichOneof("payload")) == ("alice", 3, "custom")
    listed = await admin.call("ListSchedules")
    assert [one.name for one in listed.schedules] == ["nightly"]
    changed = (await admin.call("UpdateSchedule", name="nightly", cron="30 4 * * 1")).schedule
    assert (changed.cron_text, changed.timezone, changed.job_type) == (
        "At 04:30, only on Monday",
        "Europe/Berlin",
        "noop",
    )
    paused = (await admin.call("PauseSchedule", name="nightly")).schedule
    assert paused.paused
    assert not paused.next_times
    assert not (await admin.call("ResumeSchedule", name="nightly")).schedule.paused
    await admin.call("DeleteSchedule", name="nightly")
    gone = await refused(admin.call("GetSchedule", name="nightly"))
    assert (gone.code, gone.reason) == (grpc.StatusCode.NOT_FOUND, "SCHEDULE_NOT_FOUND")


async def test_triggering_enqueues_and_the_run_is_listed(admin: Schedules) -> None:
    await admin.call("CreateSchedule", name="nightly", cron="0 2 * * *", job=NOOP)
    job = await admin.call("TriggerSchedule", name="nightly")
    (run,) = (await admin.call("ListScheduleRuns", name="nightly")).runs
    assert (run.job_id, run.triggered, run.state) == (job.job_id, True, 1)


async def test_a_second_schedule_of_a_name_is_refused(admin: Schedules) -> None:
    await admin.call("CreateSchedule", name="nightly", cron="0 2 * * *", job=NOOP)
    again = await refused(admin.call("CreateSchedule", name="nightly", cron="0 2 * * *", job=NOOP))
    assert (again.code, again.reason) == (grpc.StatusCode.ALREADY_EXISTS, "SCHEDULE_EXISTS")


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"name": "Bad Name"}, "name"),
        ({"cron": "61 * * * *"}, "cron"),
        ({"timezone": "Mars/Olympus"}, "timezone"),
        ({"job": NOOP | {"data": {"pda": 1}}}, "job.data.pda"),
        ({"job": NOOP | {"options": {"jobId": "mine"}}}, "job.options.jobId"),
        ({"job": NOOP | {"options": {"delay": 5}}}, "job.options.delay"),
    ],
)
async def test_what_is_wrong_is_named(admin: Schedules, fields: dict[str, object], field: str) -> None:
    good = {"name": "nightly", "cron": "0 2 * * *", "job": NOOP}
    refusal = await refused(admin.call("CreateSchedule", **(good | fields)))
    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert [violation.field for violation in refusal.violations] == [field]
    assert not (await admin.call("ListSchedules")).schedules


async def test_a_preview_tells_times_and_words(admin: Schedules) -> None:
    shown = await admin.call("PreviewSchedule", cron="*/30 * * * *", count=3)
    assert len(shown.times) == 3
    assert shown.cron_text == "Every 30 minutes"


async def test_a_schedules_secrets_are_masked(admin: Schedules) -> None:
    job = {"queueName": "test:work", "jobType": "secret", "data": {"token": "hush", "name": "n"}}
    made = await admin.call("CreateSchedule", name="nightly", cron="0 2 * * *", job=job)
    assert b"hush" not in made.SerializeToString()


async def test_users_look_and_do_not_touch(service: Running, admin: Schedules) -> None:
    await admin.call("CreateSchedule", name="nightly", cron="0 2 * * *", job=NOOP)
    user = Schedules(service, "sales")
    assert (await user.call("ListSchedules")).schedules
    for method in ("DeleteSchedule", "PauseSchedule", "ResumeSchedule", "TriggerSchedule"):
        assert (await refused(user.call(method, name="nightly"))).code is grpc.StatusCode.PERMISSION_DENIED
