"""Live events: one reader for each queue that somebody watches, and any number of watchers fed from memory."""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

import structlog
from redis import exceptions as redis_errors

from engine.inspection import Inspection
from engine.jobs import JobEvent, JobRecord, QueueSnapshot, State
from engine.packing import unpack
from engine.steering import job_not_found
from engine.store import Store, backoff_sleep, translated

log = structlog.get_logger(__name__)

_BOX_SIZE: Final = 1000
"""Events that wait for a slow watcher; one that falls further behind gets a new snapshot instead."""
_ENTRIES: Final = 500
_BLOCK_MS: Final = 4000
"""Below the client's reply timeout of 5 s."""
_FEW: Final = 8
"""Up to so many watchers are looked for in an entry's bytes before it is unpacked at all."""
_SNAPSHOT_INDEX: Final = 999_999_999
"""Index in the sequence of a snapshot: after every event of the entry that it includes."""
_REMOVED: Final = "-"

Place = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Watched:
    """One thing that a watcher of a job gets."""

    event: JobEvent | None = None
    """None for a heartbeat."""
    record: JobRecord | None = None
    """The whole job: with the first and the last event."""
    reset: bool = False
    """Events before this one were missed."""


class _Box:
    """What has come for one watcher and was not taken yet."""

    def __init__(self) -> None:
        self._events: deque[JobEvent] = deque()
        self._filled = asyncio.Event()
        self._behind = False

    def put(self, event: JobEvent) -> None:
        if len(self._events) >= _BOX_SIZE:
            self.lose_track()
        else:
            self._events.append(event)
            self._filled.set()

    def lose_track(self) -> None:
        """Events may be missing from here on: the watcher must look at the job itself."""
        self._events.clear()
        self._behind = True
        self._filled.set()

    async def take(self, seconds: float) -> tuple[list[JobEvent], bool]:
        """Waits up to `seconds` for events; answers those there are, and whether the watcher has lost track."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._filled.wait()
        events, behind = list(self._events), self._behind
        self._events.clear()
        self._filled.clear()
        self._behind = False
        return events, behind


class _QueueReader:
    """Reads one queue's stream while somebody watches one of its jobs."""

    def __init__(self, store: Store, queue: str) -> None:
        self._store = store
        self._queue = queue
        self._key = store.keys(queue)["events"]
        self._boxes: dict[str, set[_Box]] = {}
        self._position = ""
        self._starting = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    @contextlib.asynccontextmanager
    async def subscribe(self, job_id: str) -> AsyncIterator[_Box]:
        """From here on every event of the job reaches the box."""
        box = _Box()
        self._boxes.setdefault(job_id, set()).add(box)
        try:
            async with self._starting:
                if self._task is None:
                    self._position = await self._last_id()
                    self._task = asyncio.create_task(self._read())
            yield box
        finally:
            boxes = self._boxes[job_id]
            boxes.discard(box)
            if not boxes:
                del self._boxes[job_id]
            if not self._boxes and self._task is not None:
                self._task.cancel()
                self._task = None

    async def _last_id(self) -> str:
        try:
            last = await cast("Any", self._store.client).xrevrange(self._key, count=1)
        except (redis_errors.RedisError, OSError) as error:
            raise translated(error) from error
        return last[0][0].decode() if last else "0-0"

    async def _read(self) -> None:
        failures = 0
        while True:
            try:
                await self._read_on(look_again=failures > 0)
                failures = 0
            except Exception as error:  # whatever it is, nobody who watches may be left waiting for good
                if failures == 0:
                    expected = isinstance(error, redis_errors.RedisError | OSError)
                    log.warning("events_unread", queue=self._queue, reason=str(error), exc_info=not expected)
                failures += 1
                await backoff_sleep(failures)

    async def _read_on(self, *, look_again: bool) -> None:
        """Delivers what comes next. After a failure the server may hold something else: everybody looks again."""
        answer = await cast("Any", self._store.client).xread(
            {self._key: self._position}, count=_ENTRIES, block=_BLOCK_MS
        )
        if look_again:
            for boxes in self._boxes.values():
                for box in boxes:
                    box.lose_track()
        for entry_id, packed in _entries(answer):
            self._position = entry_id
            self._deliver(entry_id, packed)

    def _deliver(self, entry_id: str, packed: bytes) -> None:
        if len(self._boxes) <= _FEW and not any(job_id.encode() in packed for job_id in self._boxes):
            return
        for event in unpack_events(self._queue, entry_id, packed, self._boxes):
            for box in self._boxes[event.job_id]:
                box.put(event)

    async def replay(self, job_id: str, after: Place, until: Place) -> list[JobEvent] | None:
        """The job's events after one place and up to another; None where the stream no longer reaches back so far."""
        first = await self._range(count=1)
        if not first or _place(first[0][0].decode(), 0)[:2] > after[:2] or after > until:
            return None
        found: list[JobEvent] = []
        start = f"{after[0]}-{after[1]}"
        while entries := await self._range(min=start, max=f"{until[0]}-{until[1]}", count=_ENTRIES):
            for entry_id, fields in entries:
                if job_id.encode() in fields[b"e"]:
                    found += unpack_events(self._queue, entry_id.decode(), fields[b"e"], {job_id})
            start = f"({entries[-1][0].decode()}"
        return [event for event in found if after < _sequence_place(event.sequence) <= until]

    async def _range(self, **bounds: Any) -> Any:
        try:
            async with self._store.turn:
                return await cast("Any", self._store.client).xrange(self._key, **bounds)
        except (redis_errors.RedisError, OSError) as error:
            raise translated(error) from error


