"""Who waits for a turn is told of a store that stands still, and of nothing less."""

import asyncio
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from contract.errors import StoreUnavailableError
from engine.turns import STANDSTILL_SECONDS, Turns

Pass = Callable[[float], None]


@pytest.fixture
def pass_(monkeypatch: pytest.MonkeyPatch) -> Pass:
    """Lets seconds pass."""
    passed = 0.0

    def add(seconds: float) -> None:
        nonlocal passed
        passed += seconds

    monkeypatch.setattr("engine.turns.time", SimpleNamespace(monotonic=lambda: passed))
    return add


async def _call(turns: Turns, answer: asyncio.Future[None]) -> None:
    async with turns.turn():
        await answer


async def _begun(turns: Turns, *answers: asyncio.Future[None]) -> list[asyncio.Task[None]]:
    """Calls that have their turns, or wait for them, in this order."""
    calls = [asyncio.create_task(_call(turns, answer)) for answer in answers]
    await asyncio.sleep(0)
    return calls


async def test_a_call_that_alone_goes_unanswered_fails_alone(pass_: Pass) -> None:
    turns, loop = Turns(2), asyncio.get_running_loop()
    lost, soon, later = loop.create_future(), loop.create_future(), loop.create_future()
    failing, answered, *waiting = await _begun(turns, lost, soon, *[later] * 20)
    pass_(5 * STANDSTILL_SECONDS)
    soon.set_result(None)
    await answered
    lost.set_exception(ConnectionError())
    with pytest.raises(ConnectionError):
        await failing
    later.set_result(None)
    assert await asyncio.gather(*waiting, return_exceptions=True) == [None] * 20


async def test_who_waits_behind_a_store_that_answers_nobody_is_told(pass_: Pass) -> None:
    turns, loop = Turns(2), asyncio.get_running_loop()
    soon, lost, never = loop.create_future(), loop.create_future(), loop.create_future()
    answered, failing, _, *waiting = await _begun(turns, soon, lost, *[never] * 20)
    soon.set_result(None)
    await answered
    pass_(5 * STANDSTILL_SECONDS)
    lost.set_exception(ConnectionError())
    with pytest.raises(ConnectionError):
        await failing
    told = await asyncio.gather(*waiting, return_exceptions=True)
    assert {type(one) for one in told} == {StoreUnavailableError}
