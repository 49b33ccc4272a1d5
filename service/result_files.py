"""The files that results name, as callers download them."""

import asyncio
import os
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import BinaryIO, Final
from urllib.parse import quote

from google.api.httpbody_pb2 import HttpBody
from google.protobuf.message import Message
from qcollector.jobs.v1.export_pb2 import ExportMetadata

from base.export_files import export_place
from base.storage import StoragePathError, StorageRoots

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


def metadata_of(result: Message) -> ExportMetadata | None:
    """What a result tells of its file."""
    for field, value in result.ListFields():
        if field.message_type is not None and isinstance(value, ExportMetadata):
            return value
    return None


@asynccontextmanager
async def opened(metadata: ExportMetadata, roots: StorageRoots) -> AsyncIterator[ResultFile]:
    """The file while the block lasts.

    Raises:
      FileGoneError: it is not there, or is not the one that was made.
    """
    file = await asyncio.to_thread(_open, metadata, roots)
    try:
        yield ResultFile(metadata.file_name, metadata.content_type, file)
    finally:
        file.close()


def disposition(name: str) -> str:
    """Content-Disposition as RFC 6266 has it: the name in ASCII, and as it is for whoever reads RFC 8187."""
    plain = "".join(letter if " " <= letter <= "~" and letter not in '"\\%' else "_" for letter in name)
    extended = "" if plain == name else f"; filename*=UTF-8''{quote(name, safe=_UNQUOTED)}"
    return f'attachment; filename="{plain}"{extended}'


def _open(metadata: ExportMetadata, roots: StorageRoots) -> BinaryIO:
    try:
        place = export_place(roots, metadata.file_path)
        descriptor = os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except (OSError, StoragePathError) as error:
        raise FileGoneError from error
    file = os.fdopen(descriptor, "rb", buffering=0)
    state = os.fstat(descriptor)
    if not stat.S_ISREG(state.st_mode) or state.st_size != metadata.file_size:
        file.close()
        raise FileGoneError
    return file
