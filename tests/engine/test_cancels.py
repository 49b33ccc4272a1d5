"""A call of the store that is cancelled just when it has been sent: nobody may go on waiting for its answer."""

import asyncio
from typing import Any

import pytest

from engine.store import Store


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list["asyncio.Task[Any]"]:
    """Tasks to cancel at the very moment when the next command has left."""
    to_cancel: list[asyncio.Task[Any]] = []
    drain = asyncio.StreamWriter.drain

    async def drain_and_cancel(self: asyncio.StreamWriter) -> None:
        await drain(self)
        while to_cancel:
            to_cancel.pop().cancel()

    monkeypatch.setattr(asyncio.StreamWriter, "drain", drain_and_cancel)
    return to_cancel


async def test_a_cancel_that_comes_when_a_command_has_just_left_is_not_swallowed(
    store: Store, sent: list["asyncio.Task[Any]"]
) -> None:
    key = store.keys("test:work")["marker"]
    await store.client.ping()
    client: Any = store.client
    waiting = asyncio.create_task(client.bzpopmin(key, 4))
    sent.append(waiting)
    _, late = await asyncio.wait([waiting], timeout=2)
    assert not late
    assert waiting.cancelled()
    # Its connection went with it: the next caller does not get the answer of the one before.
    await client.zadd(key, {"0": 0})
    assert [bytes(member) for member in await client.zrange(key, 0, -1)] == [b"0"]
    assert (await client.bzpopmin(key, 1))[1] == b"0"
