"""A way to PostgreSQL that holds up what the server answers once so much of it has passed: an export is in its middle then."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

import anyio
from anyio.abc import SocketStream
from pydantic import SecretStr

from base.settings import Settings
from tests.postgres import database_address


class Relay:
    """Passes everything on, but of each connection's answers the first `most` bytes alone."""

    def __init__(self, host: str, port: int, most: int) -> None:
        self._address = host, port
        self._most = most
        self.holds = anyio.Event()
        """Set when an answer is held up."""

    async def serve(self, caller: SocketStream) -> None:
        async with caller, await anyio.connect_tcp(*self._address) as server, anyio.create_task_group() as both:
            both.start_soon(self._answer, server, caller)
            with suppress(anyio.BrokenResourceError):
                async for data in caller:
                    await server.send(data)
            both.cancel_scope.cancel()

    async def _answer(self, server: SocketStream, caller: SocketStream) -> None:
        passed = 0
        with suppress(anyio.BrokenResourceError):
            async for data in server:
                await caller.send(data[: self._most - passed])
                passed += len(data)
                if passed >= self._most:
                    self.holds.set()
                    await anyio.sleep_forever()
            await caller.send_eof()


@asynccontextmanager
async def held_up(settings: Settings, most: int) -> AsyncIterator[tuple[Settings, Relay]]:
    """Settings that lead to the database through a relay."""
    way = urlsplit(database_address(settings))
    relay = Relay(way.hostname or "", way.port or 0, most)
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, relay.serve)
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
        through = way._replace(netloc=way.netloc.replace(f":{way.port}", f":{port}"))
        yield settings.model_copy(update={"database_url": SecretStr(through.geturl())}), relay
        group.cancel_scope.cancel()
