"""Commands that are no scripts go through one door, which bounds them and says what is wrong with the store."""

import asyncio
import re
from typing import Any

import pytest
from redis import exceptions as redis_errors

from base.settings import PROJECT
from contract.errors import StoreFullError, StoreUnavailableError
from engine.store import CALLS_AT_ONCE, Store

_PACKAGES = ("base", "contract", "engine", "service", "workers", "families", "stack")


def test_nobody_reaches_through_the_store_for_its_client() -> None:
    found = [
        path.relative_to(PROJECT).as_posix()
        for package in _PACKAGES
        for path in (PROJECT / package).rglob("*.py")
        if re.search(r"store\.client\b", path.read_text("utf-8"))
    ]
    assert found == []


@pytest.mark.parametrize(
    ("raised", "told"),
    [
        (redis_errors.ConnectionError("gone"), StoreUnavailableError),
        (OSError("gone"), StoreUnavailableError),
        (redis_errors.OutOfMemoryError("full"), StoreFullError),
    ],
)
async def test_what_is_wrong_with_the_store_is_told_of_commands_as_of_scripts(
    store: Store, monkeypatch: pytest.MonkeyPatch, raised: Exception, told: type[Exception]
) -> None:
    async def fails(*_: Any) -> Any:
        raise raised

    monkeypatch.setattr(store.client, "execute_command", fails)
    with pytest.raises(told):
        await store.call("HGET", store.keys("test")["hash"], "field")
    with pytest.raises(told):
        await store.call("BZPOPMIN", store.keys("test")["set"], 1)


async def test_a_command_waits_for_its_turn_unless_it_blocks_or_tells_of_health(store: Store) -> None:
    keys = store.keys("test")
    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        taken = [store.turns.turn() for _ in range(CALLS_AT_ONCE)]
        for turn in taken:
            await turn.__aenter__()
        waiting = tasks.create_task(store.call("HSET", keys["hash"], "field", 1))
        assert await store.call("BZPOPMIN", keys["set"], 0.05) is None
        await store.check()
        assert not waiting.done()
        for turn in taken:
            await turn.__aexit__(None, None, None)
        assert await waiting == 1
