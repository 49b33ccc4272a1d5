"""The way to the store: logins from the URL or beside it, TLS with an authority of one's own, and what refusals say."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from base.settings import Settings
from contract.errors import StoreUnavailableError
from engine.store import Store
from tests.conftest import ValkeyServer, free_port
from tests.service.certificates import self_signed

pytestmark = pytest.mark.parametrize("settings", ["one server"], indirect=True)
PASSWORD = "p@ss/word"
CALLERS = 10
"""Who call at once, so that each has a connection."""


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[ValkeyServer]:
    """A server that wants a password."""
    server = ValkeyServer(tmp_path / "valkey", free_port(), ("--requirepass", PASSWORD)).start()
    yield server
    server.kill()


def told(settings: Settings, url: str | None, **further: Any) -> Settings:
    secret = {key: SecretStr(value) if key == "redis_password" else value for key, value in further.items()}
    return settings.model_copy(update={"redis_url": SecretStr(url) if url else None, **secret})


async def answers(settings: Settings) -> bool:
    store = await Store.open(settings)
    try:
        return await store.check() > 0
    finally:
        await store.close()


async def test_a_login_stands_in_the_url_or_beside_it_and_that_of_the_url_wins(
    settings: Settings, guarded: ValkeyServer
) -> None:
    place = f"127.0.0.1:{guarded.port}"
    assert await answers(told(settings, f"redis://:p%40ss%2Fword@{place}/0"))
    assert await answers(told(settings, f"redis://{place}/0", redis_password=PASSWORD))
    assert await answers(told(settings, f"redis://:p%40ss%2Fword@{place}/0", redis_password="another"))
    assert await answers(told(settings, None, redis_port=guarded.port, redis_password=PASSWORD))


async def test_a_login_that_is_refused_names_the_settings_and_not_the_password(
    settings: Settings, guarded: ValkeyServer
) -> None:
    with pytest.raises(StoreUnavailableError) as caught:
        await answers(told(settings, f"redis://127.0.0.1:{guarded.port}/0", redis_password="wrong-one"))
    assert "REDIS_PASSWORD" in caught.value.message
    assert "wrong-one" not in caught.value.message


async def test_the_connections_that_a_restart_of_the_server_has_closed_cost_nobody_an_error(
    settings: Settings, guarded: ValkeyServer
) -> None:
    store = await Store.open(told(settings, guarded.url, redis_password=PASSWORD))
    try:
        await asyncio.gather(*(store.check() for _ in range(CALLERS)))
        assert store.pool().idle == CALLERS
        guarded.kill()
        await asyncio.to_thread(guarded.start)
        await asyncio.gather(*(store.check() for _ in range(CALLERS)))
    finally:
        await store.close()


async def test_over_tls_the_server_is_held_to_the_authority_of_the_settings(
    settings: Settings, valkey: ValkeyServer, tmp_path: Path
) -> None:
    certificate, key = self_signed(tmp_path, "store")
    async with _with_tls(valkey.port, certificate, key) as port:
        known = told(settings, f"rediss://localhost:{port}/0", redis_tls_ca=certificate)
        assert await answers(known)
        with pytest.raises(StoreUnavailableError):
            await answers(told(settings, f"rediss://localhost:{port}/0"))


async def test_an_authority_is_no_obstacle_where_no_tls_is_spoken(
    settings: Settings, valkey: ValkeyServer, tmp_path: Path
) -> None:
    certificate, _ = self_signed(tmp_path, "store")
    assert await answers(told(settings, valkey.url, redis_tls_ca=certificate))


@asynccontextmanager
async def _with_tls(port: int, certificate: Path, key: Path) -> AsyncIterator[int]:
    """TLS before a server, as the embedded one has none of its own; its port."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(carry(reader, inner_writer), carry(inner_reader, writer))

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1]
