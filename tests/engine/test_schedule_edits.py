"""Changes of schedules at the same time: none undoes another, and whoever has not seen the latest is told."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from qcollector.jobs.storage.v1.storage_pb2 import ScheduleRecord
from qcollector.jobs.v1.job_pb2 import Caller

from contract.errors import EtagMismatchError, ScheduleNotFoundError
from engine.schedules import SCOPE, Schedules
from engine.store import Store

from .conftest import QUEUE

FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "description": st.text("abc", max_size=3),
    "cron": st.sampled_from(["* * * * *", "0 1 * * *", "5 4 * * 0"]),
    "timezone": st.sampled_from(["UTC", "Europe/Berlin", "Asia/Tokyo"]),
    "paused": st.booleans(),
    "job_type": st.sampled_from(["noop", "script"]),
}


def setting(field: str, value: Any) -> Callable[[ScheduleRecord], None]:
    return lambda record: setattr(record, field, value)


@pytest.fixture
async def schedules(store: Store) -> Schedules:
    schedules = Schedules(store)
    await schedules.create(
        ScheduleRecord(
            name="one",
            cron="* * * * *",
            timezone="UTC",
            queue_name=QUEUE,
            job_type="noop",
            created_by=Caller(id="maker"),
        )
    )
    return schedules


@hypothesis_settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
async def test_edits_of_different_fields_at_the_same_time_all_hold(schedules: Schedules, data: st.DataObject) -> None:
    fields = data.draw(st.lists(st.sampled_from(sorted(FIELDS)), unique=True, min_size=2))
    edits = {field: data.draw(FIELDS[field], field) for field in fields}
    await asyncio.gather(
        *(schedules.change("one", setting(field, value), Caller(id=field)) for field, value in edits.items())
    )
    found = await schedules.get("one")
    assert {field: getattr(found.record, field) for field in edits} == edits
    assert found.created_by.id == "maker"


async def test_of_many_who_send_one_etag_exactly_one_changes_something(schedules: Schedules) -> None:
    etag = (await schedules.get("one")).etag
    outcomes = await asyncio.gather(
        *(schedules.change("one", setting("description", f"by {n}"), Caller(id=f"{n}"), etag) for n in range(20)),
        return_exceptions=True,
    )
    (winner,) = (n for n, outcome in enumerate(outcomes) if outcome is None)
    assert all(isinstance(outcome, EtagMismatchError) for outcome in outcomes if outcome is not None)
    found = await schedules.get("one")
    assert (found.record.description, found.record.updated_by.id) == (f"by {winner}", f"{winner}")


async def test_an_etag_is_another_after_each_change_and_the_same_after_none(schedules: Schedules) -> None:
    first = (await schedules.get("one")).etag
    await schedules.change("one", setting("description", ""), Caller(id="x"))
    assert (await schedules.get("one")).etag == first
    seen = {first}
    for field, value in (("paused", True), ("paused", False), ("description", "a"), ("description", "")):
        await schedules.change("one", setting(field, value), Caller(id="x"))
        seen.add((await schedules.get("one")).etag)
    assert len(seen) == 5


async def test_what_was_changed_since_is_not_deleted_by_whoever_saw_it_before(schedules: Schedules) -> None:
    etag = (await schedules.get("one")).etag
    await schedules.change("one", setting("description", "keep me"), Caller(id="x"))
    with pytest.raises(EtagMismatchError):
        await schedules.delete("one", etag)
    await schedules.delete("one", (await schedules.get("one")).etag)
    for attempt in (schedules.delete("one", etag), schedules.change("one", setting("description", "x"), etag=etag)):
        with pytest.raises(ScheduleNotFoundError):
            await attempt


async def test_what_was_changed_at_the_same_moment_is_not_deleted(schedules: Schedules, store: Store) -> None:
    """Between the look at the etag and the call of the script."""
    stored = (await schedules.get("one")).stored
    await schedules.change("one", setting("description", "keep me"))
    assert await store.run("schedule_delete", SCOPE, "one", stored) == 0
    assert (await schedules.get("one")).record.description == "keep me"


async def test_what_was_deleted_at_the_same_moment_is_not_made_anew_by_a_change(
    schedules: Schedules, store: Store
) -> None:
    stored = (await schedules.get("one")).stored
    await schedules.delete("one")
    assert await store.run("schedule_put", SCOPE, "one", stored, stored, "0") == -1
    with pytest.raises(ScheduleNotFoundError):
        await schedules.get("one")


async def test_a_record_of_an_older_release_has_an_etag_that_holds(schedules: Schedules, store: Store) -> None:
    old = ScheduleRecord(name="one", cron="* * * * *", timezone="UTC", run_as=Caller(id="maker"))
    await store.client.hset(store.keys("schedules")["records"], "one", old.SerializeToString())
    found = await schedules.get("one")
    assert (found.etag, found.created_by.id, found.run_as.id) == ((await schedules.get("one")).etag, "maker", "maker")
    await schedules.change("one", setting("description", "new"), Caller(id="x"), found.etag)
    with pytest.raises(EtagMismatchError):
        await schedules.change("one", setting("description", "newer"), Caller(id="x"), found.etag)


async def test_two_hundred_editors_at_once_all_succeed(schedules: Schedules) -> None:
    def count_up(record: ScheduleRecord) -> None:
        record.description += "x"

    await asyncio.gather(*(schedules.change("one", count_up) for _ in range(200)))

    assert (await schedules.get("one")).record.description == "x" * 200
