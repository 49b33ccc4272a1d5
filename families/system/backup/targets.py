"""What a backup's targets are made of: which folder, or which database."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import anyio
from qcollector.jobs.v1.system_pb2 import SystemBackupTarget, SystemBackupTargetType
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from base.settings import Settings
from base.storage import RootName, StoragePathError, StorageRoots
from contract.json_scalars import enum_words
from families.database.connection import reading
from families.system.backup.archive import measure
from families.system.backup.dump import DumpError, address_of, dump_command, list_command, program
from families.system.backup.packing import Task
from families.system.settings import SystemSettings

_WORDS: Final = {number: word for word, number in enum_words(SystemBackupTargetType.DESCRIPTOR).items()}
_FOLDERS: Final[Mapping[str, RootName]] = {"uploads": "upload", "logs": "log"}
_SERVER: Final = text("SELECT current_setting('server_version_num')::int / 10000, pg_database_size(current_database())")


@dataclass(frozen=True, slots=True)
class Source:
    """Something to pack."""

    name: str
    """In words that tell no secret."""
    content: Literal["dump", "tar"]
    task: Task


def word_of(target: SystemBackupTarget) -> str:
    """The target's documented word."""
    return _WORDS[target.type]


class Sources:
    """Finds out what is to be packed."""

    def __init__(self, settings: Settings, roots: StorageRoots, engine: AsyncEngine) -> None:
        self._settings = SystemSettings.of(settings)
        self._roots = roots
        self._engine = engine

    async def find(self, target: SystemBackupTarget) -> Source:
        """What a target stands for.

        Raises:
          StoragePathError: its folder is missing, or lies outside the storage roots or within BACKUP_DIR.
          DatabaseError: the database cannot be asked.
          DumpError: no program here can dump it.
        """
        word = word_of(target)
        if word == "database":
            return await self._database()
        folder = self._roots.roots[_FOLDERS[word]] if word in _FOLDERS else self._roots.resolve(target.source)
        backups = self._roots.roots["backup"]
        if folder.is_relative_to(backups):
            raise StoragePathError(f"{folder} lies within BACKUP_DIR: a backup of backups would never end growing")
        if not await anyio.Path(folder).is_dir():
            raise StoragePathError(f"{folder} is missing or is not a folder")
        expected = await anyio.to_thread.run_sync(measure, folder, (backups,))
        return Source(str(folder), "tar", Task(source=folder, without=(backups,), expected=expected))

    async def _database(self) -> Source:
        if self._settings.database_url is None:
            raise DumpError("there is no database: set DATABASE_URL")
        async with reading(self._engine) as connection:
            server, size = (await connection.execute(_SERVER)).one()
        address = address_of(self._settings.database_url.get_secret_value())
        pg_dump, pg_restore = await program("pg_dump", server), await program("pg_restore", server)
        task = Task(
            command=dump_command(pg_dump, address),
            check=list_command(pg_restore),
            environment=address.environment,
            expected=size,
        )
        return Source(address.database, "dump", task)
