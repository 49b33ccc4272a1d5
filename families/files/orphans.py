"""Uploads that no row of the application's database names. Erring means keeping: a file that may belong to one stays."""

import hashlib
import os
import time
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

import anyio
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from base.produced import Origin, Record
from base.storage import StorageRoots
from families.database.connection import reading
from families.database.tables import files
from families.files.deletion import files_in
from families.files.drafts import is_draft
from families.files.scanning import QUARANTINE
from workers.outcomes import FailForGood

MIN_AGE: Final = 24 * 60 * 60.0
"""Seconds that a file stays, whoever names it: its row may not be written yet."""
MAX_SHARE: Final = 0.1
"""The part of all files that may be orphans; more of them mean a wrong database rather than litter."""

_ROWS: Final = 2000
_PATHS: Final = (files.c.minio_path, files.c.thumbnail_path, files.c.full_path)
_DERIVED: Final = ("thumbnail_", "optimized_")
"""What the names of outputs of image-process begin with."""


class OrphansRefusedError(FailForGood):
    """The database and the folder do not fit together; nothing is deleted."""


@dataclass(frozen=True, slots=True)
class Orphans:
    """What was found."""

    paths: tuple[Path, ...]
    """What may be deleted."""
    left: tuple[Path, ...]
    """What may be a job's output, as it is older than the record of those, or nothing tells: it is only reported."""
    looked_at: int
    """Files in the folder."""
    recorded: int
    """Those of them that are not older than the record."""
    produced: int
    """Files that no row names, and that jobs have made."""

    @property
    def too_many(self) -> bool:
        """Whether so many are orphans that the database is more likely wrong, among all files and among recent ones."""
        found = len(self.paths) + len(self.left)
        return found > self.looked_at * MAX_SHARE and len(self.paths) > self.recorded * MAX_SHARE


async def find_orphans(engine: AsyncEngine, roots: StorageRoots, folder: Path | None = None) -> Orphans:
    """The orphans in `folder` (UPLOAD_DIR or a folder in it), older than a day.

    Raises:
      OrphansRefusedError: they are more than a tenth of all files.
      DatabaseError: the database cannot be asked, so that nothing is known to be an orphan.
    """
    upload = roots.roots["upload"]
    known = await _known(engine)
    below = [root for root in roots.roots.values() if root != upload and root.is_relative_to(upload)]
    orphans = await anyio.to_thread.run_sync(_search, folder or upload, roots.record(upload), below, known)
    if orphans.too_many:
        raise OrphansRefusedError(
            f"{len(orphans.paths) + len(orphans.left)} of {orphans.looked_at} files in UPLOAD_DIR are named by no row of the "
            "database; as that is more than a tenth, nothing was deleted: check that DATABASE_URL and UPLOAD_DIR belong "
            "together, and delete by name what is left over"
        )
    return orphans


class _Known:
    """What the rows name, as sorted 64-bit digests: eight bytes a name, and a collision only keeps a file."""

    def __init__(self) -> None:
        self._digests = array("Q")

    def add(self, names: Iterable[str]) -> None:
        self._digests.extend(_digest(name) for name in names)

    def sort(self) -> None:
        self._digests = array("Q", sorted(set(self._digests)))

    def __contains__(self, name: str) -> bool:
        digest = _digest(name)
        place = bisect_left(self._digests, digest)
        return place < len(self._digests) and self._digests[place] == digest


def _digest(name: str) -> int:
    return int.from_bytes(hashlib.blake2b(os.fsencode(name), digest_size=8).digest())


async def _known(engine: AsyncEngine) -> _Known:
    known = _Known()
    async with reading(engine) as connection:
        rows = await connection.stream(select(files.c.filename, *_PATHS).execution_options(yield_per=_ROWS))
        async for part in rows.partitions():
            for row in part:
                known.add(name for value in row if value for name in _names(value))
    await anyio.to_thread.run_sync(known.sort)
    return known


def _names(path: str) -> Iterator[str]:
    """By what a file on disk may be known: its path, its name, and its name without ending, for what is derived from it."""
    relative = path.lstrip("/")
    yield relative
    yield f"/{PurePosixPath(relative).name}"
    yield f"//{PurePosixPath(relative).stem}"


def _search(folder: Path, record: Record, below: Sequence[Path], known: _Known) -> Orphans:
    """`below` are other storage roots within this one: what is in them is no upload."""
    before, since = time.time() - MIN_AGE, record.since()
    quarantined = record.root / QUARANTINE
    found: list[Path] = []
    left: list[Path] = []
    looked_at = recorded = produced = 0
    for path in files_in(folder):
        if is_draft(path.name) or quarantined in path.parents or any(map(path.is_relative_to, below)):
            continue
        looked_at += 1
        try:
            modified = path.lstat().st_mtime
        except FileNotFoundError:
            continue
        covered = since is not None and modified >= since
        recorded += covered
        if modified > before or _belongs(path, record.root, known):
            continue
        origin = record.origin(path)
        if origin is Origin.MADE:
            produced += 1
        elif covered and origin is Origin.OTHER:
            found.append(path)
        else:
            left.append(path)
    return Orphans(tuple(found), tuple(left), looked_at, recorded, produced)


def _belongs(path: Path, upload: Path, known: _Known) -> bool:
    relative = path.relative_to(upload).as_posix()
    if relative in known or f"/{path.name}" in known:
        return True
    return any(f"//{stem}" in known for stem in _originals(path.stem))


def _originals(stem: str) -> Iterator[str]:
    """What the file may be derived from: of "thumbnail_a_b_c", whose box may be "a" or "a_b", "b_c" and "c"."""
    yield stem
    if stem.startswith(_DERIVED):
        parts = stem.split("_")
        yield from ("_".join(parts[count:]) for count in range(1, len(parts)))
