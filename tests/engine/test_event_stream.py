"""The one reader of a queue's events: how long it lives, what it misses, and what the stream holds."""

import asyncio
import contextlib
from typing import Any

import pytest

from engine import event_stream, events
from engine.claims import Note
from engine.event_stream import EventStream
from engine.events import Told
from engine.jobs import EventKind, JobEvent, State
from engine.packing import pack
from engine.store import Store
from tests.conftest import eventually

from .conftest import QUEUE, Engine, complete, fail, job
from .watching import Watcher, watching

MORE_THAN_KEPT = 10_600
"""Entries after which the stream's older ones are gone."""


async def blocked(store: Store) -> int:
    """Connections that wait in XREAD, on all nodes."""
    client: Any = store.client
    told = (
        [await node.execute_command("CLIENT", "LIST") for node in client.get_primaries()]
        if hasattr(client, "get_primaries")
        else [await client.execute_command("CLIENT", "LIST")]
    )
    lines: list[Any] = []
    for answer in told:
        lines += answer if isinstance(answer, list) else _lines(answer)
    return sum(one["cmd"] == "xread" and "b" in one["flags"] for one in lines)


def _lines(answer: bytes) -> list[dict[str, str]]:
    return [dict(word.partition("=")[::2] for word in line.split()) for line in answer.decode().splitlines()]


def readers() -> list["asyncio.Task[Any]"]:
    return [task for task in asyncio.all_tasks() if "EventStream._read" in repr(task.get_coro())]


async def flood(store: Store, entries: int = MORE_THAN_KEPT) -> None:
    """What other jobs of the queue would write."""
    client: Any = store.client
    key = store.keys(QUEUE)["events"]
    packed = pack(["another", "a", 1, ""])
    for _ in range(0, entries, 100):
        await asyncio.gather(
            *(client.xadd(key, {"e": packed, "k": "p"}, maxlen=10_000, approximate=True) for _ in range(100))
        )


async def test_a_thousand_short_watches_leave_one_reader_and_then_none(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_stream, "LINGER_SECONDS", 0.3)
    monkeypatch.setattr(event_stream, "_BLOCK_MS", 200)
    before = await blocked(engine.store)
    await engine.add(job("a"))
    most = 0

    async def watch_often() -> None:
        nonlocal most
        for _ in range(100):
            async with contextlib.aclosing(engine.hub.watch(QUEUE, "a")) as changes:
                await anext(changes)
            most = max(most, len(readers()))

    await asyncio.gather(*(watch_often() for _ in range(10)))
    assert most == 1
    assert await blocked(engine.store) - before <= 1
    await eventually(lambda: not readers(), seconds=5, what="the reader has ended")
    async with watching(engine, "a") as watcher:
        await watcher.until(1)
        assert len(readers()) == 1


async def test_a_watcher_that_comes_while_the_reader_lingers_takes_it_over(engine: Engine) -> None:
    await engine.add(job("a"))
    async with watching(engine, "a") as watcher:
        await watcher.until(1)
    (reader,) = readers()
    worker = engine.worker()
    async with watching(engine, "a") as watcher:
        await watcher.until(1)
        assert readers() == [reader]
        await worker.settle([complete((await worker.claim(1)).jobs[0])], 0)
        await watcher.end()
    assert [one.kind for one in watcher.got] == [Told.SNAPSHOT, Told.STATE, Told.END]
    await engine.hub.close()
    assert readers() == []


