"""One PostgreSQL server for a session of tests, and databases on it that are copied within a moment."""

import asyncio
import itertools
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

import asyncpg
from pydantic import SecretStr

from base.settings import Settings, load
from families.database.connection import open_database, writing
from families.database.embedded import SUPERUSER, Postgres
from families.database.prepare import prepare
from families.database.sample_data.load import load_sample_data
from families.database.settings import DatabaseSettings
from stack.folder import DataFolder
from stack.part import tethered
from stack.ports import LOOPBACK

Template = Literal["tables", "sample"]

CARELESS: Final = ("fsync=off", "full_page_writes=off", "synchronous_commit=off")
SAMPLE_ENDS: Final = datetime(2026, 6, 30, 10, tzinfo=UTC)
"""Until when the sample data goes: a Tuesday."""

_numbers = itertools.count(1)


class PostgresServer:
    """The embedded server as `qjobs up` runs it, but for the care that it takes of its data."""

    def __init__(self, part: Postgres, home: Path) -> None:
        self._part = part
        self._home = home
        self._key = secrets.token_hex(32)
        self._made: set[Template] = set()

    @classmethod
    @contextmanager
    def running(cls) -> Iterator["PostgresServer"]:
        home = Path(tempfile.mkdtemp(prefix="qjobs-postgres-"))
        home.chmod(0o711)
        folder = DataFolder(home / "server")
        with folder.held(say=lambda _: None):
            part = Postgres(folder, home / "postgres.log")
            command = asyncio.run(part.prepare())
            options = [word for option in CARELESS for word in ("-c", option)]
            with command.output.open("ab") as output:
                process = subprocess.Popen(
                    [*tethered(command), *options], env=dict(command.environment), stdout=output, stderr=output
                )
            try:
                asyncio.run(_until_ready(part, process))
                yield cls(part, home)
            finally:
                process.send_signal(signal.SIGINT)
                process.wait(10)
        shutil.rmtree(home, ignore_errors=True)

    @asynccontextmanager
    async def copy(self, template: Template) -> AsyncIterator[dict[str, Any]]:
        """A new database like `template`: the settings that lead to it."""
        await self._make(template)
        name = f"test{next(_numbers)}"
        await self._execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
        yield self._told(name)
        await self._execute(f"DROP DATABASE {name} WITH (FORCE)")

    @asynccontextmanager
    async def empty(self) -> AsyncIterator[dict[str, Any]]:
        """A new database without any table: the settings that lead to it."""
        name = f"test{next(_numbers)}"
        await self._execute(f"CREATE DATABASE {name} TEMPLATE template0")
        yield self._told(name)
        await self._execute(f"DROP DATABASE {name} WITH (FORCE)")

    async def itself(self, template: Template) -> dict[str, Any]:
        """The settings that lead to the template: for tests that only read, and close what they open."""
        await self._make(template)
        return self._told(template)

    @property
    def sample_uploads(self) -> Path:
        return self._settings("sample").root("upload")

    async def _make(self, template: Template) -> None:
        if template in self._made:
            return
        settings = self._settings(template)
        await prepare(settings.model_copy(update={"sample_data": False}))
        if template == "sample":
            engine = open_database(settings)
            async with writing(engine) as connection:
                await load_sample_data(connection, settings, SAMPLE_ENDS)
            await engine.dispose()
        self._made.add(template)

    def _settings(self, name: str) -> Settings:
        return load(data_dir=self._home / name).model_copy(update=self._told(name))

    def _told(self, name: str) -> dict[str, Any]:
        address = f"postgresql://{SUPERUSER}:{self._part.password}@{LOOPBACK}:{self._part.port}/{name}"
        return {"database_url": SecretStr(address), "encryption_key": SecretStr(self._key)}

    async def _execute(self, statement: str) -> None:
        connection = await asyncpg.connect(self._told("postgres")["database_url"].get_secret_value())
        try:
            await connection.execute(statement)
        finally:
            await connection.close()


async def _until_ready(part: Postgres, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            await part.check(None)
        except (OSError, asyncpg.PostgresError):
            if time.monotonic() > deadline or process.poll() is not None:
                raise
            await asyncio.sleep(0.02)
        else:
            return


def database_address(settings: Settings) -> str:
    """DATABASE_URL as text."""
    address = DatabaseSettings.of(settings).database_url
    assert address is not None
    return address.get_secret_value()
