"""The files that results name, as callers download them."""

import asyncio
import hashlib
import os
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from io import FileIO
from pathlib import PurePath
from typing import BinaryIO, Final
from urllib.parse import quote

from google.api.httpbody_pb2 import HttpBody
from google.protobuf.message import Message
from qcollector.jobs.v1.export_pb2 import ExportMetadata
from qcollector.jobs.v1.file_pb2 import FileCompressResult

from base.direction_controls import DIRECTION_CONTROLS
from base.produced import Entry
from base.storage import StoragePathError, StorageRoots
from families.exports.places import export_place

CHUNK_BYTES: Final = 256 * 1024
ZIP: Final = "application/zip"
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


@dataclass(frozen=True, slots=True)
class StoredFile:
    """What a result tells of its file."""

    path: str
    size: float
    name: str
    content_type: str
    sha256: str
    export: bool
    """Whether it lies in EXPORT_DIR, as exports do; archives go where their callers want them, within the storage roots."""


def stored_file(result: Message) -> StoredFile | None:
    """The file that a result names, if it names one."""
    if isinstance(result, FileCompressResult):
        name = result.file_name or PurePath(result.archive_path).name
        return StoredFile(
            result.archive_path, result.archive_size, name, result.content_type or ZIP, result.sha256, export=False
        )
    for field, value in result.ListFields():
        if field.message_type is not None and isinstance(value, ExportMetadata):
            return StoredFile(
                value.file_path, value.file_size, value.file_name, value.content_type, value.sha256, export=True
            )
    return None


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
        place = export_place(roots, stored.path) if stored.export else roots.resolve(stored.path)
        descriptor = os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except (OSError, StoragePathError) as error:
        raise FileGoneError from error
    file = os.fdopen(descriptor, "rb", buffering=0)
    if _is_stored(file, stored, roots.record(place).entry(place), place.name):
        return file
    file.close()
    raise FileGoneError


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
