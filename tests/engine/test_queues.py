"""Queues: pause, limits, exact counts, statistics, retention and cleaning."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from contract.errors import EtagMismatchError
from engine.jobs import QueueLimits, State
from engine.steering import Steering
from tests.conftest import eventually

from .conftest import QUEUE, Engine, complete, fail, job

SERIAL = "test:serial"


async def test_no_job_starts_once_pause_has_returned_and_paused_jobs_stay_waiting(engine: Engine) -> None:
    await engine.add(job("a"), job("b"))
    worker = engine.worker()
    (claimed,) = (await worker.claim(1)).jobs
    await engine.steering.pause(QUEUE)
    assert (await worker.settle([complete(claimed)], 5)).jobs == ()
    assert (await engine.worker("other").claim(5)).jobs == ()
    stats = await engine.stats()
    assert stats.paused
    assert stats.counts[State.WAITING] == 1
    await engine.steering.resume(QUEUE)
    assert [one.id for one in (await worker.claim(5)).jobs] == ["b"]


async def test_resuming_wakes_an_idle_worker(engine: Engine) -> None:
    await engine.steering.pause(QUEUE)
    await engine.add(job("a"))
    worker = engine.worker()
    await worker.claim(1)
    while await worker.wait_for_work(0.05):
        pass
    waiting = asyncio.create_task(worker.wait_for_work(3))
    await asyncio.sleep(0)
    await engine.steering.resume(QUEUE)
    assert await waiting


async def test_an_enqueued_job_wakes_an_idle_worker(engine: Engine) -> None:
    worker = engine.worker()
    waiting = asyncio.create_task(worker.wait_for_work(3))
    await engine.add(job("a"))
    assert await waiting
    assert not await worker.wait_for_work(0.05)
    await worker.hand_on_wakeup()
    assert await worker.wait_for_work(3)


async def test_the_contracts_limit_of_active_jobs_holds_over_all_workers_until_an_operator_sets_another(
    engine: Engine,
) -> None:
    await engine.add(*(job(queue=SERIAL) for _ in range(5)))
    one, two = engine.worker("one", SERIAL), engine.worker("two", SERIAL)
    held = [*(await one.claim(5)).jobs, *(await two.claim(5)).jobs]
    assert len(held) == 1
    await engine.steering.limit(SERIAL, max_active=3)
    held += [*(await two.claim(5)).jobs, *(await one.claim(5)).jobs]
    assert len(held) == 3
    await engine.steering.limit(SERIAL, max_active=0)
    assert len((await one.claim(5)).jobs) == 2
    assert (await engine.stats(SERIAL)).limits.max_active == 0


async def test_a_freed_slot_of_a_limited_queue_wakes_the_worker_that_was_refused(engine: Engine) -> None:
    await engine.add(job("a", queue=SERIAL), job("b", queue=SERIAL))
    one, two = engine.worker("one", SERIAL), engine.worker("two", SERIAL)
    (held,) = (await one.claim(5)).jobs
    assert (await two.claim(5)).jobs == ()
    while await two.wait_for_work(0.05):
        pass
    await one.settle([complete(held)], 0)
    assert await two.wait_for_work(3)
    assert [claimed.id for claimed in (await two.claim(5)).jobs] == ["b"]


async def test_a_rate_limit_holds_over_all_workers_and_says_when_to_come_back(engine: Engine) -> None:
    await engine.steering.limit(QUEUE, rate=(3, 400))
    await engine.add(*(job() for _ in range(8)))
    one, two = engine.worker("one"), engine.worker("two")
    first, second = await one.claim(2), await two.claim(5)
    assert (len(first.jobs), len(second.jobs)) == (2, 1)
    refused = await one.claim(5)
    assert refused.jobs == ()
    assert 0 < refused.due_in <= 400
    assert len(await eventually(lambda: _jobs(one, 5), seconds=3)) == 3
    await engine.steering.limit(QUEUE, rate=(0, 0))
    assert len((await one.claim(5)).jobs) == 2


async def _jobs(worker, n):
    return (await worker.claim(n)).jobs


@pytest.mark.parametrize("change", [{"max_active": 9}, {"rate": (6, 60_000)}, {"rate": (5, 1000)}], ids=str)
async def test_limits_that_change_between_look_and_write_are_not_overwritten(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any]
) -> None:
    await engine.steering.limit(QUEUE, max_active=3, rate=(5, 60_000))
    seen = (await engine.stats()).limits
    expected = Steering._expected

    async def and_somebody_else(self: Steering, queue: str, etag: str) -> QueueLimits:
        limits = await expected(self, queue, etag)
        await self.limit(queue, **change)
        return limits

    monkeypatch.setattr(Steering, "_expected", and_somebody_else)
    with pytest.raises(EtagMismatchError):
        await engine.steering.limit(QUEUE, max_active=4, etag=seen.etag)
    limits = (await engine.stats()).limits
    found = {"max_active": limits.max_active, "rate": (limits.rate_max, limits.rate_period)}
    assert found == {"max_active": 3, "rate": (5, 60_000), **change}


async def test_counts_are_exact_at_every_step(engine: Engine) -> None:
    await engine.add(*(job() for _ in range(4)), job("later", delay=60_000))
    worker = engine.worker()
    one, two, three = (await worker.claim(3)).jobs
    assert await engine.counts() == {"waiting": 1, "delayed": 1, "active": 3}
    await worker.settle([complete(one), fail(two)], 0)
    await engine.steering.cancel(QUEUE, three.id)
    await engine.steering.cancel(QUEUE, "later")
    assert await engine.counts() == {"waiting": 1, "completed": 1, "failed": 1, "cancelled": 2}
    await engine.steering.clean(QUEUE, 0)
    assert await engine.counts() == {"waiting": 1}
    totals = (await engine.stats()).totals
    assert totals == {State.COMPLETED: 1, State.FAILED: 1, State.CANCELLED: 2}


async def test_rates_and_quantiles_come_from_what_ran(engine: Engine) -> None:
    await engine.add(*(job() for _ in range(20)))
    await asyncio.sleep(0.1)
    worker = engine.worker()
    claimed = (await worker.claim(20)).jobs
    await asyncio.sleep(0.05)
    await worker.settle([complete(one) for one in claimed[:15]] + [fail(one) for one in claimed[15:]], 0)
    stats = await engine.stats()
    assert (round(stats.completed_per_minute), round(stats.failed_per_minute)) == (15, 5)
    assert stats.wait.p50 >= 80
    assert stats.run.p50 >= 40
    assert stats.wait.p50 <= stats.wait.p95 <= stats.wait.p99


async def test_finished_jobs_stay_for_the_minimum_whatever_the_counts_say_and_then_by_count(engine: Engine) -> None:
    policy = replace(engine.catalog.queue(QUEUE), keep_completed=3, keep_failed=2)
    keep = engine.worker_of(policy, queue_min_retention=900)
    await engine.add(*(job() for _ in range(10)))
    claimed = (await keep.claim(10)).jobs
    await keep.settle([complete(one) for one in claimed[:6]] + [fail(one) for one in claimed[6:]], 0)
    assert (await keep.reap()).forgotten == 0
    by_count = engine.worker_of(policy, queue_min_retention=0)
    assert (await by_count.reap()).forgotten == 3 + 2
    assert await engine.counts() == {"completed": 3, "failed": 2}
    assert [await engine.state(one.id) for one in claimed[:6]] == [None] * 3 + [State.COMPLETED] * 3


async def test_finished_jobs_go_by_age_unless_they_ask_for_longer(engine: Engine) -> None:
    await engine.add(job("short"), job("long", retention=60_000))
    worker = engine.worker(queue_min_retention=0, retention_completed_hours=0.01 / 3600)
    await worker.settle([complete(one) for one in (await worker.claim(2)).jobs], 0)
    await eventually(lambda: _forgets(worker))
    assert await engine.state("short") is None
    assert await engine.state("long") is State.COMPLETED


async def _forgets(worker) -> int:
    return int((await worker.reap()).forgotten)


async def test_cleaning_honours_the_grace_and_leaves_what_has_not_ended(engine: Engine) -> None:
    await engine.add(*(job() for _ in range(1300)), job("later", delay=60_000))
    worker = engine.worker()
    for _ in range(3):
        claim = await worker.claim(500)
        await worker.settle([complete(one) for one in claim.jobs], 0)
    await engine.add(job("waiting"))
    assert await engine.steering.clean(QUEUE, 60_000) == {State.COMPLETED: 0, State.FAILED: 0, State.CANCELLED: 0}
    assert await engine.steering.clean(QUEUE, 0) == {State.COMPLETED: 1300, State.FAILED: 0, State.CANCELLED: 0}
    assert await engine.counts() == {"waiting": 1, "delayed": 1}