class EventHub:
    """Feeds the watchers of one process."""

    def __init__(self, store: Store, inspection: Inspection) -> None:
        self._store = store
        self._inspection = inspection
        self._readers: dict[str, _QueueReader] = {}

    async def watch(self, queue: str, job_id: str, after: str = "", heartbeat: float = 15) -> AsyncGenerator[Watched]:
        """Follows a job: a snapshot, every change, its end; then it stops.

        With `after`, a sequence of an earlier event, it goes on behind that one; where the store no longer has what
        followed, a snapshot marked `reset` comes first. Something comes at least every `heartbeat` seconds.

        Raises:
          JobNotFoundError: there is no such job; before anything else, or when it is gone after a reset.
          StoreUnavailableError: the store is away at the start, or when the end is to be read.
        """
        reader = self._readers.setdefault(queue, _QueueReader(self._store, queue))
        async with reader.subscribe(job_id) as box:
            record, place = await self._look(queue, job_id)
            replayed = await reader.replay(job_id, _sequence_place(after), place) if after else None
            for watched in _opening(queue, record, place, replayed, resumed=bool(after)):
                yield watched
                if watched.record is not None and watched.record.state.finished:
                    return
            while True:
                events, behind = await box.take(heartbeat)
                if behind:
                    record, place = await self._look(queue, job_id)
                    yield Watched(_snapshot_event(queue, record, place), record, reset=True)
                    if record.state.finished:
                        return
                elif not events:
                    yield Watched()
                for event in events:
                    if _sequence_place(event.sequence) > place:
                        yield Watched(event, await self._inspection.get(queue, job_id) if _ends(event) else None)
                        if _ends(event):
                            return

    async def _look(self, queue: str, job_id: str) -> tuple[JobRecord, Place]:
        record, last = await self._inspection.snapshot(queue, job_id)
        if record is None:
            raise job_not_found(queue, job_id)
        return record, _place(last, _SNAPSHOT_INDEX)

    async def wait(self, queue: str, job_id: str, seconds: float) -> JobRecord:
        """The job once it has ended, or as it stands after `seconds`. Raises JobNotFoundError."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds), contextlib.aclosing(self.watch(queue, job_id)) as changes:
                async for change in changes:
                    if change.record is not None and change.record.state.finished:
                        return change.record
        record = await self._inspection.get(queue, job_id)
        if record is None:
            raise job_not_found(queue, job_id)
        return record

    async def watch_queues(self, queues: Sequence[str], every: float = 1.0) -> AsyncIterator[list[QueueSnapshot]]:
        """All queues, then every `every` seconds those that changed (none: an empty list)."""
        known: dict[str, QueueSnapshot] = {}
        while True:
            snapshots = await self._inspection.stats(queues)
            changed = [snapshot for snapshot in snapshots if known.get(snapshot.name) != snapshot]
            known |= {snapshot.name: snapshot for snapshot in changed}
            yield changed
            await asyncio.sleep(every)


def unpack_events(queue: str, entry_id: str, packed: bytes, wanted: Any) -> list[JobEvent]:
    """The events in one entry of a queue's stream that are about a job in `wanted`."""
    flat = unpack(packed)
    time = int(entry_id.partition("-")[0])
    return [
        JobEvent(
            queue=queue,
            job_id=flat[i],
            sequence=f"{entry_id}-{i // 4}",
            time=time,
            state=State.CANCELLED if flat[i + 1] == _REMOVED else State(flat[i + 1]),
            progress=float(flat[i + 2]),
            message=flat[i + 3],
            removed=flat[i + 1] == _REMOVED,
        )
        for i in range(0, len(flat), 4)
        if flat[i] in wanted
    ]


def _entries(answer: Any) -> list[tuple[str, bytes]]:
    """The entries of XREAD's answer, which is a list or, under RESP3, a mapping."""
    if not answer:
        return []
    ((_, entries),) = answer.items() if isinstance(answer, dict) else answer
    if entries and isinstance(entries[0], list) and entries[0] and isinstance(entries[0][0], list | tuple):
        entries = entries[0]
    return [(entry_id.decode(), fields[b"e"]) for entry_id, fields in entries]


def _opening(
    queue: str, record: JobRecord, place: Place, replayed: list[JobEvent] | None, *, resumed: bool
) -> Iterator[Watched]:
    """What a watcher gets first: the events that it missed, or the job as it stands; its end if it has ended."""
    if replayed is None:
        yield Watched(_snapshot_event(queue, record, place), record, reset=resumed)
        return
    ended = record.state.finished
    for event in replayed:
        # A job that was retried has several ends; only the last one is the end.
        if not (ended and _ends(event)):
            yield Watched(event)
    if ended:
        last = replayed[-1] if replayed and _ends(replayed[-1]) else _snapshot_event(queue, record, place)
        yield Watched(last, record)


def _ends(event: JobEvent) -> bool:
    return event.removed or event.state.finished


def _snapshot_event(queue: str, record: JobRecord, place: Place) -> JobEvent:
    return JobEvent(
        queue=queue,
        job_id=record.id,
        sequence="-".join(map(str, place)),
        time=record.finished or record.started or record.created,
        state=record.state,
        progress=record.progress,
        message=record.failed_reason,
    )


def _place(entry_id: str, index: int) -> Place:
    ms, _, number = entry_id.partition("-")
    return int(ms), int(number), index


def _sequence_place(sequence: str) -> Place:
    ms, number, index = sequence.split("-")
    return int(ms), int(number), int(index)
