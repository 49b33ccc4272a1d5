"""Schedules over gRPC: made, changed, paused, triggered, previewed; wrong ones refused by field."""

import asyncio
from typing import Any

import grpc
import pytest
from google.protobuf.json_format import ParseDict
from qcollector.jobs.storage.v1.storage_pb2 import ScheduleRecord
from qcollector.jobs.v1 import schedule_service_pb2 as pb
from qcollector.jobs.v1.schedule_service_pb2_grpc import ScheduleServiceStub

from engine.store import Store
from tests.service.conftest import Running, bearer, refused

NOOP = {"queueName": "test:work", "jobType": "noop", "data": {"pad": "x"}, "options": {"priority": 3}}


class Schedules:
    """ScheduleService as one caller sees it."""

    def __init__(self, service: Running, role: str, **claims: Any) -> None:
        self._stub = ScheduleServiceStub(service.channel)
        self._metadata = bearer(role=role, **claims)

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
    assert (made.created_by.id, made.options.priority, made.payload.WhichOneof("payload")) == ("alice", 3, "custom")
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
    assert (run.job.job_id, run.triggered, run.state) == (job.job_id, True, 1)


async def test_a_repeated_trigger_is_the_first_job_and_one_run(admin: Schedules) -> None:
    await admin.call("CreateSchedule", name="nightly", cron="0 2 * * *", job=NOOP)
    first = await admin.call("TriggerSchedule", name="nightly", requestId="r-1")
    await admin.call("UpdateSchedule", name="nightly", job=NOOP | {"data": {"pad": "y"}})
    again = await admin.call("TriggerSchedule", name="nightly", requestId="r-1")
    assert (first.duplicate, again.duplicate) == (False, True)
    assert (again.job_id, again.create_time) == (first.job_id, first.create_time)
    assert [run.job.job_id for run in (await admin.call("ListScheduleRuns", name="nightly")).runs] == [first.job_id]
    other = await admin.call("TriggerSchedule", name="nightly", requestId="r-2")
    assert not other.duplicate
    assert other.job_id != first.job_id


async def test_a_request_id_of_a_trigger_is_its_callers_and_stands_for_one_schedule(
    service: Running, admin: Schedules
) -> None:
    for name in ("nightly", "weekly"):
        await admin.call("CreateSchedule", name=name, cron="0 2 * * *", job=NOOP)
    await admin.call("TriggerSchedule", name="nightly", requestId="r-1")
    refusal = await refused(admin.call("TriggerSchedule", name="weekly", requestId="r-1"))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.ALREADY_EXISTS, "REQUEST_ID_CONFLICT")
    assert refusal.fields == ["requestId"]
    assert not (await admin.call("ListScheduleRuns", name="weekly")).runs
    another = Schedules(service, "admin", sub="another")
    assert not (await another.call("TriggerSchedule", name="nightly", requestId="r-1")).duplicate


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


async def test_who_made_a_schedule_survives_edits_and_who_changed_it_is_told_beside(
    service: Running, admin: Schedules
) -> None:
    made = (await admin.call("CreateSchedule", name="nightly", cron="0 2 * * *", job=NOOP)).schedule
    assert not made.HasField("updated_by")
    bob = Schedules(service, "super_admin", sub="bob")
    told = (await bob.call("UpdateSchedule", name="nightly", description="words")).schedule
    assert (told.created_by.id, told.updated_by.id, told.run_as.id) == ("alice", "bob", "alice")
    taken = (await bob.call("UpdateSchedule", name="nightly", job=NOOP)).schedule
    assert (taken.created_by.id, taken.run_as.id) == ("alice", "bob"), "its jobs run as whoever says what they do"
    assert (await admin.call("PauseSchedule", name="nightly")).schedule.updated_by.id == "alice"


async def test_a_change_of_what_was_changed_since_is_refused_and_says_what_to_do(admin: Schedules) -> None:
    seen = (await admin.call("CreateSchedule", name="nightly", cron="0 2 * * *", job=NOOP)).schedule.etag
    changed = (await admin.call("UpdateSchedule", name="nightly", description="a", etag=seen)).schedule
    for method, fields in (
        ("UpdateSchedule", {"description": "b"}),
        ("PauseSchedule", {}),
        ("ResumeSchedule", {}),
        ("DeleteSchedule", {}),
    ):
        refusal = await refused(admin.call(method, name="nightly", etag=seen, **fields))
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.ABORTED, "ETAG_MISMATCH")
        assert "Read it again" in refusal.message
    assert (await admin.call("GetSchedule", name="nightly")).schedule == changed
    await admin.call("DeleteSchedule", name="nightly", etag=changed.etag)


