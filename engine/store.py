"""The store, which is Valkey or Redis: the running of scripts on it, and what its errors mean."""

import asyncio
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, Literal, Self, overload

from redis import exceptions as redis_errors
from redis.asyncio import Redis, RedisCluster
from redis.asyncio.sentinel import SentinelConnectionPool

from base.certificates import certificate_refusal
from base.settings import Settings
from base.telemetry.pools import PoolState
from contract.errors import JobServiceError, StoreFullError, StoreUnavailableError
from engine.connecting import closed_connections_told, connect
from engine.keys import Keys
from engine.looks import Looks
from engine.scripts import Script, load_scripts
from engine.turns import RETRY_AFTER, Turns, store_away

_AWAY = (
    redis_errors.ConnectionError,
    redis_errors.TimeoutError,
    redis_errors.BusyLoadingError,
    redis_errors.ReadOnlyError,
    redis_errors.ClusterDownError,
    redis_errors.MasterDownError,
    redis_errors.TryAgainError,
    redis_errors.RedisClusterException,
    OSError,
    TimeoutError,
)
_UNABLE = re.compile(r"(MISCONF|NOREPLICAS|BUSY|UNBLOCKED)\b")
"""How answers begin that tell of the server's own state: its disk, its replicas, a script that runs on, a failover."""
_PROBE_MS = 60_000
_OUT_OF_TURN: Final = frozenset({"BZPOPMIN", "XREAD", "SET", "INFO"})
"""Commands that take no turn: those that block until something happens, and those that tell of the store's own health."""
CALLS_AT_ONCE = 64
"""Calls that one process makes at once. Further ones wait for their turn, instead of finding no connection left."""
Value = bytes | str | int | float
StreamEntries = Sequence[tuple[bytes, Mapping[bytes, bytes]]]

_CREDENTIALS = re.compile(r"//[^/@\s]*@")


