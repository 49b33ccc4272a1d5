"""Schedules: cron expressions through the year and the clocks' changes, and slots that fire once each."""

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from qcollector.jobs.storage.v1.storage_pb2 import ScheduleRecord
from qcollector.jobs.v1.job_pb2 import Caller, JobOptions
from testjobs.v1.testjobs_pb2 import Noop, Secret

from base.settings import Settings
from base.telemetry.spans import NO_SPAN
from base.telemetry.trace_context import NO_TRACE, TraceContext
from contract.admission import Admission
from contract.catalog import Catalog
from contract.errors import RequestInvalidError, ScheduleExistsError, ScheduleNotFoundError
from engine.cron import Cron, parse_cron
from engine.firing import Firing, Round
from engine.jobs import JobQuery
from engine.schedules import Schedules
from engine.store import Store

from .conftest import QUEUE, Engine

BERLIN = ZoneInfo("Europe/Berlin")


def slots(expression: str, start: datetime, count: int, zone: str = "Europe/Berlin") -> list[str]:
    return [
        f"{slot.astimezone(ZoneInfo(zone)):%m-%d %H:%M}" for slot in Cron(expression, zone).next_times(start, count)
    ]


def test_a_daily_slot_keeps_its_hour_through_both_changes_of_the_clocks() -> None:
    assert slots("0 3 * * *", datetime(2026, 3, 28, tzinfo=BERLIN), 3) == ["03-28 03:00", "03-29 03:00", "03-30 03:00"]
    assert slots("0 3 * * *", datetime(2026, 10, 24, tzinfo=BERLIN), 3) == ["10-24 03:00", "10-25 03:00", "10-26 03:00"]


def test_a_skipped_time_fires_right_after_the_gap_and_one_that_comes_twice_fires_once() -> None:
    assert slots("30 2 * * *", datetime(2026, 3, 28, 12, tzinfo=BERLIN), 2) == ["03-29 03:00", "03-30 02:30"]
    assert slots("30 2 * * *", datetime(2026, 10, 24, 12, tzinfo=BERLIN), 2) == ["10-25 02:30", "10-26 02:30"]


@pytest.mark.parametrize("minute", [0, 10, 30, 59])
def test_within_the_hour_that_comes_twice_no_slot_lies_in_the_past(minute: int) -> None:
    second_pass = datetime(2026, 10, 25, 2, minute, tzinfo=BERLIN, fold=1)
    assert slots("30 2 * * *", second_pass, 2) == ["10-26 02:30", "10-27 02:30"]
    assert Cron("30 2 * * *", "Europe/Berlin").latest(second_pass, second_pass + timedelta(minutes=1)) is None


CHANGES = [
    ("Europe/Berlin", datetime(2026, 10, 25, tzinfo=UTC)),
    ("Europe/Berlin", datetime(2026, 3, 29, tzinfo=UTC)),
    ("America/Havana", datetime(2026, 11, 1, 4, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2026, 4, 4, 14, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2026, 10, 3, 14, tzinfo=UTC)),
]
"""Zones, and about when their clocks change."""


@hypothesis_settings(deadline=None)
@given(
    expression=st.sampled_from(
        ["30 2 * * *", "*/30 * * * *", "0 */2 * * *", "15 0,2 * * *", "0 0 * * *", "45 1 * * *"]
    ),
    change=st.sampled_from(CHANGES),
    minutes=st.integers(-12 * 60, 12 * 60),
)
def test_whenever_one_begins_to_count_the_same_slots_come(
    expression: str, change: tuple[str, datetime], minutes: int
) -> None:
    zone, about = change
    cron, moment = Cron(expression, zone), about + timedelta(minutes=minutes)
    walked = [slot for slot in cron.next_times(about - timedelta(hours=36), 200) if slot > moment]
    assert cron.next_times(moment, 3) == walked[:3]


def test_a_slot_every_half_hour_goes_by_real_time() -> None:
    found = Cron("*/30 * * * *", "Europe/Berlin").next_times(datetime(2026, 10, 24, 22, tzinfo=UTC), 12)
    assert {later - earlier for earlier, later in pairwise(found)} == {timedelta(minutes=30)}


@pytest.mark.parametrize("expression", ["0 0 * * 7", "0 0 * * 6-7", "5/15 * * * *", "0 0 1 JAN *", "0 0 L * *"])
def test_what_other_engines_silently_never_fire_fires_here(expression: str) -> None:
    assert parse_cron(expression, "UTC").next_times(datetime.now(UTC), 1)


@pytest.mark.parametrize("expression", ["", "x", "60 * * * *", "* * * *", "* * * * * *", "0 0 30 2 *", "0 25 * * *"])
def test_an_expression_that_cannot_fire_is_refused_with_a_remedy(expression: str) -> None:
    with pytest.raises(RequestInvalidError, match=r"cron: .*write for example"):
        parse_cron(expression, "UTC")


def test_a_zone_that_is_none_is_refused() -> None:
    with pytest.raises(RequestInvalidError, match="timezone"):
        parse_cron("0 0 * * *", "Europe/Atlantis")


