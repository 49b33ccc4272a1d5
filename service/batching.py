"""Reads a stream ahead of its answers, so that requests that come together are worked on together."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Final, Generic, TypeVar

from google.protobuf.message import Message

from base.cancelling import cancel
from service.interceptor.call import shutting_down

R = TypeVar("R", bound=Message)

MAX_REQUESTS: Final = 256
MAX_BYTES: Final = 8 * 1024 * 1024
"""Bounds of what is read ahead, and so of one batch."""


class ReadAhead(Generic[R]):
    """The requests of a stream, in batches of what has come since the batch before."""

    def __init__(self, requests: AsyncIterator[R], stopping: asyncio.Event) -> None:
        self._requests = requests
        self._stopping = stopping
        self._batch: list[R] = []
        self._bytes = 0
        self._some = asyncio.Event()
        self._room = asyncio.Event()

    async def batches(self) -> AsyncGenerator[list[R]]:
        """Ends when the caller has sent everything.

        Raises:
          ShuttingDownError: the service stops. All that was read by then is in the batches.
          Exception: what reading the requests raised, after the last batch.
        """
        reader = asyncio.create_task(self._read())
        stop = asyncio.create_task(self._stopping.wait())
        stop.add_done_callback(lambda _: reader.cancel())
        reader.add_done_callback(lambda _: self._some.set())
        try:
            while not reader.done() or self._batch:
                await self._some.wait()
                if batch := self._take():
                    yield batch
            if reader.cancelled():
                raise shutting_down()
            reader.result()
        finally:
            await cancel(stop, reader)

    def _take(self) -> list[R]:
        batch, self._batch, self._bytes = self._batch, [], 0
        self._some.clear()
        self._room.set()
        return batch

    async def _read(self) -> None:
        async for request in self._requests:
            self._batch.append(request)
            self._bytes += request.ByteSize()
            self._some.set()
            if len(self._batch) >= MAX_REQUESTS or self._bytes >= MAX_BYTES:
                self._room.clear()
                await self._room.wait()
