"""All queues as they change: read once a second, however many watch."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Final

from base.cancelling import cancel
from engine.inspection import Inspection
from engine.jobs import QueueSnapshot

EVERY_SECONDS: Final = 1.0
LINGER_SECONDS: Final = 5.0
"""How long the queues are still read once the last watcher has gone."""


@dataclass(frozen=True, slots=True)
class QueueChanges:
    queues: Sequence[QueueSnapshot]
    """Those that changed; none where nothing did for a while."""
    time: int
    """When they were read last: Unix milliseconds."""


class QueueSubscription:
    """One watcher: the latest of each queue that changed since it last took any, so that a slow one holds up nobody."""

    def __init__(self, feed: "QueueFeed") -> None:
        self._feed = feed
        self._changed: dict[str, QueueSnapshot] = {}
        self._filled = asyncio.Event()
        self._error: Exception | None = None

    def put(self, changed: Sequence[QueueSnapshot]) -> None:
        if changed:
            self._changed |= {queue.name: queue for queue in changed}
            self._filled.set()

    def fail(self, error: Exception) -> None:
        self._error = error
        self._filled.set()

    async def take(self, seconds: float) -> QueueChanges:
        """What has changed, waiting for up to `seconds`; all queues the first time. Raises StoreUnavailableError."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._filled.wait()
        if self._error is not None:
            raise self._error
        changed, self._changed = self._changed, {}
        self._filled.clear()
        return QueueChanges(sorted(changed.values(), key=lambda queue: queue.name), self._feed.read_at)


class QueueFeed:
    """Reads the queues while anybody watches, and a little longer: one task, which `close` alone cancels."""

    def __init__(self, inspection: Inspection, queues: Sequence[str], every: float = EVERY_SECONDS) -> None:
        self._inspection = inspection
        self._queues = tuple(queues)
        self._every = every
        self._known: dict[str, QueueSnapshot] = {}
        self._subscribed: set[QueueSubscription] = set()
        self._left_at = 0.0
        self._task: asyncio.Task[None] | None = None
        self.read_at = 0

    @contextlib.asynccontextmanager
    async def subscribe(self) -> AsyncIterator[QueueSubscription]:
        """A watcher for as long as the block lasts."""
        watcher = QueueSubscription(self)
        watcher.put(tuple(self._known.values()))
        self._subscribed.add(watcher)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._read())
        try:
            yield watcher
        finally:
            self._subscribed.discard(watcher)
            self._left_at = time.monotonic()

    async def close(self) -> None:
        """Ends the reading, whoever still watches."""
        if (task := self._task) is not None:
            self._give_up()
            await cancel(task)

    def _owned(self) -> bool:
        return self._task is asyncio.current_task()

    def _give_up(self) -> None:
        """The next watcher begins anew."""
        self._task, self._known = None, {}

    async def _read(self) -> None:
        while self._owned():
            try:
                snapshots = await self._inspection.stats(self._queues)
            except Exception as error:  # noqa: BLE001  (whatever it is, each watcher raises it)
                if self._owned():
                    self._give_up()
                    for watcher in self._subscribed:
                        watcher.fail(error)
                return
            if not self._owned():
                return
            self._tell(snapshots)
            await asyncio.sleep(self._every)
            if self._owned() and not self._subscribed and time.monotonic() - self._left_at >= LINGER_SECONDS:
                self._give_up()

    def _tell(self, snapshots: Sequence[QueueSnapshot]) -> None:
        changed = [snapshot for snapshot in snapshots if self._known.get(snapshot.name) != snapshot]
        self._known |= {snapshot.name: snapshot for snapshot in changed}
        self.read_at = time.time_ns() // 1_000_000
        for watcher in self._subscribed:
            watcher.put(changed)
