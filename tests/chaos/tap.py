"""Copies what the engine tells of jobs from the store's streams into the history, in the order in which it happened."""

import asyncio
import contextlib
from typing import Any, cast

from redis import exceptions as redis_errors

from engine.event_entries import AFTER_ENTRY
from engine.packing import unpack
from engine.schema import EventEntry, rows_of
from engine.store import Store
from tests.chaos.history import History

EVERY = 0.25


STREAM_KEEPS = 9_000
"""Entries that a stream keeps for certain (engine/lua/include/events.lua)."""


class Tap:
    """Reads the streams of all queues of the rig. Its lines are of kind `event`, or `seen` where they may be lost yet."""

    def __init__(self, store: Store, queues: tuple[str, ...], history: History, kind: str = "event") -> None:
        self._kind = kind
        self._entries = 0
        self._store = store
        self._history = history
        self._read_up_to = dict.fromkeys(queues, "-")
        self.events = 0

    async def run(self) -> None:
        """Reads on until it is cancelled; waits for a store that is away."""
        while True:
            with contextlib.suppress(redis_errors.RedisError, OSError):
                await self.catch_up()
            await asyncio.sleep(EVERY)

    async def catch_up(self) -> None:
        """Reads to the ends of the streams."""
        client = cast("Any", self._store.client)
        for queue, after in self._read_up_to.items():
            key = self._store.keys(queue)["events"]
            start = after if after == "-" else f"({after}"
            while entries := await client.xrange(key, min=start, count=500):
                for entry_id, fields in entries:
                    self._copy(queue, entry_id.decode(), fields)
                self._entries += len(entries)
                self._read_up_to[queue] = entries[-1][0].decode()
                start = f"({self._read_up_to[queue]}"

    @property
    def whole(self) -> bool:
        """Whether all that ever happened was still there, for one that reads at the end alone."""
        return self._entries < STREAM_KEEPS

    def _copy(self, queue: str, entry: str, fields: dict[bytes, bytes]) -> None:
        flat, kinds = unpack(fields[b"e"]), fields[b"k"].decode()
        told = list(rows_of(EventEntry, flat))
        assert len(told) < AFTER_ENTRY
        for index, event in enumerate(told):
            self.events += 1
            self._history.write(
                self._kind,
                kinds[index],
                store_ms=int(entry.partition("-")[0]),
                place=f"{entry}-{index}",
                queue=queue,
                job=event.id,
                state=event.state,
                progress=event.progress,
                text=event.text,
            )
