"""Packs files into a ZIP archive, in constant memory. Runs apart from the worker."""

import os
import re
import time
import zipfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePath
from typing import BinaryIO, Final

from base.direction_controls import DIRECTION_CONTROLS
from base.output_names import Maker, tagged, taken
from base.produced import Record
from families.files.drafts import Drafts, Finished
from families.files.sources import FileRefusedError, open_source
from workers.child import Report

ARCHIVES: Final = "archives"
"""The folder in EXPORT_DIR where archives go whose place is not said. There they stay for EXPORT_RETENTION_DAYS."""

_NAME: Final = re.compile(r"archive_[0-9T-]+Z_[0-9a-f]{8}\.zip")
_UNPACKED_ELSEWHERE: Final = re.compile(r"[\\\x00-\x1f\x7f]|(?<=^[A-Za-z]):")
_CHUNK: Final = 1024 * 1024
_EARLIEST: Final = (1980, 1, 1, 0, 0, 0)
_LATEST: Final = (2107, 12, 31, 23, 59, 58)
"""The moments that an entry can have."""


@dataclass(frozen=True, slots=True)
class Packing:
    """What is to be packed, and where to."""

    files: Sequence[Path]
    root: Path
    """The storage root that holds the archive."""
    archive: Path
    maker: Maker
    level: int
    """0 (stored) to 9 (smallest)."""
    drafts: Drafts


def pack(report: Report, packing: Packing) -> Finished:
    """Writes the archive; it appears whole or not at all.

    Raises:
      FileRefusedError: a file cannot be read.
    """
    method = zipfile.ZIP_DEFLATED if packing.level else zipfile.ZIP_STORED
    total = sum(path.stat().st_size for path in packing.files)
    done = 0

    def count(size: int) -> None:
        nonlocal done
        done += size
        report(10 + 80 * done / max(done, total), "packing")

    with packing.drafts.new(packing.archive.parent) as draft:
        with zipfile.ZipFile(draft.file, "w", method, compresslevel=packing.level or None) as archive:
            for path, name in zip(packing.files, distinct(packing.files), strict=True):
                with open_source(path) as file:
                    _add(archive, file, name, count)
        report(95, "writing to disk")
        content = draft.finish()

        def named(_: str, suffix: str) -> str:
            return tagged(packing.archive.name, suffix)

        with taken(Record(packing.root), packing.archive.parent, {"archive": content}, named, packing.maker) as names:
            return Finished(names.put("archive", draft.path), content.size, content.sha256)


def archive_name(tag: str) -> str:
    """By the moment, as ISO 8601 in letters that every file system takes, and the job's tag of eight digits."""
    return f"archive_{datetime.now(UTC).strftime('%Y-%m-%dT%H-%M-%S-%f')[:-3]}Z_{tag}.zip"


def is_archive(name: str) -> bool:
    """Whether a file of that name was packed here."""
    return _NAME.fullmatch(name) is not None


def distinct(paths: Iterable[PurePath]) -> list[str]:
    """The files' names in an archive. Names that are equal but for the case of letters become "name (1).txt".

    What any system takes for a folder, a drive or the end of a line is replaced, so that nothing is unpacked elsewhere.
    """
    taken: set[str] = set()
    names = []
    for path in paths:
        told = os.fsencode(path.name).decode("utf-8", "replace").translate(DIRECTION_CONTROLS)
        readable = _UNPACKED_ELSEWHERE.sub("_", told)
        if readable in {"", ".", ".."}:  # once their controls are gone
            readable = "_"
        stem, ending = PurePath(readable).stem, PurePath(readable).suffix
        name, number = readable, 0
        while name.casefold() in taken:
            number += 1
            name = f"{stem} ({number}){ending}"
        taken.add(name.casefold())
        names.append(name)
    return names


def _add(archive: zipfile.ZipFile, file: BinaryIO, name: str, count: Callable[[int], None]) -> None:
    """Adds the file as long as it is now: what is written to a log meanwhile comes another time."""
    status = os.fstat(file.fileno())
    moment = min(max(time.localtime(status.st_mtime)[:6], _EARLIEST), _LATEST)
    entry = zipfile.ZipInfo(name, moment)
    entry.external_attr = (status.st_mode & 0xFFFF) << 16
    entry.compress_type = archive.compression
    entry._compresslevel = archive.compresslevel  # type: ignore[attr-defined]  # noqa: SLF001  (its only name in 3.11)
    entry.file_size = left = status.st_size
    with archive.open(entry, "w") as target:
        while left and (chunk := file.read(min(_CHUNK, left))):
            target.write(chunk)
            left -= len(chunk)
            count(len(chunk))
    if left:
        raise FileRefusedError(f"{name}: became shorter while it was packed")
