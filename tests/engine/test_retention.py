"""How long finished jobs stay: no job holds up another's removal, and none that has to stay is removed."""

from dataclasses import replace
from typing import Any

import pytest

from engine.jobs import State
from engine.packing import pack, unpack
from engine.schema import Record
from tests.conftest import eventually

from .conftest import QUEUE, Engine, complete, fail, job
from .indexes import assert_indexes_agree

WEEK_MS = 7 * 86_400_000
AT_ONCE: dict[str, Any] = {"queue_min_retention": 0, "retention_completed_hours": 1e-9, "retention_failed_days": 1e-9}
"""Settings under which nothing stays but what asks for it."""
FINISHED = ("completed", "failed", "cancelled")
INDEXES = (*FINISHED, *(f"staying_{name}" for name in FINISHED), "retained")


async def _complete(engine: Engine, *names: str, **fields: Any) -> None:
    await engine.add(*(job(name, **fields) for name in names))
    worker = engine.worker()
    left = len(names)
    ended: list[Any] = []
    while left:
        claim = await worker.settle([complete(one) for one in ended], 200)
        left -= len(ended)
        ended = list(claim.jobs)


async def _indexed(engine: Engine) -> dict[str, list[str]]:
    keys = engine.store.keys(QUEUE)
    found: dict[str, Any] = {name: await engine.store.client.zrange(keys[name], 0, -1) for name in INDEXES}
    return {name: sorted(entry.decode() for entry in entries) for name, entries in found.items() if entries}


@pytest.mark.parametrize("stay", [100, 1500])
async def test_jobs_that_stay_do_not_hold_up_those_behind_them(engine: Engine, stay: int) -> None:
    await _complete(engine, *(f"stays-{n}" for n in range(stay)), retention=WEEK_MS)
    await _complete(engine, *(f"goes-{n}" for n in range(2000)))
    worker = engine.worker(**AT_ONCE)
    gone = 0

    async def all_gone() -> bool:
        nonlocal gone
        gone += (await worker.reap()).forgotten
        return gone == 2000

    await eventually(all_gone)
    assert await engine.counts() == {"completed": stay}


