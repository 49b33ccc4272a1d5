"""Schedules that cannot fire: each is told with its cause, and keeps no other from firing."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime

import pytest
from qcollector.jobs.storage.v1.storage_pb2 import ScheduleRecord
from qcollector.jobs.v1.job_pb2 import Caller
from testjobs.v1.testjobs_pb2 import Noop

from base.settings import Settings
from base.telemetry.trace_context import TraceContext
from contract.admission import Admission, Admitted
from contract.catalog import Catalog
from contract.errors import ScheduleBrokenError, StoreUnavailableError
from engine.firing import Firing, Round
from engine.intake import Intake
from engine.jobs import JobQuery
from engine.schedules import SCOPE, Schedules, StoredSchedule
from engine.store import Store

from .conftest import QUEUE, Engine, job

SERIAL = "test:serial"
BACKLOG = 30


class Stage:
    """Schedules that are all due, and the means to break one in the store."""

    def __init__(self, store: Store, settings: Settings, catalog: Catalog, engine: Engine) -> None:
        self.store, self.engine = store, engine
        self.schedules = Schedules(store)
        self.firing = self.another(catalog, settings)
        self._keys = store.keys("schedules")

    def another(self, catalog: Catalog, settings: Settings) -> Firing:
        intake = Intake(self.store, settings.model_copy(update={"queue_max_backlog": BACKLOG}))
        return Firing(self.store, self.schedules, catalog, Admission(catalog, settings), intake)

    async def make(self, name: str, **fields: object) -> None:
        given: dict[str, object] = {
            "cron": "* * * * *",
            "timezone": "UTC",
            "queue_name": SERIAL,
            "job_type": "serial",
            "created_by": Caller(id="alice", role="admin"),
        }
        await self.schedules.create(ScheduleRecord(name=name, **(given | fields)))
        await self.make_due(name)

    async def make_due(self, *names: str) -> None:
        for name in names:
            await self.store.client.hincrby(self._keys["slots"], name, -120_000)

    async def put_raw(self, name: str, raw: bytes) -> None:
        await self.store.client.hset(self._keys["records"], name, raw)

    async def faults(self) -> dict[str, str]:
        return (await self.schedules.condition()).faults

    async def neighbours_fired(self) -> bool:
        return [len(await self.schedules.runs(name)) for name in ("a-first", "z-last")] == [1, 1]


@pytest.fixture
def stage(store: Store, settings: Settings, catalog: Catalog, engine: Engine) -> Stage:
    return Stage(store, settings, catalog, engine)


async def _type_gone(stage: Stage) -> None:
    await stage.make("middle", job_type="of-a-plugin-that-is-gone")


async def _queue_gone(stage: Stage) -> None:
    await stage.make("middle", queue_name="gone:queue")


async def _payload_unreadable(stage: Stage) -> None:
    await stage.make("middle", queue_name=QUEUE, job_type="noop", payload=b"\x0a\xff\xff\xff")


async def _payload_refused(stage: Stage) -> None:
    await stage.make("middle", queue_name=QUEUE, job_type="noop", payload=Noop(pad="x" * 2_000_000).SerializeToString())


async def _zone_dropped(stage: Stage) -> None:
    await stage.make("middle", timezone="Europe/Atlantis")


async def _zone_hostile(stage: Stage) -> None:
    await stage.make("middle", timezone="../../etc/passwd")


async def _cron_unreadable(stage: Stage) -> None:
    await stage.make("middle", cron="61 * * * *")


async def _record_unreadable(stage: Stage) -> None:
    await stage.make("middle")
    await stage.put_raw("middle", b"\x0a\xff\xff\xff garbage")


async def _record_of_another(stage: Stage) -> None:
    await stage.put_raw("middle", ScheduleRecord(name="other").SerializeToString())


async def _backlog_full(stage: Stage) -> None:
    await stage.engine.add(*(job() for _ in range(BACKLOG)))
    await stage.make("middle", queue_name=QUEUE, job_type="noop")


BREAKS: dict[Callable[[Stage], Awaitable[None]], str] = {
    _type_gone: "of-a-plugin-that-is-gone",
    _queue_gone: "gone:queue",
    _payload_unreadable: "its payload cannot be read",
    _payload_refused: "QUEUE_MAX_PAYLOAD_BYTES",
    _zone_dropped: "'Europe/Atlantis' is unknown here",
    _zone_hostile: "is unknown here",
    _cron_unreadable: "'61 * * * *' cannot be used",
    _record_unreadable: "record of it cannot be read",
    _record_of_another: "record of it cannot be read",
    _backlog_full: "QUEUE_MAX_BACKLOG",
}


@pytest.mark.parametrize("break_it", BREAKS, ids=lambda function: function.__name__.strip("_"))
async def test_a_schedule_that_cannot_fire_is_told_with_its_cause_and_keeps_no_other_from_firing(
    stage: Stage, break_it: Callable[[Stage], Awaitable[None]]
) -> None:
    await stage.make("a-first", queue_name=SERIAL)
    await stage.make("z-last", queue_name=SERIAL)
    await break_it(stage)
    done = await stage.firing.fire_due()
    assert len(done.fired) == 2
    assert await stage.neighbours_fired()
    assert [fault.schedule for fault in done.faults] == ["middle"]
    assert BREAKS[break_it] in done.faults[0].cause
    assert await stage.faults() == {"middle": done.faults[0].cause}
    assert [one.record.name for one in (await stage.schedules.all())[0]] == ["a-first", "middle", "z-last"]
    assert (await stage.firing.fire_due()).faults == [], "a fault is news once"
    await stage.schedules.delete("middle")
    assert await stage.faults() == {}


async def test_whatever_is_raised_for_one_schedule_keeps_no_other_from_firing_and_shows_nothing_of_itself(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a-first", "middle", "z-last"):
        await stage.make(name)
    admit = stage.firing._admit

    def failing(schedule: StoredSchedule, job_id: str, slot: datetime, trace: TraceContext) -> Admitted:
        if schedule.record.name == "middle":
            raise ZeroDivisionError("with a secret in its text")
        return admit(schedule, job_id, slot, trace)

    monkeypatch.setattr(stage.firing, "_admit", failing)
    done = await stage.firing.fire_due()
    assert await stage.neighbours_fired()
    assert isinstance(done.faults[0].error, ZeroDivisionError)
    assert await stage.faults() == {"middle": "an unexpected fault; the scheduler's log tells more"}


async def test_a_history_that_cannot_be_read_begins_anew(stage: Stage) -> None:
    await stage.make("one")
    await stage.store.client.hset(stage.store.keys("schedules")["runs"], "one", b"\xc1")
    assert await stage.schedules.runs("one") == []
    assert len((await stage.firing.fire_due()).fired) == 1
    assert len(await stage.schedules.runs("one")) == 1


async def test_what_the_store_cannot_do_is_no_schedules_fault(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    await stage.make("one")
    store_run = stage.store.run

    async def run(name: str, *arguments: object) -> object:
        if name == "enqueue":
            raise StoreUnavailableError("away", retry_after=1)
        return await store_run(name, *arguments)

    monkeypatch.setattr(stage.store, "run", run)
    done = await stage.firing.fire_due()
    assert (done.fired, done.faults) == ([], [])
    assert done.away is not None
    assert await stage.faults() == {}
    monkeypatch.undo()
    assert len((await stage.firing.fire_due()).fired) == 1


async def test_a_fault_is_gone_once_the_schedule_fires_or_is_changed_or_paused(stage: Stage) -> None:
    await _backlog_full(stage)
    await stage.firing.fire_due()
    assert await stage.faults()
    for queued in (await stage.engine.inspection.page(QUEUE, JobQuery())).jobs:
        await stage.engine.steering.cancel(QUEUE, queued.id)
    assert len((await stage.firing.fire_due()).fired) == 1
    assert await stage.faults() == {}

    def pause(record: ScheduleRecord) -> None:
        record.paused = True

    await stage.make("gone", job_type="gone")
    await stage.firing.fire_due()
    assert list(await stage.faults()) == ["gone"]
    await stage.schedules.change("gone", pause)
    assert await stage.faults() == {}
    assert (await stage.schedules.get("gone")).fault == ""

    def mend(record: ScheduleRecord) -> None:
        record.paused, record.job_type = False, "serial"

    await stage.schedules.change("gone", mend)
    await stage.make_due("gone")
    assert len((await stage.firing.fire_due()).fired) == 1


async def test_a_fault_is_found_before_its_slot_comes_and_gone_without_a_slot(
    stage: Stage, catalog: Catalog, settings: Settings
) -> None:
    await stage.make("yearly", cron="0 0 1 1 *", job_type="gone")
    await stage.firing.fire_due()
    assert "gone" in (await stage.faults())["yearly"]
    record = (await stage.schedules.get("yearly")).record
    record.job_type = "serial"  # as if the plugin were there again
    await stage.put_raw("yearly", record.SerializeToString())
    await stage.another(catalog, settings).fire_due()
    assert await stage.faults() == {}


async def test_a_fault_is_gone_with_the_next_look_of_the_scheduler_that_found_it(stage: Stage) -> None:
    await stage.make("yearly", cron="0 0 1 1 *", job_type="gone")
    await stage.firing.fire_due()
    assert list(await stage.faults()) == ["yearly"]
    record = (await stage.schedules.get("yearly")).record
    record.job_type = "serial"  # as if the plugin were there again
    await stage.put_raw("yearly", record.SerializeToString())
    await stage.firing.fire_due()
    assert await stage.faults() == {}


async def test_a_slot_that_another_scheduler_fired_is_no_fault_of_the_one_that_could_not(
    stage: Stage, catalog: Catalog, settings: Settings
) -> None:
    await stage.make("often")
    schedule = await stage.schedules.get("often")
    slot = schedule.cron.latest(schedule.since, (await stage.schedules.all())[1])
    assert slot
    await stage.firing.fire_due()
    done = Round()
    await stage.another(catalog, settings)._blame(schedule, slot, ScheduleBrokenError("no such type here"), done)
    assert done.faults == []
    assert await stage.faults() == {}


async def test_a_fault_that_two_schedulers_find_is_news_to_one(stage: Stage) -> None:
    await stage.make("one", job_type="gone")
    seen = await stage.schedules.get("one")
    error = ScheduleBrokenError("no such type")
    done = Round()
    for _ in range(2):
        await stage.firing._blame(seen, None, error, done)
    assert [fault.schedule for fault in done.faults] == ["one"]


async def test_a_schedule_that_was_changed_meanwhile_is_not_blamed_for_what_it_was(stage: Stage) -> None:
    await stage.make("one", job_type="gone")
    seen = await stage.schedules.get("one")
    await stage.schedules.change("one", lambda record: setattr(record, "job_type", "serial"))
    done = Round()
    await stage.firing._blame(seen, None, ScheduleBrokenError("no such type here"), done)
    assert done.faults == []
    assert await stage.faults() == {}


async def test_a_schedule_that_is_deleted_while_it_fires_leaves_nothing_to_one_of_its_name(stage: Stage) -> None:
    await stage.make("one")
    seen = await stage.schedules.get("one")
    slot = seen.cron.latest(seen.since, (await stage.schedules.all())[1])
    assert slot
    await stage.schedules.delete("one")
    assert await stage.firing._fire(seen, slot) == ""
    await stage.make("one")
    assert (await stage.schedules.get("one")).fired is None
    assert await stage.schedules.runs("one") == []


async def test_the_latest_hundred_runs_are_kept(stage: Stage) -> None:
    await stage.make("one")
    for number in range(103):
        assert await stage.store.run("schedule_fired", SCOPE, "one", number, f"job-{number}", "1") == 1
    assert [run.job_id for run in await stage.schedules.runs("one")] == [f"job-{n}" for n in range(102, 2, -1)]


async def test_any_number_of_broken_schedules_keep_none_of_many_from_firing(stage: Stage) -> None:
    await asyncio.gather(*(stage.make(f"s{n:03}", job_type="serial" if n % 2 else "gone") for n in range(40)))
    done = await stage.firing.fire_due()
    assert (len(done.fired), len(done.faults)) == (20, 20)


async def test_a_broken_record_can_be_deleted_and_nothing_else(stage: Stage) -> None:
    await _record_unreadable(stage)
    for attempt in (stage.schedules.change("middle", lambda _: None), stage.firing.trigger("middle")):
        with pytest.raises(ScheduleBrokenError, match="delete it and make it anew"):
            await attempt
    await stage.schedules.delete("middle")
    await stage.make("middle")