class Store:
    """One process's access to the store. It opens without a server there, and connects when first used."""

    def __init__(self, client: "Redis | RedisCluster", prefix: str, calls_at_once: int = CALLS_AT_ONCE) -> None:
        self.client = client
        self.prefix = prefix
        self._scripts = load_scripts()
        self._keys: dict[str, Keys] = {}
        self.turns = Turns(calls_at_once)
        self.looks = Looks(self.turns)
        """Turns that are taken, before those of `turns`, by those that look through many jobs."""

    @classmethod
    async def open(cls, settings: Settings) -> Self:
        """Raises SettingsError for an address that cannot be used; never because the server is away."""
        # The other half of the connections is for those who wait for something, one for each queue.
        calls = min(CALLS_AT_ONCE, settings.redis_max_connections // 2)
        return cls(connect(settings), settings.redis_key_prefix, calls)

    async def close(self) -> None:
        await self.client.aclose()
        pool = getattr(self.client, "connection_pool", None)
        if isinstance(pool, SentinelConnectionPool):  # it leaves its connections to the Sentinels open
            for sentinel in pool.sentinel_manager.sentinels:
                await sentinel.aclose()

    def keys(self, scope: str) -> Keys:
        found = self._keys.get(scope)
        if found is None:
            found = self._keys[scope] = Keys(self.prefix, scope)
        return found

    async def run(self, name: str, scope: str, *arguments: Any) -> Any:
        """Runs a script on the keys of a queue (or another scope).

        Raises:
          StoreUnavailableError: the store cannot be reached, or answers that it cannot serve.
          StoreFullError: its memory is full.
        """
        script = self._scripts[name]
        keys = self.keys(scope).of(script.keys)
        with _translating():
            async with self.turns.turn():
                return await self._evaluate(script, keys, arguments)

    async def _evaluate(self, script: Script, keys: list[str], arguments: tuple[Any, ...]) -> Any:
        try:
            return await self.client.evalsha(script.sha, len(keys), *keys, *arguments)
        except redis_errors.NoScriptError:
            return await self.client.eval(script.source, len(keys), *keys, *arguments)

    async def run_on_each(self, name: str, scopes: Sequence[str], *arguments: Any) -> list[Any]:
        """Runs a script on the keys of several queues: in one round trip on a server, side by side on a cluster.

        Raises:
          StoreUnavailableError: as `run`.
        """
        if isinstance(self.client, RedisCluster):
            return list(await asyncio.gather(*(self.run(name, scope, *arguments) for scope in scopes)))
        script = self._scripts[name]
        pipeline = self.client.pipeline(transaction=False)
        for scope in scopes:
            keys = self.keys(scope).of(script.keys)
            pipeline.evalsha(script.sha, len(keys), *keys, *arguments)
        with _translating():
            async with self.turns.turn():
                with closed_connections_told():
                    answers = await pipeline.execute(raise_on_error=False)
        return [
            # Once more alone: the server may not know the script yet, and what else is wrong is told as ever.
            await self.run(name, scope, *arguments) if isinstance(answer, Exception) else answer
            for scope, answer in zip(scopes, answers, strict=True)
        ]

    @overload
    async def call(self, command: Literal["HGET"], key: str, field: str, /) -> bytes | None: ...
    @overload
    async def call(self, command: Literal["HSET", "ZADD"], key: str, first: Value, second: Value, /) -> int: ...
    @overload
    async def call(self, command: Literal["BZPOPMIN"], key: str, seconds: float, /) -> Sequence[Value] | None: ...
    @overload
    async def call(self, command: Literal["XRANGE", "XREVRANGE"], key: str, /, *bounds: Value) -> StreamEntries: ...
    @overload
    async def call(self, command: Literal["XREAD", "INFO"], /, *arguments: Value) -> Any: ...
    @overload
    async def call(self, command: Literal["SET"], key: str, /, *arguments: Value) -> object: ...

    async def call(self, command: str, /, *arguments: Value) -> Any:
        """Runs a command that is no script. One that blocks until something happens holds a connection of its own.

        Raises:
          StoreUnavailableError, StoreFullError: as `run`.
        """
        with _translating():
            if command in _OUT_OF_TURN:
                return await self.client.execute_command(command, *arguments)
            async with self.turns.turn():
                return await self.client.execute_command(command, *arguments)

    async def check(self) -> float:
        """Milliseconds that the store took to write something.

        Raises:
          StoreUnavailableError: it did not: it cannot be reached, or cannot write.
          StoreFullError: its memory is full.
        """
        began = time.perf_counter()
        await self.call("SET", self.keys("health")["probe"], "", "PX", _PROBE_MS)
        return (time.perf_counter() - began) * 1000

    def pool(self) -> PoolState:
        """Its connections now; those to all nodes of a cluster together."""
        if isinstance(self.client, RedisCluster):
            nodes = self.client.get_nodes()
            # The client has no other way to tell.
            idle = sum(len(node._free) for node in nodes)  # noqa: SLF001
            known = sum(len(node._connections) for node in nodes)  # noqa: SLF001
            return PoolState(known - idle, idle, sum(node.max_connections for node in nodes))
        pool = self.client.connection_pool
        (idle, _), (busy, _) = pool.get_connection_count()
        return PoolState(busy, idle, pool.max_connections)

    async def server_info(self) -> dict[str, str | float]:
        """`version`, such as "valkey 9.1.2", and `memory_bytes`; summed over the nodes of a cluster."""
        answer = await self.call("INFO")
        nodes = (
            list(answer.values())
            if isinstance(self.client, RedisCluster) and "redis_version" not in answer
            else [answer]
        )
        first = nodes[0]
        version = (
            f"valkey {first['valkey_version']}" if "valkey_version" in first else f"redis {first['redis_version']}"
        )
        return {"version": version, "memory_bytes": float(sum(node["used_memory"] for node in nodes))}


@contextmanager
def _translating() -> Iterator[None]:
    """Raises the engine's error in place of the client library's."""
    try:
        yield
    except (redis_errors.RedisError, OSError) as error:
        raise translated(error) from error


def translated(error: Exception) -> JobServiceError:
    """The engine's error for one of the client library's. Raises the error itself if it tells of no state of the store."""
    if isinstance(error, redis_errors.OutOfMemoryError):
        return StoreFullError(
            "The job store's memory is full. Jobs that run can end; try again once some are cleaned.", retry_after=30
        )
    if isinstance(error, redis_errors.AuthenticationError | redis_errors.NoPermissionError):
        return StoreUnavailableError(
            "The job store refuses the service's credentials. Check REDIS_USERNAME and REDIS_PASSWORD, or REDIS_URL.",
            retry_after=30,
        )
    if isinstance(error, redis_errors.ResponseError) and _UNABLE.match(str(error)):
        return StoreUnavailableError(
            f"The job store cannot do it now. Nothing was lost; try again. It says: {error}", retry_after=RETRY_AFTER
        )
    if refused := certificate_refusal(error, "REDIS_URL and REDIS_TLS_CA"):
        return StoreUnavailableError(f"The job store has {refused}.", retry_after=30)
    if isinstance(error, _AWAY):
        reason = _CREDENTIALS.sub("//", str(error)) or type(error).__name__
        unavailable = store_away()
        unavailable.__notes__ = [reason]
        return unavailable
    raise error


async def backoff_sleep(failures: int) -> None:
    """Waits before the next try of something that failed so many times in a row: 50 ms, doubling, at most 2 s."""
    await asyncio.sleep(min(0.05 * 2 ** min(failures, 10), 2.0))
