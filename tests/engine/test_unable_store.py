"""A store that is there and cannot do it now counts as away: it says why, nothing is lost, and it heals by itself."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError

from engine.errors import StoreUnavailableError
from tests.conftest import ValkeyServer, eventually
from tests.engine.conftest import Engine, job

pytestmark = pytest.mark.parametrize("settings", ["one server"], indirect=True)


@asynccontextmanager
async def without_replicas(server: ValkeyServer) -> AsyncIterator[None]:
    """It wants more replicas than it has before it writes."""
    async with Redis(port=server.port) as client:
        await client.config_set("min-replicas-to-write", 1)
        yield
        await client.config_set("min-replicas-to-write", 0)


@asynccontextmanager
async def without_disk(server: ValkeyServer) -> AsyncIterator[None]:
    """It cannot save what it has."""
    obstacle = server.folder / "dump.rdb"
    obstacle.mkdir()
    async with Redis(port=server.port) as client:
        await client.config_set("save", "3600 1")
        await client.bgsave()

        async def failed() -> bool:
            return (await client.info("persistence"))["rdb_last_bgsave_status"] == "err"

        await eventually(failed, what="it could not save")
        yield
        await client.config_set("save", "")


@asynccontextmanager
async def busy(server: ValkeyServer) -> AsyncIterator[None]:
    """Somebody's script runs on."""
    async with Redis(port=server.port) as client, Redis(port=server.port) as other:
        await client.config_set("busy-reply-threshold", 1)
        script: asyncio.Task[Any] = asyncio.create_task(other.eval("while true do end", 0))

        async def says_so() -> bool:
            with contextlib.suppress(RedisError):
                await client.ping()
                return False
            return True

        await eventually(says_so, what="it is busy")
        yield
        await client.script_kill()
        await asyncio.gather(script, return_exceptions=True)


@pytest.mark.parametrize(
    ("unable", "word"), [(without_replicas, "NOREPLICAS"), (without_disk, "MISCONF"), (busy, "BUSY")]
)
async def test_a_store_that_cannot_write_says_why_and_heals(
    own_engine: Engine, own_valkey: ValkeyServer, unable: type, word: str
) -> None:
    await own_engine.add(job("before"))
    async with unable(own_valkey):
        with pytest.raises(StoreUnavailableError) as refused:
            await own_engine.intake.enqueue(job("refused"))
        assert word in refused.value.message
        with pytest.raises(StoreUnavailableError, match=word):
            await own_engine.store.check()
        assert refused.value.retry_after
        with pytest.raises(StoreUnavailableError):
            await own_engine.worker().claim(1)
    assert not (await own_engine.intake.enqueue(job("after"))).duplicate
    assert {found.id for found in (await own_engine.worker().claim(9)).jobs} == {"before", "after"}


async def test_a_wait_for_work_that_the_server_breaks_off_counts_as_an_absence(
    own_engine: Engine, own_valkey: ValkeyServer
) -> None:
    """As it does with all who wait when it becomes a replica."""
    waiting = asyncio.create_task(own_engine.worker().wait_for_work(4))
    async with Redis(port=own_valkey.port) as client:

        async def broken_off() -> bool:
            for found in await client.client_list():
                if found["cmd"] == "bzpopmin":
                    await client.client_unblock(int(found["id"]), error=True)
                    return True
            return False

        await eventually(broken_off, what="somebody waits")
    with pytest.raises(StoreUnavailableError, match="UNBLOCKED"):
        await waiting


async def test_a_store_that_stands_still_is_asked_once_and_not_as_long_again(
    own_engine: Engine, own_valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    await own_engine.add(job("before"))
    asked = 0
    run = own_engine.store.run

    async def counted(name: str, *arguments: Any) -> Any:
        nonlocal asked
        asked += name == "enqueue"
        return await run(name, *arguments)

    monkeypatch.setattr(own_engine.store, "run", counted)
    assert own_valkey.process is not None
    own_valkey.process.send_signal(signal.SIGSTOP)
    try:
        with pytest.raises(StoreUnavailableError):
            await own_engine.intake.enqueue(job("frozen"))
    finally:
        own_valkey.process.send_signal(signal.SIGCONT)
    assert asked == 1
    assert (await own_engine.intake.enqueue(job("after"))).id == "after"
