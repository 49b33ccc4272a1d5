"""The oldest waiting job is the one that has been ready longest, whatever its priority and its number."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest

from engine.jobs import ClaimedJob, Outcome, Settlement, State
from engine.packing import pack, unpack
from engine.schema import Record

from .conftest import QUEUE, Engine, job


async def test_the_oldest_waiting_job_is_found_behind_higher_priorities(engine: Engine) -> None:
    await engine.add(job("old", priority=-5))
    await asyncio.sleep(0.15)
    await engine.add(*(job(priority=9) for _ in range(3)), *(job(priority=p) for p in range(5)))
    age = (await engine.stats()).oldest_waiting_age
    assert age >= 150
    await engine.steering.cancel(QUEUE, "old")
    assert (await engine.stats()).oldest_waiting_age < age


async def test_a_job_that_becomes_due_does_not_hide_one_that_was_ready_before(engine: Engine) -> None:
    await engine.steering.pause(QUEUE)
    await engine.add(job("later", delay=200))
    await engine.add(job("at once"))
    await asyncio.sleep(0.25)
    await engine.worker().reap()
    assert await engine.counts() == {"waiting": 2}
    assert (await engine.stats()).oldest_waiting_age >= 250


def _outcome(outcome: Outcome) -> Callable[[ClaimedJob], Settlement]:
    return lambda claimed: Settlement(claimed.id, claimed.fence, outcome, reason="r", delay=0)


@pytest.mark.parametrize("outcome", [Outcome.FAIL, Outcome.RELEASE], ids=lambda outcome: outcome.name)
async def test_a_job_that_comes_back_is_ready_since_then(engine: Engine, outcome: Outcome) -> None:
    await engine.add(job("first", attempts=9), job("second"))
    worker = engine.worker()
    (claimed,) = (await worker.claim(1)).jobs
    await asyncio.sleep(0.1)
    await worker.settle([_outcome(outcome)(claimed)], 0)
    assert (await engine.stats()).oldest_waiting_age >= 100
    await engine.steering.cancel(QUEUE, "second")
    assert (await engine.stats()).oldest_waiting_age < 100
    assert [one.id for one in (await worker.claim(5)).jobs] == ["first"]
    assert (await engine.stats()).oldest_waiting_age == 0


async def test_a_stalled_job_has_not_waited_while_it_ran(engine: Engine) -> None:
    await engine.add(job("a"))
    worker = engine.worker(queue_lease_seconds=0.2)
    await worker.claim(1)
    await asyncio.sleep(0.25)
    assert (await worker.reap()).stalled == ("a",)
    assert (await engine.stats()).oldest_waiting_age < 200


async def test_jobs_that_an_older_release_enqueued_or_took_are_filed_by_reaping(engine: Engine) -> None:
    """An older release knows no such order: it neither files a job there nor takes it out."""
    await engine.add(*(job(f"j{number:04d}") for number in range(1200)))
    client, keys = cast("Any", engine.store.client), engine.store.keys(QUEUE)
    await client.delete(keys["ready"])
    assert (await engine.stats()).oldest_waiting_age == 0
    await asyncio.sleep(0.05)
    await engine.worker().reap()
    assert (await engine.stats()).oldest_waiting_age >= 50
    assert await client.zcard(keys["ready"]) == 1200
    taken = [name for name, _ in await client.zpopmin(keys["wait"], 700)]
    records = [Record.read(unpack(kept)) for kept in await client.hmget(keys["states"], taken)]
    running = [pack(record._replace(state=State.ACTIVE.value)) for record in records]
    await client.hset(keys["states"], mapping=dict(zip(taken, running, strict=True)))
    await engine.worker().reap()
    left = set(await client.zrange(keys["ready"], 0, -1))
    assert len(left) == 500
    assert left.isdisjoint(taken)
