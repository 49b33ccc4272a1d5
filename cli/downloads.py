"""What a job made, as a file here: under its own name, whole and as it was made, or not at all."""

import contextlib
import hashlib
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Final, TypeAlias
from urllib.parse import unquote

import grpc
from google.api.httpbody_pb2 import HttpBody
from grpc import aio
from qcollector.jobs.v1.export_pb2 import ExportMetadata
from qcollector.jobs.v1.job_pb2 import Job
from qcollector.jobs.v1.job_queries_pb2 import DownloadResultRequest

from cli.exits import CommandError, Exit
from cli.output.screen import bar
from cli.output.text import bytes_in_words, harmless, is_harmful
from cli.selection import Named
from cli.session import Session
from cli.steering import get
from client import JobsError

LONGEST_NAME: Final = 255
STANDARD_OUTPUT: Final = "-"
_EXTENDED_NAME: Final = re.compile(r"filename\*=UTF-8''([^;\s]+)", re.IGNORECASE)
_PLAIN_NAME: Final = re.compile(r'filename="([^"]*)"')

Stream: TypeAlias = "aio.UnaryStreamCall[DownloadResultRequest, HttpBody]"


async def download(session: Session, named: Named, to: str, *, force: bool) -> None:
    """Fetches the result of a completed job into a file, a folder, or standard output.

    Raises:
      CommandError: the file is there already, its name is no file's, or what came is not what was made.
    """
    job = await get(session, named)
    made = _made(job)
    request = DownloadResultRequest(queue_name=job.queue_name, job_id=job.id)
    stream = session.jobs.DownloadResult(request, metadata=session.connection.metadata)
    try:
        name = await _name(stream, made)
        if to == STANDARD_OUTPUT:
            await _receive(session, stream, made, name, sys.stdout.buffer.write)
            return
        target = _target(to, name)
        if target.exists() and not force:
            raise CommandError(f"{target} is there already: --force replaces it, --to names another.", Exit.CONFLICT)
        with _whole(target, force=force) as write:
            size = await _receive(session, stream, made, name, write)
    except aio.AioRpcError as error:
        raise JobsError.of(error) from None
    finally:
        stream.cancel()
    _tell(session, target, size, made)


async def _name(stream: Stream, made: ExportMetadata) -> str:
    """The name that the service gives the file. Raises CommandError where it is no plain name."""
    told = str(dict(await stream.initial_metadata() or ()).get("content-disposition", ""))
    extended, plain = _EXTENDED_NAME.search(told), _PLAIN_NAME.search(told)
    name = unquote(extended[1]) if extended else plain[1] if plain else made.file_name
    if not name:
        # A refusal comes instead of the name.
        code = await stream.code()
        if code is not grpc.StatusCode.OK:
            raise aio.AioRpcError(
                code, await stream.initial_metadata(), await stream.trailing_metadata(), await stream.details()
            )
    if not is_plain_name(name):
        raise CommandError(
            f"The service names the file {name!r}, which is no plain name: name it by --to.", Exit.INTERNAL
        )
    return name


def is_plain_name(name: str) -> bool:
    """Whether it names a file in the folder where it is written, visibly, on any system."""
    return (
        name not in {"", ".", ".."}
        and not name.startswith(("-", "."))
        and PurePosixPath(name).name == name
        and PureWindowsPath(name).name == name
        and not is_harmful(name)
        and len(name.encode("utf-8", "surrogatepass")) <= LONGEST_NAME
    )


def _target(to: str, name: str) -> Path:
    target = Path(to or ".")
    return target / name if target.is_dir() or to.endswith("/") else target


async def _receive(
    session: Session, stream: Stream, made: ExportMetadata, name: str, write: Callable[[bytes], object]
) -> int:
    """Writes all that comes; how much it was. Raises CommandError where it differs from what was made."""
    digest = hashlib.sha256()
    size = 0
    with bar(session.screen, name, made.file_size or None, of_bytes=True) as shown:
        async for body in stream:
            write(body.data)
            digest.update(body.data)
            size += len(body.data)
            shown.show(size)
    if made.sha256 and (size != made.file_size or digest.hexdigest() != made.sha256):
        raise CommandError(
            f"What came is not what the job made: {size} bytes instead of {made.file_size:.0f}, or another content. It was "
            "not kept; try again.",
            Exit.INTERNAL,
        )
    return size


@contextlib.contextmanager
def _whole(target: Path, *, force: bool) -> Iterator[Callable[[bytes], object]]:
    """Writes beside `target`, and gives it that name once all is there. Raises CommandError where it cannot."""
    try:
        descriptor, part = tempfile.mkstemp(prefix=f".{target.name[:100]}.", suffix=".part", dir=target.parent)
    except OSError as error:
        raise CommandError(f"{target} cannot be written: {error.strerror}.", Exit.USAGE) from None
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file.write
            os.fchmod(descriptor, 0o666 & ~_umask())
        if force:
            Path(part).replace(target)
        else:
            os.link(part, target)  # unlike a change of name, refused where somebody else was faster
    except FileExistsError:
        raise CommandError(f"{target} is there already: --force replaces it.", Exit.CONFLICT) from None
    finally:
        with contextlib.suppress(FileNotFoundError):
            Path(part).unlink()


def _umask() -> int:
    """What this process takes from the rights of new files; it can only be read by setting it."""
    now = os.umask(0o077)
    os.umask(now)
    return now


def _made(job: Job) -> ExportMetadata:
    """What the job tells of the file that it made; empty where its result is the result itself."""
    member = job.result.WhichOneof("result")
    if member is not None:
        for field, value in getattr(job.result, member).ListFields():
            if field.message_type is not None and isinstance(value, ExportMetadata):
                return value
    return ExportMetadata()


def _tell(session: Session, target: Path, size: int, made: ExportMetadata) -> None:
    checked = ", as it was made (SHA-256)" if made.sha256 else ""
    if session.screen.for_people:
        session.screen.print(
            harmless(str(target)) if session.screen.quiet else harmless(f"{target}: {bytes_in_words(size)}{checked}.")
        )
    else:
        session.screen.record({"path": str(target), "size": size, "sha256": made.sha256})
