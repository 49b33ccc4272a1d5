"""The files that results name, as callers download them."""

import asyncio
import hashlib
import os
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import BinaryIO, Final
from urllib.parse import quote

from google.api.httpbody_pb2 import HttpBody

from base.direction_controls import DIRECTION_CONTROLS
from base.produced import Entry
from base.storage import StoragePathError, StorageRoots
from contract.checks import StoredFile

CHUNK_BYTES: Final = 256 * 1024
_UNQUOTED: Final = "!#$&+-.^_`|~"
"""What RFC 8187 leaves as it is, besides letters and digits."""


class FileGoneError(Exception):
    """There is no such file any more."""


@dataclass(frozen=True, slots=True)
class ResultFile:
    """A file that is open, so that it stays readable also when it is removed meanwhile."""

    name: str
    content_type: str
    file: BinaryIO

    async def bodies(self) -> AsyncIterator[HttpBody]:
        """Its content, one chunk in memory at a time. An empty file has one, empty, body."""
        content_type = self.content_type
        while (data := await asyncio.to_thread(self.file.read, CHUNK_BYTES)) or content_type:
            yield HttpBody(content_type=content_type, data=data)
            content_type = ""


@asynccontextmanager
async def opened(stored: StoredFile, roots: StorageRoots) -> AsyncIterator[ResultFile]:
    """The file while the block lasts.

    Raises:
      FileGoneError: it is not there, or is not the one that was made.
    """
    file = await asyncio.to_thread(_open, stored, roots)
    try:
        yield ResultFile(stored.name, stored.content_type, file)
    finally:
        file.close()


def disposition(name: str) -> str:
    """Content-Disposition as RFC 6266 has it: the name in ASCII, and as it is for whoever reads RFC 8187."""
    name = name.translate(DIRECTION_CONTROLS)
    plain = "".join(letter if " " <= letter <= "~" and letter not in '"\\%' else "_" for letter in name)
    extended = "" if plain == name else f"; filename*=UTF-8''{quote(name, safe=_UNQUOTED)}"
    return f'attachment; filename="{plain}"{extended}'


def _open(stored: StoredFile, roots: StorageRoots) -> BinaryIO:
    try:
        place = _place(stored, roots)
        descriptor = os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except (OSError, StoragePathError) as error:
        raise FileGoneError from error
    file = os.fdopen(descriptor, "rb", buffering=0)
    if _is_stored(file, stored, roots.record(place).entry(place), place.name):
        return file
    file.close()
    raise FileGoneError


def _place(stored: StoredFile, roots: StorageRoots) -> Path:
    """Raises StoragePathError where the file is not one of its storage root."""
    place = roots.resolve(stored.path)
    if stored.root is not None and not place.is_relative_to(roots.roots[stored.root]):
        raise StoragePathError(f"the path does not name a file within {stored.root.upper()}_DIR")
    return place


def _is_stored(file: FileIO, stored: StoredFile, entry: Entry | None, name: str) -> bool:
    """Whether the file is the one that was made: a later job of the same caller may have replaced it.

    Usually the record of what jobs make tells. A file that the record does not know is read.
    """
    state = os.fstat(file.fileno())
    if not stat.S_ISREG(state.st_mode) or state.st_size != stored.size:
        return False
    for content in entry.prints.get(os.fsencode(name), ()) if entry is not None else ():
        if (content.size, content.modified) == (state.st_size, state.st_mtime_ns):
            return content.sha256 == stored.sha256
    if not stored.sha256:
        return True
    digest = hashlib.file_digest(file, "sha256").hexdigest()
    file.seek(0)
    return digest == stored.sha256
