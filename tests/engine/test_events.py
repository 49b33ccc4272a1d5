"""Watching jobs: snapshot, every change, the end; resuming; falling behind; a store that goes away."""

import asyncio
import contextlib
import shutil

import pytest

from base.settings import Settings
from contract.catalog import Catalog
from contract.errors import JobNotFoundError
from engine.claims import Note
from engine.events import Told
from engine.jobs import State
from engine.store import Store
from tests.conftest import ValkeyServer, eventually

from .conftest import QUEUE, Engine, complete, engine_on, fail, job
from .watching import Watcher, watching


async def test_a_watcher_gets_a_snapshot_every_change_and_the_end(engine: Engine) -> None:
    await engine.add(job("a"))
    worker = engine.worker()
    async with watching(engine, "a") as watcher:
        await watcher.until(1)
        (claimed,) = (await worker.claim(1)).jobs
        await worker.note([Note("a", claimed.fence, 30, (("step", "halfway"),))])
        await worker.note([Note("a", claimed.fence, -1, (("log", "a line"),))])
        await worker.settle([complete(claimed, b"r")], 0)
        await watcher.end()
    seen = [(event.kind, event.state, event.progress, event.text) for event in watcher.events]
    assert seen == [
        (Told.SNAPSHOT, State.WAITING, 0, ""),
        (Told.STATE, State.ACTIVE, 0, ""),
        (Told.PROGRESS, State.ACTIVE, 30, "halfway"),
        (Told.LOG, State.ACTIVE, 30, "a line"),
        (Told.END, State.COMPLETED, 100, ""),
    ]
    first, last = watcher.got[0].record, watcher.got[-1].record
    assert first
    assert last
    assert (first.state, last.state, last.result) == (State.WAITING, State.COMPLETED, b"r")
    assert [one.record for one in watcher.got[1:-1]] == [None, None, None]


async def test_a_finished_job_answers_its_end_at_once(engine: Engine) -> None:
    await engine.add(job("a"))
    await engine.steering.cancel(QUEUE, "a", "why not")
    async with watching(engine, "a") as watcher:
        await watcher.end()
    (only,) = watcher.got
    assert only.record
    assert (only.kind, only.state, only.text) == (Told.END, State.CANCELLED, "why not")


async def test_an_unknown_job_is_an_error_before_any_event(engine: Engine) -> None:
    with pytest.raises(JobNotFoundError):
        await anext(engine.hub.watch(QUEUE, "nobody"))


async def test_resuming_after_each_event_gives_exactly_those_that_followed(engine: Engine) -> None:
    await engine.add(job("a"), job("noise"))
    worker = engine.worker()
    async with watching(engine, "a") as watcher:
        await watcher.until(1)
        claimed, noise = (await worker.claim(2)).jobs
        for percent in range(10, 60, 10):
            await worker.note([Note("a", claimed.fence, percent), Note(noise.id, noise.fence, percent)])
        await watcher.until(7)
        for place, event in enumerate(watcher.events[:7]):
            async with watching(engine, "a", event.sequence) as resumed:
                await resumed.until(6 - place)
                assert resumed.events == watcher.events[place + 1 :]
        await worker.settle([complete(claimed)], 0)
        await watcher.end()
    async with watching(engine, "a", watcher.events[-2].sequence) as resumed:
        await resumed.end()
    assert [event.state for event in resumed.events] == [State.COMPLETED]
    async with watching(engine, "a", watcher.events[-1].sequence) as resumed:
        await resumed.end()
    assert [event.state for event in resumed.events] == [State.COMPLETED]


@pytest.mark.parametrize("after", ["1-0-0", "99999999999999-0-0"])
async def test_a_token_that_the_stream_does_not_reach_gets_a_snapshot_marked_reset(engine: Engine, after: str) -> None:
    await engine.add(job("a"))
    async with watching(engine, "a", after) as watcher:
        await watcher.until(1)
        assert watcher.got[0].kind is Told.RESET
        assert watcher.got[0].record


async def test_a_token_of_a_number_that_no_entry_can_have_goes_on_behind_its_moment(engine: Engine) -> None:
    """The contract admits twenty digits, which are more than the store reads."""
    await engine.add(job("before"))
    _, first = await engine.inspection.snapshot(QUEUE, "before")
    await engine.add(job("a"))
    async with watching(engine, "a", f"{first.partition('-')[0]}-{10**20 - 1}-0") as watcher:
        await engine.steering.cancel(QUEUE, "a")
        await watcher.end()
    assert watcher.got[-1].kind is Told.END


async def test_heartbeats_keep_a_quiet_stream_alive(engine: Engine) -> None:
    await engine.add(job("a"))
    async with watching(engine, "a", heartbeat=0.05) as watcher:
        await watcher.until(4)
    assert [one.kind for one in watcher.got[1:4]] == [Told.HEARTBEAT] * 3


async def test_watchers_that_join_at_any_moment_see_every_event_from_there_on(engine: Engine) -> None:
    await engine.add(job("a"))
    worker = engine.worker()
    (claimed,) = (await worker.claim(1)).jobs
    watchers: list[Watcher] = []
    for percent in range(1, 60):
        await worker.note([Note("a", claimed.fence, percent)])
        if percent % 3 == 0:
            watchers.append(Watcher(engine, "a"))
    await worker.settle([complete(claimed)], 0)
    for watcher in watchers:
        await watcher.end()
        seen = [event.progress for event in watcher.events]
        first = int(seen[0])
        assert seen in ([*range(first, 60), 100], [100])