@hypothesis_settings(deadline=None)  # walking through two months of half hours takes its time
@given(
    expression=st.sampled_from(["*/30 * * * *", "0 2 * * *", "0 1 1 * *", "30 2 * * 0", "15 */6 * * *", "0 0 29 2 *"]),
    start=st.datetimes(datetime(2024, 1, 1), datetime(2026, 12, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    hours=st.integers(0, 24 * 60),
)
def test_the_latest_slot_is_the_last_of_those_in_between(expression: str, start: datetime, hours: int) -> None:
    cron, until = Cron(expression, "Europe/Berlin"), start + timedelta(hours=hours)
    between = []
    for slot in cron.after(start):
        if slot > until:
            break
        between.append(slot)
    assert cron.latest(start, until) == (between[-1] if between else None)


@pytest.fixture
async def schedules(store: Store) -> Schedules:
    return Schedules(store)


@pytest.fixture
async def firing(schedules: Schedules, store: Store, settings: Settings, catalog: Catalog, engine: Engine) -> Firing:
    return Firing(store, schedules, catalog, Admission(catalog, settings), engine.intake)


def record(name: str = "every-minute", cron: str = "* * * * *", **fields: object) -> ScheduleRecord:
    return ScheduleRecord(
        name=name,
        cron=cron,
        timezone="UTC",
        queue_name=QUEUE,
        job_type="noop",
        payload=Noop(pad="x").SerializeToString(),
        created_by=Caller(id="alice", role="admin"),
        **fields,
    )


async def _turn_back(store: Store, name: str, minutes: float) -> None:
    """As if the schedule had last fired so long ago."""
    await store.client.hincrby(store.keys("schedules")["slots"], name, -int(minutes * 60_000))


def _resume(record: ScheduleRecord) -> None:
    record.paused = False


def _pad_more(record: ScheduleRecord) -> None:
    record.payload = Noop(pad="xx").SerializeToString()


async def _jobs(engine: Engine) -> list[str]:
    return [job.id for job in (await engine.inspection.page(QUEUE, JobQuery())).jobs]


async def test_a_slot_fires_once_however_many_schedulers_there_are(
    schedules: Schedules, firing: Firing, store: Store, engine: Engine
) -> None:
    await schedules.create(record())
    coming = (await schedules.get("every-minute")).cron.next_times(datetime.now(UTC), 1)[0]
    assert await firing.fire_due() == Round(coming=coming)
    await _turn_back(store, "every-minute", 2)
    fired = await asyncio.gather(*(firing.fire_due() for _ in range(8)))
    assert sum(len(done.fired) for done in fired) == 1
    (job_id,) = await _jobs(engine)
    assert job_id.startswith("repeat-every-minute-2")
    assert (await firing.fire_due()).fired == []


async def test_of_many_missed_slots_the_latest_alone_is_made_up(
    schedules: Schedules, firing: Firing, store: Store, engine: Engine
) -> None:
    await schedules.create(record())
    await _turn_back(store, "every-minute", 3 * 24 * 60)
    fired, now = (await firing.fire_due()).fired, datetime.now(UTC)
    assert len(fired) == 1
    (run,) = await schedules.runs("every-minute")
    assert now - run.slot < timedelta(minutes=2)
    assert await _jobs(engine) == fired


async def _enqueued_but_not_noted(schedules: Schedules, firing: Firing, store: Store, engine: Engine) -> datetime:
    """A slot whose scheduler died between its two steps."""
    await schedules.create(record())
    await _turn_back(store, "every-minute", 2)
    schedule = await schedules.get("every-minute")
    slot = schedule.cron.latest(schedule.since, datetime.now(UTC))
    assert slot
    await engine.intake.enqueue(
        firing._admit(schedule, f"repeat-every-minute-{slot:%Y%m%dT%H%M%SZ}", slot, NO_TRACE).job
    )
    return slot


async def test_a_scheduler_that_died_before_it_noted_its_slot_is_repeated_without_a_second_job(
    schedules: Schedules, firing: Firing, store: Store, engine: Engine
) -> None:
    await _enqueued_but_not_noted(schedules, firing, store, engine)
    await firing.fire_due()
    assert len(await _jobs(engine)) == 1
    assert len(await schedules.runs("every-minute")) == 1


async def test_a_slot_whose_job_was_enqueued_before_the_schedule_changed_is_noted_without_a_second_job(
    schedules: Schedules, firing: Firing, store: Store, engine: Engine
) -> None:
    slot = await _enqueued_but_not_noted(schedules, firing, store, engine)
    await schedules.change("every-minute", _pad_more)
    done = await firing.fire_due()
    assert done.faults == []
    assert len(await _jobs(engine)) == 1
    assert [run.slot for run in await schedules.runs("every-minute")] == [slot]


async def test_a_paused_schedule_does_not_fire_and_a_changed_one_counts_from_then_on(
    schedules: Schedules, firing: Firing, store: Store, engine: Engine
) -> None:
    await schedules.create(record(paused=True))
    await _turn_back(store, "every-minute", 5)
    assert (await firing.fire_due()).fired == []
    await schedules.change("every-minute", _resume)
    assert (await firing.fire_due()).fired == []
    await _turn_back(store, "every-minute", 2)
    assert len((await firing.fire_due()).fired) == 1


async def test_the_last_slot_is_one_that_was_fired_and_outlives_a_change(
    schedules: Schedules, firing: Firing, store: Store
) -> None:
    await schedules.create(record())
    assert (await schedules.get("every-minute")).fired is None
    await firing.trigger("every-minute")
    assert (await schedules.get("every-minute")).fired is None, "a trigger fires no slot"
    await _turn_back(store, "every-minute", 2)
    await firing.fire_due()
    slot = max(run.slot for run in await schedules.runs("every-minute") if not run.triggered)
    await schedules.change("every-minute", lambda record: setattr(record, "cron", "*/2 * * * *"))
    assert (await schedules.get("every-minute")).fired == slot
    await schedules.delete("every-minute")
    await schedules.create(record())
    assert (await schedules.get("every-minute")).fired is None
    assert await schedules.runs("every-minute") == []


async def test_triggering_enqueues_at_once_and_leaves_the_slots_alone(
    schedules: Schedules, firing: Firing, engine: Engine
) -> None:
    await schedules.create(record(options=JobOptions(priority=4)))
    before = (await schedules.get("every-minute")).since
    admitted, enqueued = await firing.trigger("every-minute")
    job = await engine.inspection.get(admitted.type.queue, enqueued.id)
    assert job
    assert (job.priority, job.envelope.created_by.id) == (4, "alice")
    assert (await schedules.get("every-minute")).since == before
    (run,) = await schedules.runs("every-minute")
    assert run.triggered


async def test_a_repeated_trigger_notes_the_run_that_the_first_call_left_out(
    schedules: Schedules, firing: Firing, store: Store
) -> None:
    await schedules.create(record())
    _, first = await firing.trigger("every-minute", caller="bob", request_id="r-1")
    await store.client.hdel(store.keys("schedules")["runs"], "every-minute")
    _, again = await firing.trigger("every-minute", caller="bob", request_id="r-1")
    assert (again.id, again.duplicate) == (first.id, True)
    (run,) = await schedules.runs("every-minute")
    assert (run.job_id, run.triggered) == (first.id, True)


async def test_names_are_unique_and_unknown_ones_an_error(schedules: Schedules, firing: Firing) -> None:
    await schedules.create(record())
    with pytest.raises(ScheduleExistsError):
        await schedules.create(record())
    await schedules.delete("every-minute")
    for attempt in (
        schedules.get("every-minute"),
        schedules.delete("every-minute"),
        schedules.change("every-minute", _resume),
        schedules.runs("every-minute"),
        firing.trigger("every-minute"),
    ):
        with pytest.raises(ScheduleNotFoundError):
            await attempt


async def test_a_store_is_seeded_once_and_what_was_deleted_stays_deleted(schedules: Schedules) -> None:
    assert await schedules.seed([]) == 0
    assert await schedules.seed([record("a"), record("b")]) == 2
    await schedules.delete("a")
    assert await schedules.seed([record("a"), record("b")]) == 0
    assert [one.record.name for one in (await schedules.all())[0]] == ["b"]


async def test_seeding_leaves_a_schedule_of_the_same_name_as_it_is(schedules: Schedules) -> None:
    await schedules.create(record("a", cron="0 3 * * *"))
    assert await schedules.seed([record("a"), record("b")]) == 1
    assert (await schedules.get("a")).record.cron == "0 3 * * *"


async def test_the_slots_of_a_seeded_schedule_count_from_then_on(schedules: Schedules, firing: Firing) -> None:
    await schedules.seed([record("yearly", cron="0 0 1 1 *")])
    since, now = (await schedules.get("yearly")).since, (await schedules.all())[1]
    assert now - since < timedelta(minutes=1)
    assert (await firing.fire_due()).fired == []


async def test_sensitive_values_of_a_schedules_jobs_reach_their_worker(
    schedules: Schedules, firing: Firing, engine: Engine
) -> None:
    secret = record("secret")
    secret.job_type, secret.payload = "secret", Secret(token="hush", name="n").SerializeToString()
    await schedules.create(secret)
    _, enqueued = await firing.trigger("secret")
    (claimed,) = (await engine.worker().claim(1)).jobs
    assert claimed.id == enqueued.id
    assert Secret.FromString(claimed.secret).token == "hush"
    assert b"hush" not in claimed.envelope


async def test_a_fired_job_is_part_of_the_trace_of_its_firing(
    schedules: Schedules, firing: Firing, store: Store, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    trace = TraceContext("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    monkeypatch.setattr(type(NO_SPAN), "trace", trace)
    await schedules.create(record())
    await _turn_back(store, "every-minute", 2)
    await firing.fire_due()
    (job,) = (await engine.inspection.page(QUEUE, JobQuery())).jobs
    assert job.envelope.traceparent == trace.traceparent
