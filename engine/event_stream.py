"""One queue's event stream: a single reader in a process, and any number of watchers that it feeds from memory."""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncIterator
from typing import Final

import structlog

from base.cancelling import cancel
from contract.errors import StoreFullError, StoreUnavailableError
from engine.event_entries import AFTER_ENTRY, LAST_NUMBER, Entry, Place, entries_of, place_in, place_of, read_events
from engine.jobs import JobEvent
from engine.store import Store, StreamEntries, backoff_sleep

log = structlog.get_logger(__name__)

_BOX_SIZE: Final = 1000
"""Events that wait for a slow watcher; one that falls further behind looks at the job itself instead."""
_ENTRIES: Final = 500
_BLOCK_MS: Final = 4000
"""Below the client's reply timeout of 5 s."""
LINGER_SECONDS: Final = 5.0
"""How long a reader stays for the next watcher once the last has gone."""
_FEW: Final = 8
"""Up to so many watchers are looked for in an entry's bytes before it is unpacked at all."""


class Box:
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
        """Waits up to `seconds` for events; returns those that came, and whether the watcher has lost track."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._filled.wait()
        events, behind = list(self._events), self._behind
        self._events.clear()
        self._filled.clear()
        self._behind = False
        return events, behind


class EventStream:
    """Reads one queue's stream while anybody watches one of its jobs, and a little longer.

    One task reads. It ends by itself and is cancelled by `close` alone; whatever another task still reads is dropped.
    """

    def __init__(self, store: Store, queue: str) -> None:
        self._store = store
        self._queue = queue
        self._key = store.keys(queue)["events"]
        self._boxes: dict[str, set[Box]] = {}
        self._position = ""
        self._starting = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._left_at = 0.0

    @property
    def place(self) -> Place:
        """Every event up to here is in the boxes."""
        return place_of(self._position, AFTER_ENTRY)

    @contextlib.asynccontextmanager
    async def subscribe(self, job_id: str) -> AsyncIterator[Box]:
        """From here on every event of the job reaches the box.

        Raises:
          StoreUnavailableError: it is not known where the stream ends now.
        """
        box = Box()
        self._boxes.setdefault(job_id, set()).add(box)
        since = time.monotonic()
        try:
            async with self._starting:
                if self._task is None or self._task.done():
                    self._store.turns.check(since)
                    self._position = await self._last_id()
                    self._task = asyncio.create_task(self._read())
            yield box
        finally:
            boxes = self._boxes[job_id]
            boxes.discard(box)
            if not boxes:
                del self._boxes[job_id]
            self._left_at = time.monotonic()

    async def close(self) -> None:
        """Ends the reader, whoever still watches."""
        if (task := self._task) is not None:
            self._task = None
            await cancel(task)

    async def _last_id(self) -> str:
        last = await self._store.call("XREVRANGE", self._key, "+", "-", "COUNT", 1)
        return last[0][0].decode() if last else "0-0"

    def _owned(self) -> bool:
        """Whether the current task is the one that reads."""
        return self._task is asyncio.current_task()

    def _wanted(self) -> bool:
        """Whether the current task is to read on. Once it is not, the next watcher starts another."""
        if self._owned() and not self._boxes and time.monotonic() - self._left_at >= LINGER_SECONDS:
            self._task = None
        return self._owned()

    async def _read(self) -> None:
        failures = 0
        while self._wanted():
            try:
                if failures:
                    await self._begin_anew()
                await self._read_on()
                failures = 0
            except Exception as error:  # whatever it is, nobody who watches may be left waiting for good
                if failures == 0:
                    expected = isinstance(error, StoreUnavailableError | StoreFullError)
                    cause = error.__cause__ or error
                    log.warning("events_unread", queue=self._queue, reason=str(cause), exc_info=not expected)
                failures += 1
                await backoff_sleep(failures)

    async def _read_on(self) -> None:
        """Delivers what comes next."""
        after = self._position
        reading = ("COUNT", _ENTRIES, "BLOCK", _BLOCK_MS, "STREAMS", self._key, after)
        answer = await self._store.call("XREAD", *reading)
        entries = entries_of(answer)
        # Entries are trimmed only once there are far more than one answer holds: a shorter one has missed nothing.
        if len(entries) == _ENTRIES and await self._trimmed(after):
            await self._begin_anew()
        elif self._owned():
            self._deliver_all(entries)

    def _deliver_all(self, entries: list[Entry]) -> None:
        for entry in entries:
            self._position = entry[0]
            self._deliver(entry)

    async def _trimmed(self, after: str) -> bool:
        """Whether entries behind this one may be gone already."""
        first = await self._range(count=1)
        return not first or place_of(first[0][0].decode(), 0) > place_of(after, 0)

    async def _begin_anew(self) -> None:
        """Reads on from the end, for what lies before is lost. Everybody looks at the job itself."""
        position = await self._last_id()
        if not self._owned():
            return
        self._position = position
        for boxes in self._boxes.values():
            for box in boxes:
                box.lose_track()

    def _deliver(self, entry: Entry) -> None:
        packed = entry[1][b"e"]
        if len(self._boxes) <= _FEW and not any(job_id.encode() in packed for job_id in self._boxes):
            return
        for event in read_events(self._queue, entry, self._boxes):
            for box in self._boxes[event.job_id]:
                box.put(event)

    async def replay(self, job_id: str, after: Place, until: Place) -> list[JobEvent] | None:
        """The job's events after one place and up to another; None where the stream no longer reaches back so far."""
        first = await self._range(count=1)
        if not first or place_of(first[0][0].decode(), 0)[:2] > after[:2] or after > until:
            return None
        found: list[JobEvent] = []
        start = f"{after[0]}-{min(after[1], LAST_NUMBER)}"
        while entries := await self._range(start, f"{until[0]}-{until[1]}"):
            for entry_id, fields in entries:
                if job_id.encode() in fields[b"e"]:
                    found += read_events(self._queue, (entry_id.decode(), fields), {job_id})
            start = f"({entries[-1][0].decode()}"
        return [event for event in found if after < place_in(event.sequence) <= until]

    async def _range(self, first: str = "-", last: str = "+", count: int = _ENTRIES) -> StreamEntries:
        return await self._store.call("XRANGE", self._key, first, last, "COUNT", count)
