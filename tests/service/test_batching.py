"""Reading ahead in streams: how far, what becomes of it when the stream breaks, and when the service stops."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from testjobs.v1.testjobs_pb2 import Noop

from contract.errors import ShuttingDownError
from service.batching import MAX_BYTES, MAX_REQUESTS, ReadAhead
from tests.conftest import eventually


class Sender:
    """A caller that sends whenever it may, and counts."""

    def __init__(self, size: int = 1, count: int = 10_000) -> None:
        self.sent = 0
        self._request = Noop(pad="x" * size)
        self._count = count

    async def requests(self) -> AsyncIterator[Noop]:
        for _ in range(self._count):
            self.sent += 1
            yield self._request


async def settled(sender: Sender) -> int:
    """What was sent once no more is."""
    before = -1
    while before != sender.sent:
        before = sender.sent
        for _ in range(10):
            await asyncio.sleep(0)
    return sender.sent


@pytest.mark.parametrize(("size", "most"), [(1, MAX_REQUESTS), (1_000_000, MAX_BYTES // 1_000_000 + 1)])
async def test_a_sender_is_held_back_while_nobody_works_on_what_it_sent(size: int, most: int) -> None:
    sender = Sender(size)
    batches = ReadAhead(sender.requests(), asyncio.Event()).batches()
    first = await anext(batches)
    ahead = await settled(sender)
    assert ahead - len(first) == most
    second = await anext(batches)
    assert len(second) == most
    assert await settled(sender) == ahead + most
    await batches.aclose()


async def test_all_that_was_sent_comes_in_order_and_then_the_end() -> None:
    async def requests() -> AsyncIterator[Noop]:
        for number in range(1000):
            yield Noop(pad=str(number))
            if number % 7 == 0:
                await asyncio.sleep(0)

    batches = ReadAhead(requests(), asyncio.Event()).batches()
    assert [request.pad async for batch in batches for request in batch] == [str(number) for number in range(1000)]


async def test_what_breaks_the_stream_is_raised_after_what_was_good() -> None:
    async def requests() -> AsyncIterator[Noop]:
        yield Noop(pad="good")
        raise ValueError("bad")

    got = []
    with pytest.raises(ValueError, match="bad"):
        async for batch in ReadAhead(requests(), asyncio.Event()).batches():
            got += [request.pad for request in batch]
    assert got == ["good"]


async def test_a_stop_ends_a_stream_after_what_was_read() -> None:
    async def requests() -> AsyncIterator[Noop]:
        yield Noop(pad="read")
        await asyncio.Event().wait()

    stopping = asyncio.Event()
    got: list[str] = []

    async def consume() -> None:
        async for batch in ReadAhead(requests(), stopping).batches():
            got.extend(request.pad for request in batch)

    consumer = asyncio.create_task(consume())
    await eventually(lambda: got)
    stopping.set()
    with pytest.raises(ShuttingDownError):
        await consumer
    assert got == ["read"]
