"""Following jobs: what each watcher is told, from how the job stands to its end."""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from engine.actions import job_not_found
from engine.event_entries import AFTER_ENTRY, Place, place_in, place_of, sequence_of
from engine.event_stream import Box, EventStream
from engine.inspection import Inspection
from engine.jobs import EventKind, JobEvent, JobRecord, State
from engine.store import Store

GRACE_SECONDS: Final = 1.0
"""How long the event of a change that the store shows may take to arrive before it counts as lost."""
LOOK_SECONDS: Final = 15.0
"""How often who waits for a job looks at the job itself."""


class Told(Enum):
    """What a watcher is told."""

    SNAPSHOT = auto()
    """The job as it stands when the watch begins."""
    STATE = auto()
    PROGRESS = auto()
    LOG = auto()
    END = auto()
    """The job has ended, or is gone. Nothing follows."""
    HEARTBEAT = auto()
    RESET = auto()
    """Events were missed: the job as it stands now."""


_KINDS: Final = {EventKind.STATE: Told.STATE, EventKind.PROGRESS: Told.PROGRESS, EventKind.LOG: Told.LOG}


@dataclass(frozen=True, slots=True)
class Watched:
    """One thing that a watcher of a job is told."""

    kind: Told
    sequence: str
    """Where to go on."""
    time: int
    """Unix milliseconds, by the store's clock; 0 for a heartbeat."""
    state: State | None = None
    """None in a heartbeat, and where the job went before it had ended."""
    progress: float = 0.0
    text: str = ""
    record: JobRecord | None = None
    """The whole job: in a snapshot, a reset, and an end unless it is gone."""


class EventHub:
    """Feeds the watchers of one process."""

    def __init__(self, store: Store, inspection: Inspection) -> None:
        self._store = store
        self._inspection = inspection
        self._streams: dict[str, EventStream] = {}

    async def close(self) -> None:
        """Ends all readers."""
        await asyncio.gather(*(stream.close() for stream in self._streams.values()))

    def _stream(self, queue: str) -> EventStream:
        stream = self._streams.get(queue)
        if stream is None:
            stream = self._streams[queue] = EventStream(self._store, queue)
        return stream

    async def watch(self, queue: str, job_id: str, after: str = "", heartbeat: float = 15) -> AsyncGenerator[Watched]:
        """Follows a job: a snapshot, every change, its end; then it stops. A job that has ended tells its end alone.

        With `after`, a sequence of an earlier event, it goes on behind that one; where the store no longer has what
        followed, a reset comes first. Something comes at least every `heartbeat` seconds.

        Raises:
          JobNotFoundError: there is no such job; before anything else.
          StoreUnavailableError: the store is away at the start, or when the job is to be looked at.
        """
        stream = self._stream(queue)
        async with stream.subscribe(job_id) as box:
            record, last = await self._inspection.snapshot(queue, job_id)
            if record is None:
                raise job_not_found(queue, job_id)
            place = place_of(last, AFTER_ENTRY)
            replayed = await stream.replay(job_id, place_in(after), place) if after else None
            for watched in _opening(record, place, replayed, resumed=bool(after)):
                yield watched
                if watched.kind is Told.END:
                    return
            watch = _Watch(self._inspection, queue, job_id, stream, place, record.state)
            async with contextlib.aclosing(watch.follow(box, heartbeat)) as following:
                async for watched in following:
                    yield watched

    async def wait(self, queue: str, job_id: str, seconds: float) -> JobRecord:
        """The job once it has ended, or as it stands after `seconds`. Raises JobNotFoundError."""
        deadline = time.monotonic() + seconds
        async with self._stream(queue).subscribe(job_id) as box:
            look = True
            while True:
                left = deadline - time.monotonic()
                if look or left <= 0:
                    record = await self._inspection.get(queue, job_id)
                    if record is None:
                        raise job_not_found(queue, job_id)
                    if record.state.finished or left <= 0:
                        return record
                events, behind = await box.take(min(left, LOOK_SECONDS))
                look = behind or not events or any(event.ends for event in events)


class _Watch:
    """One watch after its beginning: how far it is, and where the job stood when it last said so."""

    def __init__(
        self, inspection: Inspection, queue: str, job_id: str, stream: EventStream, place: Place, state: State
    ) -> None:
        self._inspection = inspection
        self._queue = queue
        self._job_id = job_id
        self._stream = stream
        self._place = place
        self._state: State | None = state

    async def follow(self, box: Box, heartbeat: float) -> AsyncGenerator[Watched]:
        patience = heartbeat
        while True:
            events, behind = await box.take(patience)
            if not events and not behind:
                if await self._inspection.state(self._queue, self._job_id) == self._state:
                    self._place = max(self._place, self._stream.place)
                    patience = heartbeat
                    yield Watched(Told.HEARTBEAT, sequence_of(self._place), 0)
                    continue
                if patience == heartbeat:  # what has just happened may be on its way
                    patience = min(GRACE_SECONDS, heartbeat / 2)
                    continue
                behind = True
            patience = heartbeat
            if behind:
                watched = await self._anew()
                yield watched
                if watched.kind is Told.END:
                    return
            for event in events:
                if place_in(event.sequence) > self._place:
                    watched = await self._told(event)
                    yield watched
                    if watched.kind is Told.END:
                        return

    async def _anew(self) -> Watched:
        """What the job itself says, where events were missed."""
        record, last = await self._inspection.snapshot(self._queue, self._job_id)
        self._place = max(self._place, place_of(last, AFTER_ENTRY))
        if record is None:
            return Watched(Told.END, sequence_of(self._place), 0)
        self._state = record.state
        return _standing(Told.END if record.state.finished else Told.RESET, record, self._place)

    async def _told(self, event: JobEvent) -> Watched:
        self._place = place_in(event.sequence)
        self._state = event.state
        if not event.ends:
            return _passing(event)
        record = await self._inspection.get(self._queue, self._job_id) if event.state else None
        if record is not None and not record.state.finished:
            return _passing(event)  # it was run again meanwhile, as events to come tell
        return _end(event, record)


def _opening(record: JobRecord, place: Place, replayed: list[JobEvent] | None, *, resumed: bool) -> Iterator[Watched]:
    """What a watcher is told first: the events that it missed, or the job as it stands; its end if it has ended."""
    ended = record.state.finished
    if replayed is None or any(event.state is None for event in replayed):  # its name is another job's now
        kind = Told.END if ended else Told.RESET if resumed else Told.SNAPSHOT
        yield _standing(kind, record, place)
        return
    # A job that was retried has several ends; only the last one is the end.
    last = replayed.pop() if ended and replayed and replayed[-1].ends else None
    for event in replayed:
        yield _passing(event)
    if ended:
        yield _end(last, record) if last else _standing(Told.END, record, place)


def _standing(kind: Told, record: JobRecord, place: Place) -> Watched:
    return Watched(
        kind=kind,
        sequence=sequence_of(place),
        time=record.finished or record.started or record.created,
        state=record.state,
        progress=record.progress,
        text=record.failed_reason,
        record=record,
    )


def _passing(event: JobEvent) -> Watched:
    return Watched(_KINDS[event.kind], event.sequence, event.time, event.state, event.progress, event.text)


def _end(event: JobEvent, record: JobRecord | None) -> Watched:
    state = record.state if record else event.state
    text = record.failed_reason if record else event.text
    return Watched(Told.END, event.sequence, event.time, state, event.progress, text, record)