async def test_a_retried_job_that_ended_before_is_followed_to_its_new_end(engine: Engine) -> None:
    await engine.add(job("a"))
    worker = engine.worker()
    async with watching(engine, "a") as first:
        await first.until(1)
        await worker.settle([fail((await worker.claim(1)).jobs[0])], 0)
        await first.end()
    await engine.steering.retry(QUEUE, "a")
    async with watching(engine, "a") as second:
        await second.until(1)
        await worker.settle([complete((await worker.claim(1)).jobs[0])], 0)
        await second.end()
    assert second.events[-1].state is State.COMPLETED


async def test_a_deleted_job_ends_its_watchers(engine: Engine) -> None:
    await engine.add(job("a"))
    async with watching(engine, "a") as watcher:
        await watcher.until(1)
        await engine.steering.delete(QUEUE, "a")
        await watcher.end()
    (_, last) = watcher.events
    assert (last.kind, last.state, last.record, last.text) == (Told.END, None, None, "deleted")


async def test_a_watcher_that_falls_behind_gets_a_new_snapshot(engine: Engine) -> None:
    await engine.add(job("a"))
    worker = engine.worker()
    (claimed,) = (await worker.claim(1)).jobs
    changes = engine.hub.watch(QUEUE, "a")
    await anext(changes)
    for start in range(0, 1200, 100):
        await worker.note([Note("a", claimed.fence, 1, tuple(("log", str(n)) for n in range(start, start + 100)))])
    reader, last = engine.hub._streams[QUEUE], (await engine.stats()).last_event
    await eventually(lambda: reader._position == last)
    got = await anext(changes)
    assert got.kind is Told.RESET
    assert got.record
    await changes.aclose()


async def test_watchers_outlive_a_store_that_dies_and_comes_back(own_engine: Engine, own_valkey: ValkeyServer) -> None:
    engine, store = own_engine, own_engine.store
    await engine.add(job("a"))
    await store.client.bgrewriteaof()
    async with watching(engine, "a") as watcher:
        await watcher.until(1)
        await store.client.waitaof(1, 0, 3000)
        own_valkey.kill()
        own_valkey.start()
        worker = engine.worker()
        (claimed,) = (await eventually(lambda: _claim(worker))).jobs
        await worker.settle([complete(claimed)], 0)
        await watcher.end()
    assert watcher.events[-1].state is State.COMPLETED


async def test_a_watcher_hears_that_its_job_is_gone_with_all_that_the_store_had(
    own_engine: Engine, own_valkey: ValkeyServer
) -> None:
    """As after a failover to a replica that had not received it: nothing more comes of the job, for good."""
    await own_engine.add(job("a"))
    async with watching(own_engine, "a") as watcher:
        await watcher.until(1)
        own_valkey.kill()
        shutil.rmtree(own_valkey.folder / "appendonlydir")
        await asyncio.to_thread(own_valkey.start)
        await watcher.end()
    assert (watcher.events[-1].kind, watcher.events[-1].record) == (Told.END, None)


async def _claim(worker):
    try:
        return await worker.claim(1)
    except Exception:  # noqa: BLE001  (still away)
        return None


async def test_waiting_answers_the_end_or_the_state_when_time_is_up(engine: Engine) -> None:
    await engine.add(job("a"))
    assert (await engine.hub.wait(QUEUE, "a", 0.05)).state is State.WAITING
    waiting = asyncio.create_task(engine.hub.wait(QUEUE, "a", 10))
    worker = engine.worker()
    await worker.settle([complete((await worker.claim(1)).jobs[0])], 0)
    assert (await waiting).state is State.COMPLETED


async def test_more_watchers_come_and_come_back_at_once_than_there_are_connections(
    settings: Settings, catalog: Catalog
) -> None:
    store = await Store.open(settings.model_copy(update={"redis_max_connections": 10}))
    engine = engine_on(store, settings, catalog)
    await engine.add(*(job(f"job-{number}") for number in range(100)))
    async with contextlib.AsyncExitStack() as opened:
        come = [await opened.enter_async_context(watching(engine, f"job-{number}")) for number in range(100)]
        await asyncio.gather(*(watcher.until(1) for watcher in come))
        (claimed,) = (await engine.worker().claim(1)).jobs
        before = come[0].events[0].sequence
        back = [await opened.enter_async_context(watching(engine, claimed.id, before)) for _ in range(100)]
        await asyncio.gather(*(watcher.until(1) for watcher in back))
        assert {watcher.events[0].state for watcher in back} == {State.ACTIVE}
    await store.close()


async def test_a_reader_that_fails_in_a_way_nobody_expected_reads_on(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    await engine.add(job("a"))
    broken = asyncio.Event()

    def fails_once(*_: object) -> None:
        monkeypatch.undo()
        broken.set()
        raise ValueError("an entry that nobody can read")

    async with watching(engine, "a") as watcher:
        await watcher.until(1)
        monkeypatch.setattr("engine.event_stream.entries_of", fails_once)
        worker = engine.worker()
        (claimed,) = (await worker.claim(1)).jobs
        await broken.wait()
        await worker.settle([complete(claimed)], 0)
        await watcher.end()
    assert watcher.events[-1].state is State.COMPLETED
