"""What a store of the first layout holds survives the upgrade, and so does what its processes write beside this release."""

import base64
import json
import time
from pathlib import Path
from typing import Any

import pytest

from contract.errors import JobIdConflictError, JobPurgedError
from engine.jobs import JobQuery, State
from engine.packing import pack, unpack
from engine.pages import BY_STATE
from engine.schedules import Schedules
from engine.schema import Record
from engine.store import Store

from .conftest import QUEUE, Engine, complete, job
from .indexes import assert_indexes_agree

DUMP = Path(__file__).parents[1] / "fixtures" / "first_layout.json"
"""Written by write_first_layout.txt beside it, a program for the code of that commit."""
DAY_SECONDS = 86_400
JOBS = {
    "done-0": State.COMPLETED,
    "done-1": State.COMPLETED,
    "done-2": State.COMPLETED,
    "broken": State.FAILED,
    "spent": State.FAILED,
    "called-off": State.CANCELLED,
    "running": State.ACTIVE,
    "later": State.DELAYED,
    "ready-0": State.WAITING,
    "ready-1": State.WAITING,
    "ready-2": State.WAITING,
    "hidden": State.WAITING,
    "mine": State.WAITING,
}


@pytest.fixture
async def old(engine: Engine) -> Engine:
    client: Any = engine.store.client
    for key, dumped in json.loads(DUMP.read_text()).items():
        await client.restore(key.replace("first:", f"{engine.store.prefix}:", 1), 0, base64.b64decode(dumped))
    # The dump grows older with every day on which this runs: what is kept for a day is kept from now on.
    gone = engine.store.keys(QUEUE)["gone"]
    await client.zadd(gone, dict.fromkeys(await client.zrange(gone, 0, -1), (time.time() + DAY_SECONDS) * 1000))
    return engine


async def _found(engine: Engine, query: JobQuery) -> list[str]:
    found: list[str] = []
    token = ""
    while True:
        page = await engine.inspection.page(QUEUE, query, "", 2, token)
        found += [record.id for record in page.jobs]
        if not (token := page.next_token):
            return found


async def test_jobs_of_every_state_are_listed_after_the_upgrade(old: Engine) -> None:
    page = await old.inspection.page(QUEUE, JobQuery(), "", 100)
    assert {record.id: record.state for record in page.jobs} == JOBS
    assert sorted(await _found(old, JobQuery(owner="bob", states=frozenset({State.WAITING})))) == [
        "ready-0",
        "ready-1",
        "ready-2",
    ]
    assert await _found(old, JobQuery(owner="carol")) == ["running"]
    await assert_indexes_agree(old.store)


async def test_pauses_limits_and_totals_survive_the_upgrade(old: Engine) -> None:
    stats = await old.stats()
    assert stats.paused
    assert (stats.limits.max_active, stats.limits.rate_max, stats.limits.rate_period) == (7, 5, 60_000)
    assert stats.totals == {State.COMPLETED: 3, State.FAILED: 2, State.CANCELLED: 1}


async def test_jobs_go_on_after_the_upgrade_with_all_that_was_kept_of_them(old: Engine) -> None:
    # What the dump holds ended long ago.
    worker = old.worker("old", retention_completed_hours=1e6, retention_failed_days=1e6)
    running = await old.inspection.get(QUEUE, "running")
    assert running is not None
    await old.steering.resume(QUEUE)
    await old.steering.limit(QUEUE, max_active=0, rate=(0, 0))
    await worker.reap()
    claimed = {one.id: one for one in (await worker.claim(10)).jobs}
    assert claimed["running"].checkpoint == b"checkpoint"
    assert claimed["hidden"].secret == b"s3cret"
    assert next(iter(claimed)) == "ready-2"
    await worker.settle([complete(one) for one in claimed.values()], 0)
    logs = await old.inspection.logs(QUEUE, "done-0")
    assert logs is not None
    assert [line.message for line in logs[0]] == ["a line"]
    with pytest.raises(JobPurgedError):
        await old.steering.retry(QUEUE, "spent")
    for taken in ("mine", "was-mine"):
        (answer,) = await old.intake.enqueue_many([job(taken, digest=b"another payload.")])
        assert isinstance(answer, JobIdConflictError)
    await assert_indexes_agree(old.store)


async def test_schedules_survive_the_upgrade(old: Engine) -> None:
    nightly = await Schedules(old.store).get("nightly")
    assert (nightly.record.cron, nightly.record.run_as.id) == ("0 3 * * *", "alice")


