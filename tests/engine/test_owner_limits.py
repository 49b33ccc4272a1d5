"""Of one owner no more jobs are active than may; the others are set aside without a slot, and start in their order."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any, cast

import pytest

from contract.errors import BacklogFullError
from contract.new_job import NewJob
from engine.actions import CANCEL
from engine.claims import Claims
from engine.intake import Intake
from engine.jobs import ClaimedJob, JobQuery, Outcome, Settlement, State
from engine.packing import pack, unpack
from engine.schema import Record
from tests.conftest import eventually

from .conftest import QUEUE, Engine, complete, job

LIMIT = 2


def worker_of(engine: Engine, name: str = "w1", limit: int = LIMIT, **settings: Any) -> Claims:
    """A worker of a queue with a limit for each owner."""
    policy = replace(engine.catalog.queue(QUEUE), family="export")
    return engine.worker_of(policy, name, export_max_per_user=limit, **settings)


def jobs(count: int, owner: str = "alice", **fields: Any) -> list[NewJob]:
    return [job(f"{owner}{number:04d}", owner=owner, **fields) for number in range(count)]


def names(claimed: Sequence[ClaimedJob]) -> list[str]:
    return [one.id for one in claimed]


async def test_the_limit_holds_over_all_workers_and_other_owners_are_not_held_up(engine: Engine) -> None:
    await engine.add(*jobs(9), *jobs(3, "bob"), *jobs(1, "carol"))
    one, two = worker_of(engine, "one"), worker_of(engine, "two")
    assert names((await one.claim(3)).jobs) == ["alice0000", "alice0001", "bob0000"]
    assert names((await two.claim(9)).jobs) == ["bob0001", "carol0000"]
    assert (await one.claim(9)).jobs == (await two.claim(9)).jobs == ()


async def _settled(worker: Claims, claimed: ClaimedJob, outcome: Outcome) -> None:
    await worker.settle([Settlement(claimed.id, claimed.fence, outcome, reason="r", delay=60_000)], 0)


LEAVING: dict[str, Callable[[Engine, Claims, ClaimedJob], Awaitable[Any]]] = {
    "completed": lambda _, worker, claimed: _settled(worker, claimed, Outcome.COMPLETE),
    "failed for good": lambda _, worker, claimed: _settled(worker, claimed, Outcome.FAIL_FOR_GOOD),
    "failed for now": lambda _, worker, claimed: _settled(worker, claimed, Outcome.FAIL),
    "snoozed": lambda _, worker, claimed: _settled(worker, claimed, Outcome.SNOOZE),
    "of an unknown type": lambda _, worker, claimed: _settled(worker, claimed, Outcome.UNKNOWN),
    "cancelled": lambda engine, _, claimed: engine.steering.cancel(QUEUE, claimed.id),
}


@pytest.mark.parametrize("way", LEAVING)
async def test_the_next_may_start_as_soon_as_one_has_left_active_however_it_left(engine: Engine, way: str) -> None:
    await engine.add(*jobs(4, attempts=9), job("urgent", owner="alice", priority=5))
    worker = worker_of(engine)
    held = {one.id: one for one in (await worker.claim(9)).jobs}
    assert sorted(held) == ["alice0000", "urgent"]
    while await worker.wait_for_work(0.05):
        pass
    await LEAVING[way](engine, worker, held["alice0000"])
    assert await worker.wait_for_work(3), "a worker is woken"
    assert names((await worker.claim(9)).jobs) == ["alice0001"]


async def test_a_released_job_and_those_set_aside_start_by_priority_and_age(engine: Engine) -> None:
    await engine.add(*jobs(4))
    worker = worker_of(engine, limit=1)
    (first,) = (await worker.claim(9)).jobs
    await engine.add(job("urgent", owner="alice", priority=1))
    assert (await worker.claim(9)).jobs == ()
    await worker.settle([Settlement(first.id, first.fence, Outcome.RELEASE)], 0)
    order = []
    for _ in range(5):
        (claimed,) = (await worker.claim(9)).jobs
        order.append(claimed.id)
        await worker.settle([complete(claimed)], 0)
    assert order == ["urgent", "alice0000", "alice0001", "alice0002", "alice0003"]


async def test_a_stalled_job_makes_way(engine: Engine) -> None:
    await engine.add(*jobs(3))
    dying, worker = worker_of(engine, "dying", 1, queue_lease_seconds=0.1), worker_of(engine, limit=1)
    await dying.claim(9)
    await worker.claim(9)
    await asyncio.sleep(0.15)
    assert (await worker.reap()).stalled == ("alice0000",)
    assert names((await worker.claim(9)).jobs) == ["alice0000"], "it is older than those set aside"


async def test_a_job_that_stalled_too_often_makes_way_wherever_housekeeping_has_come_to(engine: Engine) -> None:
    await engine.add(*jobs(3))
    dying, worker = worker_of(engine, "dying", 1, queue_lease_seconds=0.1), worker_of(engine, limit=1)
    client, meta = cast("Any", engine.store.client), engine.store.keys(QUEUE)["meta"]

    async def stalled() -> bool:
        await client.hset(meta, "readmitted", "bob")  # behind alice, to whom it comes with its next turn
        return (await worker.reap()).stalled == ("alice0000",)

    for _ in range(3):
        assert names((await dying.claim(9)).jobs) == ["alice0000"]
        await eventually(stalled)
    assert await engine.state("alice0000") is State.FAILED
    assert names((await worker.claim(9)).jobs) == ["alice0001"]


async def test_a_thousand_jobs_set_aside_cost_nothing(own_engine: Engine) -> None:
    engine = own_engine
    await engine.add(*jobs(1001), *jobs(3, "bob"))
    worker = worker_of(engine, limit=1)
    held: dict[str, ClaimedJob] = {}
    while "bob0000" not in held:  # one call looks at a bounded number of jobs
        assert await worker.wait_for_work(3), "and says that there are more"
        held |= {one.id: one for one in (await worker.claim(5)).jobs}
    assert (await engine.stats()).set_aside == 1002
    client: Any = engine.store.client

    async def calls() -> int:
        return sum(each["calls"] for each in (await client.info("commandstats")).values())

    claimed = held["alice0000"]
    for number in range(1, 4):
        before = await calls()
        (claimed,) = (await worker.settle([complete(claimed)], 1)).jobs
        assert claimed.id == f"alice{number:04d}"
        assert await calls() - before < 45
    counted = await calls()
    assert (await worker.claim(5)).jobs == ()
    assert await calls() - counted < 20, "those set aside are not looked at again"


async def test_jobs_set_aside_count_and_show_as_waiting_and_tell_that_they_are(engine: Engine) -> None:
    await engine.add(*jobs(3))
    await asyncio.sleep(0.05)
    await worker_of(engine, limit=1).claim(5)
    stats = await engine.stats()
    assert (stats.counts[State.WAITING], stats.counts[State.ACTIVE], stats.set_aside) == (2, 1, 2)
    assert stats.oldest_waiting_age >= 50
    page = await engine.inspection.page(QUEUE, JobQuery(states=frozenset({State.WAITING})), "createTime")
    assert [(one.id, one.state) for one in page.jobs] == [(f"alice{n:04d}", State.WAITING) for n in (1, 2)]


async def test_jobs_set_aside_can_be_cancelled_deleted_and_retried(engine: Engine) -> None:
    await engine.add(*jobs(7))
    worker = worker_of(engine, limit=1)
    (held,) = (await worker.claim(9)).jobs
    await engine.steering.cancel(QUEUE, "alice0001")
    await engine.steering.delete(QUEUE, "alice0002")
    await engine.steering.retry(QUEUE, "alice0001")
    assert await engine.counts() == {"waiting": 5, "active": 1}
    assert names((await worker.settle([complete(held)], 5)).jobs) == ["alice0003"]
    changed = await engine.steering.change_many(CANCEL, QUEUE, JobQuery(states=frozenset({State.WAITING})))
    assert changed.changed == 4
    assert await engine.counts() == {"active": 1, "completed": 1, "cancelled": 4}
    assert (await engine.stats()).set_aside == 0


@pytest.mark.parametrize("action", ["cancel", "delete"])
async def test_the_next_one_gets_the_turn_of_a_job_that_will_never_start(engine: Engine, action: str) -> None:
    await engine.add(*jobs(3))
    worker = worker_of(engine, limit=1)
    (held,) = (await worker.claim(9)).jobs
    await worker.settle([complete(held)], 0)
    await getattr(engine.steering, action)(QUEUE, "alice0001")
    assert names((await worker.claim(9)).jobs) == ["alice0002"]


async def test_the_next_one_gets_the_turn_of_a_job_that_expired(engine: Engine) -> None:
    (first,) = await engine.add(*jobs(1))
    late = first.created + 200
    await engine.add(*(job(f"late{n}", owner="alice", expire_at=late) for n in range(5)), job("last", owner="alice"))
    worker = worker_of(engine, limit=1)
    (held,) = (await worker.claim(9)).jobs
    assert (await engine.stats()).set_aside == 6
    await asyncio.sleep(0.25)
    assert names((await worker.settle([complete(held)], 1)).jobs) == ["last"]
    assert await engine.counts() == {"completed": 1, "active": 1, "failed": 5}


@pytest.mark.parametrize("owner", ["", "\0", "a\0", "a\1", "\1\1", "é\n", "a" * 2000], ids=ascii)
async def test_any_owner_has_a_limit_of_their_own(engine: Engine, owner: str) -> None:
    others = [job(f"other{n}-{m}", owner=owner + "\0" + "x" * n) for m in range(2) for n in range(3)]
    await engine.add(*(job(f"job{n}", owner=owner) for n in range(3)), *others)
    worker = worker_of(engine, limit=1)
    claimed = (await worker.claim(9)).jobs
    assert names(claimed) == ["job0", "other0-0", "other1-0", "other2-0"]
    assert names((await worker.settle([complete(claimed[0])], 9)).jobs) == ["job1"]
    rest = (await worker.settle([complete(one) for one in claimed[1:]], 9)).jobs
    assert names(rest) == ["other0-1", "other1-1", "other2-1"]


async def test_pause_and_the_queues_own_limit_hold_for_jobs_that_come_back(engine: Engine) -> None:
    await engine.add(*jobs(4), *jobs(2, "bob"))
    worker = worker_of(engine, limit=1)
    alice, bob = (await worker.claim(9)).jobs
    await engine.steering.limit(QUEUE, max_active=1)
    assert (await worker.settle([complete(alice)], 9)).jobs == ()
    await engine.steering.pause(QUEUE)
    assert (await worker.settle([complete(bob)], 9)).jobs == ()
    await engine.steering.resume(QUEUE)
    assert names((await worker.claim(9)).jobs) == ["alice0001"]


async def test_jobs_set_aside_use_nothing_of_a_rate(engine: Engine) -> None:
    await engine.steering.limit(QUEUE, rate=(3, 60_000))
    await engine.add(*jobs(50), *jobs(1, "bob"), *jobs(1, "carol"))
    assert names((await worker_of(engine, limit=1).claim(9)).jobs) == ["alice0000", "bob0000", "carol0000"]


@pytest.mark.parametrize("limit", [0, 3])
async def test_jobs_set_aside_come_back_when_the_limit_is_raised_or_switched_off(engine: Engine, limit: int) -> None:
    await engine.add(*jobs(700))
    await worker_of(engine, limit=1).claim(9)
    restarted = worker_of(engine, "w2", limit)
    await restarted.reap()
    expected = [f"alice{n:04d}" for n in range(1, limit or 10)]
    assert names((await restarted.claim(9)).jobs) == expected
    if not limit:
        assert (await engine.stats()).set_aside == 0


async def test_a_worker_with_a_higher_limit_starts_what_was_set_aside_in_its_order(engine: Engine) -> None:
    """As while processes are restarted with another setting, before any of them has tidied up."""
    await engine.add(*jobs(4))
    assert names((await worker_of(engine, limit=1).claim(9)).jobs) == ["alice0000"]
    await engine.add(job("late", owner="alice"))
    assert names((await worker_of(engine, limit=2).claim(1)).jobs) == ["alice0001"]
    await engine.add(job("urgent", owner="alice", priority=1))
    worker = worker_of(engine, limit=4)
    assert names((await worker.claim(1)).jobs + (await worker.claim(9)).jobs) == ["urgent", "alice0002"]


async def test_a_claim_that_brings_a_job_back_wakes_a_worker_for_it(engine: Engine) -> None:
    await engine.add(*jobs(4))
    assert names((await worker_of(engine, limit=1).claim(9)).jobs) == ["alice0000"]
    await engine.add(job("urgent", owner="alice", priority=1))
    worker = worker_of(engine, limit=4)
    assert await worker.wait_for_work(1)
    assert names((await worker.claim(9)).jobs) == ["urgent"]
    assert await worker.wait_for_work(1)


async def test_nothing_is_stranded_among_more_owners_than_one_call_looks_at(engine: Engine) -> None:
    owners = [f"owner{number:03d}" for number in range(510)]
    await engine.add(*(one for owner in owners for one in jobs(2, owner)))
    worker = worker_of(engine, limit=1)
    while len((await worker.claim(200)).jobs):
        pass
    last = f"{owners[-1]}0000"
    client, keys = cast("Any", engine.store.client), engine.store.keys(QUEUE)
    await client.zrem(keys["active"], last)
    record = Record.read(unpack(await client.hget(keys["states"], last)))
    await client.hset(keys["states"], last, pack(record._replace(state=State.COMPLETED.value)))
    await worker.reap()
    assert names((await worker.claim(9)).jobs) == [f"{owners[-1]}0001"]


async def test_nothing_is_stranded_when_an_older_release_ends_jobs(engine: Engine) -> None:
    """It makes no way, and knows nothing of those set aside: it cancels and deletes them where they are."""
    await engine.add(*jobs(5))
    worker = worker_of(engine, limit=1)
    (held,) = (await worker.claim(9)).jobs
    client, keys = cast("Any", engine.store.client), engine.store.keys(QUEUE)
    await client.zrem(keys["active"], held.id)
    for name, state in ((held.id, State.COMPLETED), ("alice0001", State.CANCELLED)):
        record = Record.read(unpack(await client.hget(keys["states"], name)))
        await client.hset(keys["states"], name, pack(record._replace(state=state.value)))
    await client.hdel(keys["states"], "alice0002")
    await worker.reap()
    assert names((await worker.claim(9)).jobs) == ["alice0003"]


async def test_what_an_older_release_enqueued_beside_jobs_set_aside_is_known_to_wait(engine: Engine) -> None:
    await engine.add(*jobs(5), *jobs(2, "bob"))
    worker = worker_of(engine, limit=1)
    await worker.claim(2)
    client, ready = cast("Any", engine.store.client), engine.store.keys(QUEUE)["ready"]
    before = await client.zrange(ready, 0, -1)
    await client.zrem(ready, "bob0001")
    await worker.reap()
    assert await client.zrange(ready, 0, -1) == before


async def test_jobs_set_aside_count_for_the_backlog(engine: Engine) -> None:
    await engine.add(*jobs(5))
    await worker_of(engine, limit=1).claim(9)
    intake = Intake(engine.store, engine.settings.model_copy(update={"queue_max_backlog": 5}))
    await intake.enqueue(job("fits"))
    with pytest.raises(BacklogFullError):
        await intake.enqueue(job("over"))


async def test_jobs_that_an_older_release_started_count(engine: Engine) -> None:
    """Counts are taken from the active jobs themselves: nothing needs to be migrated."""
    await engine.add(*jobs(4))
    await engine.worker("old").claim(1)
    assert names((await worker_of(engine).claim(9)).jobs) == ["alice0001"]
    assert (await worker_of(engine).claim(9)).jobs == ()
