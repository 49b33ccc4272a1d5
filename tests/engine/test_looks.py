"""Lists take turns, and leave the store to others in between."""

import asyncio
import itertools
import time

import pytest

from engine.looks import REST, Looks
from engine.turns import Turns

HELD_SECONDS = 0.02


async def _look(turns: Looks, spans: list[tuple[float, float]]) -> None:
    async with turns.turn():
        began = time.monotonic()
        await asyncio.sleep(HELD_SECONDS)
        spans.append((began, time.monotonic()))


async def test_the_store_rests_between_the_looks_of_several_callers() -> None:
    spans: list[tuple[float, float]] = []
    turns = Looks(Turns(1))
    await asyncio.gather(*(_look(turns, spans) for _ in range(4)))
    gaps = [later[0] - earlier[1] for earlier, later in itertools.pairwise(spans)]
    # The last one is alone by then, and waits for nobody.
    assert all(gap >= REST * HELD_SECONDS * 0.9 for gap in gaps[:-1])


async def test_a_caller_that_is_alone_never_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    async def sleep(_seconds: float) -> None:
        pytest.fail("it waited")

    turns = Looks(Turns(1))
    monkeypatch.setattr(asyncio, "sleep", sleep)
    for _ in range(20):
        async with turns.turn():
            pass


async def test_a_caller_that_is_alone_never_waits_for_one_that_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def sleep(_seconds: float) -> None:
        pytest.fail("it waited")

    turns = Looks(Turns(1))
    with pytest.raises(ConnectionError):
        async with turns.turn():
            await asyncio.sleep(HELD_SECONDS)
            raise ConnectionError
    monkeypatch.setattr(asyncio, "sleep", sleep)
    for _ in range(20):
        async with turns.turn():
            pass


async def test_a_look_that_is_broken_off_gives_its_turn_back() -> None:
    turns = Looks(Turns(1))
    spans: list[tuple[float, float]] = []
    async with turns.turn():
        waiting = asyncio.create_task(_look(turns, spans))
        await asyncio.sleep(0)
        waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    async with asyncio.timeout(5):
        await _look(turns, spans)
    assert len(spans) == 1