async def test_what_an_older_process_enqueues_is_listed_at_once(engine: Engine) -> None:
    await engine.add(job("new"), job("theirs", owner="bob"))
    assert len(await _found(engine, JobQuery())) == 2
    await _unfile(engine.store, "theirs")
    await engine.store.client.zadd(engine.store.keys(QUEUE)["all"], {"theirs": 1})
    assert await _found(engine, JobQuery(owner="bob")) == ["theirs"]
    await assert_indexes_agree(engine.store)


async def test_what_an_older_process_moves_or_drops_is_mended_by_housekeeping(engine: Engine) -> None:
    await engine.add(*(job(f"j{n}", owner="bob") for n in range(300)))
    assert len(await _found(engine, JobQuery(owner="bob"))) == 300
    client: Any = engine.store.client
    keys = engine.store.keys(QUEUE)
    # As its script for cancelling leaves it, and its script for deleting.
    record = Record.read(unpack(await client.hget(keys["states"], "j7")))
    record = record._replace(state=State.CANCELLED.value, finished=record.created)
    await client.zrem(keys["wait"], "j7", "j8")
    await client.zadd(keys["cancelled"], {"j7": record.created * 1024})
    await client.hset(keys["states"], "j7", pack(record))
    await client.hdel(keys["states"], "j8")
    await client.hdel(keys["jobs"], "j8")
    await engine.worker().reap()
    assert await _found(engine, JobQuery(states=frozenset({State.CANCELLED}))) == ["j7"]
    assert len(await _found(engine, JobQuery())) == 299
    await assert_indexes_agree(engine.store)


async def test_all_that_older_processes_enqueue_is_filed_however_much_it_is(engine: Engine) -> None:
    await _found(engine, JobQuery())
    await engine.add(*(job(f"j{n:03}") for n in range(450)))
    client: Any = engine.store.client
    keys = engine.store.keys(QUEUE)
    await client.delete(keys["index"], keys["owned"])
    await client.zadd(keys["all"], {f"j{n:03}": 1 for n in range(450)})
    while await engine.store.run("upgrade", QUEUE, 0):
        pass
    assert await client.zcard(keys["all"]) == 0
    await assert_indexes_agree(engine.store)


async def test_all_that_an_older_release_has_stored_is_filed_however_much_it_is(engine: Engine) -> None:
    await engine.add(*(job(f"j{n:03}") for n in range(1000)))
    client: Any = engine.store.client
    keys = engine.store.keys(QUEUE)
    await client.delete(keys["index"], keys["owned"])
    await client.hdel(keys["meta"], "layout")
    while await engine.store.run("upgrade", QUEUE, 0):
        pass
    await assert_indexes_agree(engine.store)


@pytest.mark.parametrize("index", ["index", "owned"])
async def test_an_index_that_lacks_a_job_is_mended_by_housekeeping(engine: Engine, index: str) -> None:
    await engine.add(job("a"), job("b"))
    await _found(engine, JobQuery())
    client: Any = engine.store.client
    await client.zpopmin(engine.store.keys(QUEUE)[index])
    await engine.worker().reap()
    await assert_indexes_agree(engine.store)


async def test_indexes_that_agree_are_not_swept_again(engine: Engine) -> None:
    await engine.add(job("stays", retention=DAY_SECONDS * 1000), job("ends"), job("runs"), job("waits"))
    await engine.add(job("later", delay=60_000))
    worker = engine.worker()
    stays, ends, _ = (await worker.claim(3)).jobs
    await worker.settle([complete(stays), complete(ends)], 0)
    await _found(engine, JobQuery())
    assert await engine.store.run("upgrade", QUEUE, 1) == 0


async def _unfile(store: Store, job_id: str) -> None:
    client: Any = store.client
    for name in ("index", "owned"):
        key = store.keys(QUEUE)[name]
        for member in await client.zrange(key, 0, -1):
            if member.endswith(job_id.encode()):
                await client.zrem(key, member)


async def test_a_listing_by_the_own_order_of_a_state_needs_no_upgrade(old: Engine) -> None:
    page = await old.inspection.page(QUEUE, JobQuery(states=frozenset({State.WAITING})), BY_STATE)
    assert [record.id for record in page.jobs] == ["ready-2", "ready-1", "ready-0", "hidden", "mine"]
