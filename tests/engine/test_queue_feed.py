"""Watching all queues: read once for everybody, whatever becomes of a single watcher."""

import asyncio
import contextlib
from collections.abc import Sequence

import pytest

from contract.errors import StoreUnavailableError
from engine import queue_feed
from engine.inspection import Inspection
from engine.jobs import QueueSnapshot, State
from engine.queue_feed import QueueFeed
from tests.conftest import ValkeyServer, eventually

from .conftest import QUEUE, Engine, job

QUEUES = (QUEUE, "test:serial")


class Counted(Inspection):
    """Counts how often the queues are read."""

    reads = 0

    async def stats(self, queues: Sequence[str]) -> list[QueueSnapshot]:
        self.reads += 1
        return await super().stats(queues)


async def test_a_watcher_gets_all_queues_then_those_that_changed(engine: Engine) -> None:
    feed = QueueFeed(engine.inspection, QUEUES, every=0.02)
    async with feed.subscribe() as watcher:
        assert [one.name for one in (await watcher.take(10)).queues] == sorted(QUEUES)
        assert (await watcher.take(0.1)).queues == []
        await engine.add(job("a"))
        changes = await watcher.take(10)
        assert [one.name for one in changes.queues] == [QUEUE]
        assert changes.time > 0
    await feed.close()


async def test_a_hundred_watchers_read_as_one_and_each_gets_everything(engine: Engine) -> None:
    inspection = Counted(engine.store, {})
    feed = QueueFeed(inspection, QUEUES, every=0.05)
    async with contextlib.AsyncExitStack() as opened:
        watchers = [await opened.enter_async_context(feed.subscribe()) for _ in range(100)]
        firsts = await asyncio.gather(*(watcher.take(10) for watcher in watchers))
        assert {len(first.queues) for first in firsts} == {2}
        # One that comes later gets all at once, without a read of its own.
        reads = inspection.reads
        late = await opened.enter_async_context(feed.subscribe())
        assert len((await late.take(10)).queues) == 2
        assert inspection.reads <= reads + 1
        await engine.add(job("a"))
        changes = await asyncio.gather(*(watcher.take(10) for watcher in watchers))
        assert {one.queues[0].counts[State.WAITING] for one in changes} == {1}
        before = inspection.reads
        await eventually(lambda: inspection.reads >= before + 3)
        assert inspection.reads <= before + 4
    await feed.close()


async def test_a_slow_watcher_gets_the_latest_alone_and_holds_up_nobody(engine: Engine) -> None:
    feed = QueueFeed(engine.inspection, QUEUES, every=0.02)
    async with feed.subscribe() as slow, feed.subscribe() as quick:
        await asyncio.gather(slow.take(10), quick.take(10))
        for number in range(1, 4):
            await engine.add(job())
            assert (await quick.take(10)).queues[0].counts[State.WAITING] == number
        (only,) = (await slow.take(10)).queues
        assert only.counts[State.WAITING] == 3
    await feed.close()


async def test_the_queues_are_read_a_little_longer_than_anybody_watches(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue_feed, "LINGER_SECONDS", 0.2)
    inspection = Counted(engine.store, {})
    feed = QueueFeed(inspection, QUEUES, every=0.02)
    for _ in range(5):
        async with feed.subscribe() as watcher:
            await watcher.take(10)
    task = feed._task
    assert task
    await eventually(task.done, seconds=5)
    reads = inspection.reads
    async with feed.subscribe() as watcher:
        assert len((await watcher.take(10)).queues) == 2
    assert inspection.reads > reads
    await feed.close()


@pytest.mark.parametrize("settings", ["one server"], indirect=True)
async def test_a_store_that_is_away_ends_all_watches_and_the_next_one_begins_anew(
    own_engine: Engine, own_valkey: ValkeyServer
) -> None:
    feed = QueueFeed(own_engine.inspection, QUEUES, every=0.02)
    async with feed.subscribe() as one, feed.subscribe() as other:
        await asyncio.gather(one.take(10), other.take(10))
        own_valkey.kill()
        for watcher in (one, other):
            with pytest.raises(StoreUnavailableError):
                while True:
                    await watcher.take(10)
    await asyncio.to_thread(own_valkey.start)
    async with feed.subscribe() as watcher:
        assert len((await watcher.take(10)).queues) == 2
    await feed.close()


async def test_closing_ends_the_reading_for_good(engine: Engine) -> None:
    feed = QueueFeed(engine.inspection, QUEUES, every=0.02)
    async with feed.subscribe() as watcher:
        await watcher.take(10)
        task = feed._task
        await feed.close()
    assert task
    assert task.done()