async def test_a_reader_that_swallows_a_cancel_is_closed_and_what_it_still_reads_is_dropped(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    await engine.add(job("a"))
    client: Any = engine.store.client
    execute = client.execute_command
    swallowed = 0

    async def swallows_a_cancel(command: str, *args: Any) -> Any:
        nonlocal swallowed
        try:
            return await execute(command, *args)
        except asyncio.CancelledError:
            swallowed += command == "XREAD"
            if swallowed != 1:
                raise
            return await execute(command, *args)

    monkeypatch.setattr(client, "execute_command", swallows_a_cancel)
    async with watching(engine, "a") as watcher:
        await watcher.until(1)
        closing = asyncio.create_task(engine.hub.close())
        await eventually(lambda: swallowed)
        async with watching(engine, "a") as other:  # its reader is another
            await other.until(1)
            worker = engine.worker()
            await worker.settle([complete((await worker.claim(1)).jobs[0])], 0)
            await other.end()
        await closing
    sequences = [one.sequence for one in other.got]
    assert len(set(sequences)) == len(sequences) == 3
    await engine.hub.close()
    assert readers() == []


async def test_no_watcher_is_told_a_sequence_twice_whoever_delivers_it_again(engine: Engine) -> None:
    await engine.add(job("a"))
    worker = engine.worker()
    (claimed,) = (await worker.claim(1)).jobs
    async with watching(engine, "a") as watcher:
        await watcher.until(1)
        stream = engine.hub._streams[QUEUE]
        await worker.note([Note("a", claimed.fence, 10)])
        await watcher.until(2)
        key = engine.store.keys(QUEUE)["events"]
        client: Any = engine.store.client
        for entry_id, fields in await client.xrange(key):
            stream._deliver((entry_id.decode(), fields))
        await worker.settle([complete(claimed)], 0)
        await watcher.end()
    assert [one.kind for one in watcher.got] == [Told.SNAPSHOT, Told.PROGRESS, Told.END]


async def test_a_reader_that_the_stream_was_trimmed_past_tells_its_watchers(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where the process stood still for seconds: it is held up here between two reads."""
    await engine.add(job("a"), job("b"))
    held, go_on = asyncio.Event(), asyncio.Event()
    read_on = EventStream._read_on

    async def held_up(self: EventStream) -> None:
        if held.is_set():
            await go_on.wait()
        await read_on(self)

    monkeypatch.setattr(EventStream, "_read_on", held_up)
    async with watching(engine, "a") as ended, watching(engine, "b") as goes_on:
        await ended.until(1)
        await goes_on.until(1)
        held.set()
        worker = engine.worker()
        one, _ = (await worker.claim(2)).jobs
        await eventually(lambda: len(ended.got) + len(goes_on.got) >= 2)
        await worker.settle([complete(one)], 0)
        await flood(engine.store)
        go_on.set()
        await ended.end()
        await goes_on.until(2)
        await eventually(lambda: goes_on.got[-1].kind is Told.RESET, seconds=10)
    assert (ended.got[-1].kind, ended.got[-1].state) == (Told.END, State.COMPLETED)
    assert goes_on.got[-1].state is State.ACTIVE


async def test_a_burst_that_fits_into_the_stream_is_no_reason_to_reset(engine: Engine) -> None:
    await engine.add(job("a"))
    worker = engine.worker()
    (claimed,) = (await worker.claim(1)).jobs
    async with watching(engine, "a") as watcher:
        await watcher.until(1)
        await flood(engine.store, 3_000)
        await worker.settle([complete(claimed)], 0)
        await watcher.end()
    assert [one.kind for one in watcher.events] == [Told.SNAPSHOT, Told.END]


@pytest.mark.parametrize("how", ["end", "delete"])
async def test_an_end_whose_event_is_lost_is_noticed_at_a_heartbeat(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setattr(EventStream, "_deliver", lambda _self, _entry: None)
    monkeypatch.setattr(events, "LOOK_SECONDS", 0.2)
    await engine.add(job("a"))
    waiting = asyncio.create_task(engine.hub.wait(QUEUE, "a", 3600))
    async with watching(engine, "a", heartbeat=0.2) as watcher:
        await watcher.until(2)
        if how == "end":
            await engine.steering.cancel(QUEUE, "a", "no more")
            await eventually(waiting.done)
            assert (await waiting).state is State.CANCELLED
        else:
            waiting.cancel()
            await engine.steering.delete(QUEUE, "a")
        await watcher.end()
    last = watcher.got[-1]
    assert (last.kind, last.state) == (Told.END, State.CANCELLED if how == "end" else None)


async def test_who_waits_and_has_lost_track_looks_at_once_whatever_comes_after(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "LOOK_SECONDS", 3600)
    await engine.add(job("a"))
    waiting = asyncio.create_task(engine.hub.wait(QUEUE, "a", 3600))
    (box,) = await eventually(lambda: (stream := engine.hub._streams.get(QUEUE)) and stream._boxes.get("a"))
    progress = JobEvent(QUEUE, "a", "1-1-1", 1, EventKind.PROGRESS, State.ACTIVE, 10, "")
    box.put(progress)
    await eventually(lambda: not box._events, what="the first look is over")
    dropped: list[Any] = []
    engine.hub._streams[QUEUE]._deliver = dropped.append  # type: ignore[method-assign, assignment]
    await engine.steering.cancel(QUEUE, "a")
    await eventually(lambda: dropped)
    assert not waiting.done()
    box.lose_track()
    box.put(progress)
    await eventually(waiting.done)
    assert (await waiting).state is State.CANCELLED


async def test_a_change_that_an_event_did_not_tell_is_told_as_a_reset(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(EventStream, "_deliver", lambda _self, _entry: None)
    await engine.add(job("a"))
    async with watching(engine, "a", heartbeat=0.2) as watcher:
        await watcher.until(2)
        await engine.worker().claim(1)
        await eventually(lambda: watcher.got[-1].kind is Told.RESET)
    assert watcher.got[-1].state is State.ACTIVE


async def test_a_heartbeat_keeps_the_place_of_a_quiet_watcher_young(engine: Engine) -> None:
    await engine.add(job("a"))
    async with watching(engine, "a", heartbeat=0.2) as watcher:
        await watcher.until(1)
        await flood(engine.store)
        _, last = await engine.inspection.snapshot(QUEUE, "a")
        await eventually(lambda: watcher.got[-1].sequence.startswith(f"{last}-"), what="it is at the end of the stream")
        await eventually(lambda: watcher.got[-1].kind is Told.HEARTBEAT)
        place = watcher.got[-1].sequence
    async with watching(engine, "a", place, heartbeat=0.2) as resumed:
        await resumed.until(1)
    assert resumed.got[0].kind is Told.HEARTBEAT


async def test_a_job_that_is_run_again_at_once_goes_on_being_watched(engine: Engine) -> None:
    await engine.add(job("a"))
    worker = engine.worker()
    async with watching(engine, "a") as watcher:
        await watcher.until(1)
        stream = engine.hub._streams[QUEUE]
        entries: list[Any] = []
        deliver = stream._deliver
        stream._deliver = entries.append  # type: ignore[method-assign, assignment]
        await worker.settle([fail((await worker.claim(1)).jobs[0])], 0)
        await engine.steering.retry(QUEUE, "a")
        last = (await engine.stats()).last_event
        await eventually(lambda: entries and entries[-1][0] == last)
        stream._deliver = deliver  # type: ignore[method-assign]
        for entry in entries:
            stream._deliver(entry)
        await watcher.until(4)
        await worker.settle([complete((await worker.claim(1)).jobs[0])], 0)
        await watcher.end()
    states = [(one.kind, one.state) for one in watcher.got]
    assert states[2:4] == [(Told.STATE, State.FAILED), (Told.STATE, State.WAITING)]
    assert states[-1] == (Told.END, State.COMPLETED)


# What the stream holds


@pytest.mark.parametrize("letter", ["x", "ü", "€", "😀"])
async def test_an_event_carries_two_hundred_characters_and_the_log_the_whole_line(engine: Engine, letter: str) -> None:
    await engine.add(job("a"))
    worker = engine.worker()
    (claimed,) = (await worker.claim(1)).jobs
    line = letter * 2000
    async with watching(engine, "a") as watcher:
        await watcher.until(1)
        await worker.note([Note("a", claimed.fence, -1, (("log", line), ("log", letter * 200), ("step", line)))])
        await watcher.until(4)
    cut = letter * 199 + "…"
    assert [(one.kind, one.text) for one in watcher.got[1:]] == [
        (Told.LOG, cut),
        (Told.LOG, letter * 200),
        (Told.PROGRESS, cut),
    ]
    logged = await engine.inspection.logs(QUEUE, "a")
    assert logged
    assert [one.message for one in logged[0]] == [line, letter * 200]


async def test_a_reason_is_whole_in_the_job_and_short_in_its_event(engine: Engine) -> None:
    await engine.add(job("a", attempts=2))
    worker = engine.worker()
    (claimed,) = (await worker.claim(1)).jobs
    async with watching(engine, "a") as watcher:
        await watcher.until(1)
        await worker.settle([fail(claimed, "e" * 5000, delay=60_000)], 0)
        await watcher.until(2)
    assert watcher.got[1].text == "e" * 199 + "…"
    record = await engine.inspection.get(QUEUE, "a")
    assert record
    assert record.failed_reason == "e" * 5000


async def test_entries_of_a_chatty_call_are_bounded_in_bytes_and_lose_nothing(engine: Engine) -> None:
    await engine.add(job("a"))
    worker = engine.worker()
    (claimed,) = (await worker.claim(1)).jobs
    async with watching(engine, "a") as watcher:
        await watcher.until(1)
        lines = tuple(("log", f"{number:03d} " + "€" * 500) for number in range(200))
        await worker.note([Note("a", claimed.fence, -1, lines)])
        await watcher.until(201)
    assert [int(one.text[:3]) for one in watcher.got[1:]] == list(range(200))
    client: Any = engine.store.client
    sizes = [len(fields[b"e"]) for _, fields in await client.xrange(engine.store.keys(QUEUE)["events"])]
    assert max(sizes) < 20_000


async def test_the_entries_of_an_older_process_are_read(engine: Engine) -> None:
    """A worker of the release before wrote no kinds."""
    await engine.add(job("a"))
    worker = engine.worker()
    await worker.claim(1)
    client: Any = engine.store.client
    told = [("a", "a", 30, "a line"), ("a", "a", 40, ""), ("a", "d", 40, "broken"), ("a", "-", 0, "deleted")]
    async with watching(engine, "a") as watcher:
        await watcher.until(1)
        flat = [part for event in told for part in event]
        await client.xadd(engine.store.keys(QUEUE)["events"], {"e": pack(flat)})
        await watcher.end()
    assert [(one.kind, one.state, one.text) for one in watcher.got[1:]] == [
        (Told.LOG, State.ACTIVE, "a line"),
        (Told.PROGRESS, State.ACTIVE, ""),
        (Told.STATE, State.DELAYED, "broken"),
        (Told.END, None, "deleted"),
    ]


async def test_watchers_of_many_jobs_are_all_fed_by_one_reader(engine: Engine) -> None:
    names = [f"job-{number}" for number in range(50)]
    await engine.add(*(job(name) for name in names))
    watchers = [Watcher(engine, name) for name in names]
    for watcher in watchers:
        await watcher.until(1)
    assert len(readers()) == 1
    worker = engine.worker()
    await worker.settle([complete(claimed) for claimed in (await worker.claim(50)).jobs], 0)
    for watcher in watchers:
        await watcher.end()
        assert [one.kind for one in watcher.got] == [Told.SNAPSHOT, Told.STATE, Told.END]
