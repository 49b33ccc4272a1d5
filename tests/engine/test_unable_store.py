"""A store that is there and cannot do it now counts as away: it says why, nothing is lost, and it heals by itself."""

import asyncio
import contextlib
import signal
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError

from contract.errors import StoreUnavailableError
from engine.inspection import Inspection
from engine.jobs import JobQuery
from engine.scripts import load_scripts
from engine.store import CALLS_AT_ONCE
from tests.conftest import ValkeyServer, eventually
from tests.engine.conftest import QUEUE, Engine, job

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


@contextlib.contextmanager
def standing_still(server: ValkeyServer) -> Iterator[None]:
    """It takes calls and answers none."""
    assert server.process is not None
    server.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        server.process.send_signal(signal.SIGCONT)


@pytest.fixture
def asked(own_engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often the store is sent each command, and each script by its name."""
    sent: Counter[str] = Counter()
    names = {script.sha: name for name, script in load_scripts().items()}
    client: Any = own_engine.store.client
    execute = client.execute_command

    async def counted(command: str, *arguments: Any, **options: Any) -> Any:
        sent[names[arguments[0]] if command == "EVALSHA" else command] += 1
        return await execute(command, *arguments, **options)

    monkeypatch.setattr(client, "execute_command", counted)
    return sent


async def test_a_store_that_stands_still_is_asked_once_and_not_as_long_again(
    own_engine: Engine, own_valkey: ValkeyServer, asked: Counter[str]
) -> None:
    await own_engine.add(job("before"))
    asked.clear()
    with standing_still(own_valkey), pytest.raises(StoreUnavailableError):
        await own_engine.intake.enqueue(job("frozen"))
    assert asked == {"enqueue": 1}
    assert (await own_engine.intake.enqueue(job("after"))).id == "after"


async def test_nobody_who_waits_behind_a_call_that_goes_unanswered_waits_as_long_again(
    own_engine: Engine, own_valkey: ValkeyServer, asked: Counter[str]
) -> None:
    """One after the other, the last of so many callers would be told after minutes."""
    await own_engine.add(job("before"))
    look: Inspection = own_engine.inspection
    await look.page(QUEUE, JobQuery())
    asked.clear()
    with standing_still(own_valkey):
        first: list[Awaitable[Any]] = [
            *(anext(own_engine.hub.watch(QUEUE, "before")) for _ in range(10)),
            *(look.page(QUEUE, JobQuery()) for _ in range(10)),
            own_engine.intake.enqueue_many([job() for _ in range(1000)]),
            *(own_engine.intake.enqueue(job()) for _ in range(1000)),
        ]
        waiting = [asyncio.ensure_future(one) for one in first]
        await eventually(lambda: len(asked) == 3, what="each of them asked the store")
        waiting += [asyncio.ensure_future(look.get(QUEUE, "before")) for _ in range(2 * CALLS_AT_ONCE)]
        answers = await asyncio.gather(*waiting, return_exceptions=True)
    told = [one for answer in answers for one in (answer if isinstance(answer, list) else [answer])]
    assert {type(one) for one in told} == {StoreUnavailableError}
    assert asked == {"XREVRANGE": 1, "list": 1, "enqueue": 1, "get": CALLS_AT_ONCE - 3}
    await own_engine.add(job("after"))
    assert {record.id for record in (await look.page(QUEUE, JobQuery())).jobs} == {"before", "after"}
