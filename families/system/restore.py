"""`qjobs restore`: puts back what a backup holds, after every file of it was found to be as it was written."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

import asyncpg

from base.produced import OWN_FOLDER, Record
from base.settings import Settings
from families.system.backup.archive import ArchiveError, read_tar
from families.system.backup.dump import DumpError, address_of, program, restore_command
from families.system.backup.manifest import BackedUp, Manifest, ManifestError, check_files, read_manifest
from families.system.backup.sealing import SealingError, identities_of
from families.system.backup.streams import PackingError, copy, read_by, unpacked
from stack.errors import StackError

CONNECT_SECONDS: Final = 10
_TABLES: Final = r"""
    SELECT count(*) FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE relkind IN ('r', 'p', 'v', 'm', 'S') AND nspname NOT LIKE 'pg\_%' AND nspname <> 'information_schema'
"""


@dataclass(frozen=True, slots=True)
class Aim:
    """Where a backup is restored to."""

    settings: Settings
    database_url: str = ""
    """The database; it is never guessed from DATABASE_URL."""
    into: Path | None = None
    """Where each archive gets a folder. None: where its files came from."""
    force: bool = False
    """Whether what is there already is replaced."""


class Restore:
    """A backup whose targets can be put back."""

    def __init__(self, manifest: Path, aim: Aim, identity: Path | None = None) -> None:
        """`identity` is the file with the private key.

        Raises:
          StackError: the manifest cannot be read, or the identity is missing or is none.
        """
        self._folder = manifest.resolve().parent
        self._aim = aim
        try:
            self.manifest: Manifest = read_manifest(manifest)
            self._identities: Sequence[Any] = identities_of(identity.read_text("utf-8")) if identity else ()
        except (ManifestError, SealingError) as error:
            raise StackError(str(error)) from None
        except OSError as error:
            raise StackError(f"{identity} cannot be read: {error.strerror}") from None

    def check(self, only: Sequence[str] = ()) -> Sequence[BackedUp]:
        """What there is to put back, of these targets or of all; every file is as it was written, and has somewhere to go.

        Raises:
          StackError: something is wrong; nothing was changed.
        """
        held = {entry.target: entry for entry in self.manifest.files}
        if missing := [target for target in only if target not in held]:
            raise StackError(f"The backup holds no {', '.join(missing)}; it holds {', '.join(held) or 'nothing'}.")
        chosen = [held[target] for target in only or held]
        for entry in chosen:
            if entry.encrypted and not self._identities:
                raise StackError(f"{entry.name} is encrypted: name the file with your private key by --identity.")
            if entry.content == "dump" and not self._aim.database_url:
                raise StackError(
                    "Where is the database to go? Name an empty one by --database-url, or choose other targets by --only."
                )
        try:
            check_files(self._folder, chosen)
        except ManifestError as error:
            raise StackError(str(error)) from None
        return chosen

    def put_back(self, entry: BackedUp) -> str:
        """Restores one target; what was done, in words.

        Raises:
          StackError: it could not be restored. A database is then as it was.
        """
        try:
            return self._database(entry) if entry.content == "dump" else self._files(entry)
        except (PackingError, ArchiveError, SealingError, DumpError) as error:
            raise StackError(f"{entry.target}: {error}") from None
        except OSError as error:
            raise StackError(f"{entry.target}: {error.filename}: {error.strerror}") from None

    def _files(self, entry: BackedUp) -> str:
        place = self._place(entry)
        place.mkdir(parents=True, exist_ok=True)
        if (place / OWN_FOLDER).exists():
            Record(place).renew()  # what jobs made of it may be in no record: cleanup is to leave it
        with self._content(entry) as content:
            files = read_tar(content, place, overwrite=self._aim.force)
        return f"{files} files into {place}"

    def _place(self, entry: BackedUp) -> Path:
        if self._aim.into is not None:
            return self._aim.into / entry.target
        settings = self._aim.settings
        roots = {"uploads": settings.root("upload"), "logs": settings.root("log")}
        return roots.get(entry.target, Path(entry.source))

    def _database(self, entry: BackedUp) -> str:
        address = address_of(self._aim.database_url)
        server, tables = asyncio.run(_look(self._aim.database_url))
        if tables and not self._aim.force:
            raise StackError(
                f"database: {address.database} is not empty: name an empty database, or use --force, which replaces what "
                "the backup holds too."
            )
        command = restore_command(asyncio.run(program("pg_restore", server)), address, clean=self._aim.force)
        with read_by(command, address.environment) as entrance, self._content(entry) as content:
            copy(content, entrance)
        return f"into the database {address.database}"

    @contextmanager
    def _content(self, entry: BackedUp) -> Iterator[IO[bytes]]:
        with (
            (self._folder / entry.name).open("rb") as file,
            unpacked(file, self._identities if entry.encrypted else ()) as content,
        ):
            yield content


async def _look(url: str) -> tuple[int, int]:
    """The server's major version, and how many tables and the like the database has."""
    try:
        connection = await asyncpg.connect(url, timeout=CONNECT_SECONDS)
    except (OSError, TimeoutError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise StackError(f"database: it cannot be reached: {error or type(error).__name__}") from None
    try:
        return connection.get_server_version().major, await connection.fetchval(_TABLES)
    finally:
        await connection.close()