async def test_the_cap_takes_none_that_has_to_stay(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    _cap(monkeypatch, engine, 10)
    await _complete(engine, *(f"stays-{n}" for n in range(20)), retention=WEEK_MS)
    await _complete(engine, *(f"goes-{n:02}" for n in range(30)))
    await _complete(engine, "last")
    assert await engine.counts() == {"completed": 30}
    assert [await engine.state(f"stays-{n}") for n in range(20)] == [State.COMPLETED] * 20
    assert await engine.state("goes-20") is None
    assert await engine.state("goes-21") is State.COMPLETED


async def test_the_cap_takes_none_that_has_to_stay_and_that_an_older_release_finished(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    _cap(monkeypatch, engine, 10)
    await _complete(engine, "stays", retention=WEEK_MS)
    await _as_an_older_release(engine, "completed", "stays")
    await _complete(engine, *(f"goes-{n:02}" for n in range(12)))
    assert await engine.state("stays") is State.COMPLETED


async def test_the_cap_holds_for_cancelled_jobs_too(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    _cap(monkeypatch, engine, 10)
    for n in range(15):
        await engine.add(job(f"c{n:02}"))
        await engine.steering.cancel(QUEUE, f"c{n:02}")
    assert (await engine.worker().reap()).forgotten == 5
    assert await engine.counts() == {"cancelled": 10}


def _cap(monkeypatch: pytest.MonkeyPatch, engine: Engine, jobs: int) -> None:
    """The same scripts with a cap that a test can reach."""
    scripts = dict(engine.store._scripts)
    for name in ("settle", "reap"):
        source = scripts[name].source
        assert source.count(" - 100000") == 1, "FINISHED_KEPT"
        source = source.replace(" - 100000", f" - {jobs}")
        scripts[name] = replace(scripts[name], source=source, sha="0" * 40)
    monkeypatch.setattr(engine.store, "_scripts", scripts)


async def test_a_job_whose_own_stay_has_ended_is_kept_like_any_other_from_then_on(engine: Engine) -> None:
    await _complete(engine, "file", retention=1)
    policy = replace(engine.catalog.queue(QUEUE), keep_completed=5)

    async def ended() -> bool:
        await engine.worker_of(policy, queue_min_retention=0).reap()
        return await _indexed(engine) == {"completed": ["file"]}

    await eventually(ended)
    record = await engine.inspection.get(QUEUE, "file")
    assert record
    client: Any = engine.store.client
    assert int(await client.zscore(engine.store.keys(QUEUE)["completed"], "file")) // 1024 == record.finished
    await eventually(lambda: _forgets(engine))
    assert await _indexed(engine) == {}


async def _forgets(engine: Engine) -> int:
    return (await engine.worker(**AT_ONCE).reap()).forgotten


async def test_jobs_that_stay_do_not_count_among_those_that_are_kept_by_number(engine: Engine) -> None:
    await _complete(engine, "a", "b")
    await _complete(engine, "stays-1", "stays-2", "stays-3", retention=WEEK_MS)
    policy = replace(engine.catalog.queue(QUEUE), keep_completed=2)
    assert (await engine.worker_of(policy, queue_min_retention=0).reap()).forgotten == 0
    assert await engine.counts() == {"completed": 5}


async def test_the_minimum_holds_whatever_the_age(engine: Engine) -> None:
    await _complete(engine, "a")
    worker = engine.worker(queue_min_retention=900, retention_completed_hours=1e-9)
    assert (await worker.reap()).forgotten == 0


async def test_failed_and_cancelled_jobs_go_and_stay_by_the_same_rules(engine: Engine) -> None:
    await engine.add(*(job(name) for name in ("fails", "is-cancelled")))
    await engine.add(*(job(name, retention=WEEK_MS) for name in ("fails-and-stays", "is-cancelled-and-stays")))
    for name in ("is-cancelled", "is-cancelled-and-stays"):
        await engine.steering.cancel(QUEUE, name)
    worker = engine.worker(**AT_ONCE)
    await worker.settle([fail(one) for one in (await worker.claim(2)).jobs], 0)
    assert await _indexed(engine) == {
        "failed": ["fails"],
        "cancelled": ["is-cancelled"],
        "staying_failed": ["fails-and-stays"],
        "staying_cancelled": ["is-cancelled-and-stays"],
        "retained": ["fails-and-stays", "is-cancelled-and-stays"],
    }
    await eventually(lambda: _gone(engine, 2))
    assert await engine.counts() == {"failed": 1, "cancelled": 1}


async def _gone(engine: Engine, left: int) -> bool:
    await engine.worker(**AT_ONCE).reap()
    return sum((await engine.counts()).values()) == left


async def test_what_leaves_the_finished_jobs_leaves_their_indexes(engine: Engine) -> None:
    for suffix, keep in (("", 0), ("-stays", WEEK_MS)):
        for name in ("retried", "deleted", "cleaned"):
            await engine.add(job(name + suffix, retention=keep))
            await engine.steering.cancel(QUEUE, name + suffix)
        await engine.steering.retry(QUEUE, "retried" + suffix)
        await engine.steering.delete(QUEUE, "deleted" + suffix)
    stays = ["cleaned-stays"]
    assert await _indexed(engine) == {"cancelled": ["cleaned"], "staying_cancelled": stays, "retained": stays}
    await engine.steering.clean(QUEUE, 0)
    assert await _indexed(engine) == {}
    assert await engine.counts() == {"waiting": 2}


async def _as_an_older_release(engine: Engine, state: str, job_id: str) -> None:
    """Puts a job that stays among the others, as a release before 0.2.0 leaves it."""
    client: Any = engine.store.client
    keys = engine.store.keys(QUEUE)
    await client.zadd(keys[state], {job_id: await client.zscore(keys[f"staying_{state}"], job_id)})
    await client.zrem(keys[f"staying_{state}"], job_id)
    await client.zrem(keys["retained"], job_id)


async def test_jobs_that_stay_and_that_an_older_release_finished_are_set_apart_where_they_are_in_the_way(
    engine: Engine,
) -> None:
    stays = [f"stays-{n}" for n in range(300)]
    await _complete(engine, *stays, retention=WEEK_MS)
    for job_id in stays:
        await _as_an_older_release(engine, "completed", job_id)
    await _complete(engine, *(f"goes-{n}" for n in range(300)))
    assert await engine.counts() == {"completed": 600}
    await eventually(lambda: _gone(engine, 300))
    assert await _indexed(engine) == {"staying_completed": sorted(stays), "retained": sorted(stays)}


async def test_the_upgrade_takes_what_has_left_a_finished_state_out_of_its_set_whichever_it_is(engine: Engine) -> None:
    await engine.add(job("retried"))
    client: Any = engine.store.client
    keys = engine.store.keys(QUEUE)
    for state in ("completed", "failed", "cancelled"):
        await client.zadd(keys[f"staying_{state}"], {"retried": 1})
    await client.hdel(keys["meta"], "layout")
    while await engine.store.run("upgrade", QUEUE, 0):
        pass
    assert await _indexed(engine) == {}
    assert await engine.counts() == {"waiting": 1}


async def test_the_upgrade_sets_jobs_apart_and_forgets_those_that_an_older_release_moved(engine: Engine) -> None:
    await _complete(engine, "stays", "retried", retention=WEEK_MS)
    await _complete(engine, "goes")
    await _as_an_older_release(engine, "completed", "stays")
    client: Any = engine.store.client
    keys = engine.store.keys(QUEUE)
    record = Record.read(unpack(await client.hget(keys["states"], "retried")))
    await client.hset(keys["states"], "retried", pack(record._replace(state=State.WAITING.value)))
    await client.zadd(keys["wait"], {"retried": 1})
    await client.hdel(keys["meta"], "layout")
    while await engine.store.run("upgrade", QUEUE, 0):
        pass
    found = await _indexed(engine)
    assert (found["completed"], found["staying_completed"]) == (["goes"], ["stays"])
    assert await engine.counts() == {"waiting": 1, "completed": 2}
    await assert_indexes_agree(engine.store)