async def test_a_pause_beside_an_update_is_never_undone(admin: Schedules) -> None:
    await admin.call("CreateSchedule", name="nightly", cron="0 2 * * *", job=NOOP)
    for turn in range(30):
        await admin.call("ResumeSchedule", name="nightly")
        await asyncio.gather(
            admin.call("UpdateSchedule", name="nightly", description=f"{turn}", job=NOOP),
            admin.call("PauseSchedule", name="nightly"),
        )
        found = (await admin.call("GetSchedule", name="nightly")).schedule
        assert (found.paused, found.description) == (True, f"{turn}")


async def test_an_empty_zone_follows_the_setting_and_a_named_one_does_not(admin: Schedules) -> None:
    made = (await admin.call("CreateSchedule", name="nightly", cron="0 2 * * *", job=NOOP)).schedule
    assert (made.timezone, made.timezone_follows_setting) == ("UTC", True)
    named = (await admin.call("UpdateSchedule", name="nightly", timezone="UTC")).schedule
    assert not named.timezone_follows_setting
    assert (await admin.call("UpdateSchedule", name="nightly", timezone="")).schedule.timezone_follows_setting


async def test_schedules_and_runs_come_in_pages(admin: Schedules) -> None:
    for name in ("c", "a", "b"):
        await admin.call("CreateSchedule", name=name, cron="0 2 * * *", job=NOOP)
    first = await admin.call("ListSchedules", pageSize=2)
    rest = await admin.call("ListSchedules", pageSize=100_000, pageToken=first.next_page_token)
    assert [[one.name for one in page.schedules] for page in (first, rest)] == [["a", "b"], ["c"]]
    assert rest.next_page_token == ""
    jobs = [(await admin.call("TriggerSchedule", name="a")).job_id for _ in range(5)]
    found, token = [], ""
    while True:
        page = await admin.call("ListScheduleRuns", name="a", pageSize=2, pageToken=token)
        found += [run.job.job_id for run in page.runs]
        if not (token := page.next_page_token):
            break
    assert sorted(found) == sorted(jobs)
    assert len((await admin.call("ListScheduleRuns", name="a", pageSize=2_000_000)).runs) == 5


@pytest.mark.parametrize("method", ["ListSchedules", "ListScheduleRuns"])
async def test_a_negative_page_size_and_a_token_of_another_list_are_refused(admin: Schedules, method: str) -> None:
    for name in ("a", "b"):
        await admin.call("CreateSchedule", name=name, cron="0 2 * * *", job=NOOP)
        await admin.call("TriggerSchedule", name=name)
        await admin.call("TriggerSchedule", name=name)
    fields = {"name": "a"} if method == "ListScheduleRuns" else {}
    other = (await admin.call("ListScheduleRuns", name="b", pageSize=1)).next_page_token
    for wrong, field in (
        ({"pageSize": -1}, "pageSize"),
        ({"pageToken": other}, "pageToken"),
        ({"pageToken": "é"}, "pageToken"),
    ):
        refusal = await refused(admin.call(method, **fields, **wrong))
        assert [one.field for one in refusal.violations] == [field]


async def test_a_broken_schedule_is_listed_with_its_cause_beside_the_others(
    service: Running, admin: Schedules, store: Store
) -> None:
    records = store.keys("schedules")["records"]
    for name in ("a", "b-zone", "c-payload", "d-gone", "e-record", "f"):
        await admin.call("CreateSchedule", name=name, cron="0 2 * * *", job=NOOP)
        await admin.call("TriggerSchedule", name=name)

    async def spoil(name: str, **fields: Any) -> None:
        record = ScheduleRecord.FromString(await store.client.hget(records, name))
        for field, value in fields.items():
            setattr(record, field, value)
        await store.client.hset(records, name, record.SerializeToString())

    await spoil("b-zone", timezone="Europe/Atlantis")
    await spoil("c-payload", payload=b"\x0a\xff\xff")
    await spoil("d-gone", job_type="gone")
    await store.client.hset(records, "e-record", b"\x0a\xff\xff garbage")
    listed = {one.name: one for one in (await admin.call("ListSchedules")).schedules}
    assert {name: bool(one.error) for name, one in listed.items()} == {
        "a": False,
        "b-zone": True,
        "c-payload": True,
        "d-gone": True,
        "e-record": True,
        "f": False,
    }
    for name, cause in (
        ("b-zone", "Europe/Atlantis"),
        ("c-payload", "payload cannot be read"),
        ("d-gone", "test:work/gone"),
        ("e-record", "delete it"),
    ):
        assert cause in listed[name].error
        assert (await admin.call("GetSchedule", name=name)).schedule.error == listed[name].error
        assert len((await admin.call("ListScheduleRuns", name=name)).runs) == 1
    refusal = await refused(admin.call("TriggerSchedule", name="c-payload"))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "SCHEDULE_BROKEN")
    mended = (await admin.call("UpdateSchedule", name="b-zone", timezone="Europe/Berlin")).schedule
    assert (mended.error, len(mended.next_times)) == ("", 5)
    assert not (await admin.call("UpdateSchedule", name="c-payload", job=NOOP)).schedule.error
    await admin.call("DeleteSchedule", name="e-record")
