"""Stages that bytes go through on their way into a backup and out of it again."""

import ctypes
import hashlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import IO, Any, Final

import zstandard

from families.system.backup.sealing import unsealed

BLOCK: Final = 1 << 20
_STDERR_BYTES: Final = 2000
_PR_SET_PDEATHSIG: Final = 1
_LIBC: Final = ctypes.CDLL(None)


class PackingError(Exception):
    """Something cannot be packed or unpacked; the message says why."""


class Digesting:
    """A file that counts and digests what goes through it, either way."""

    def __init__(self, file: Any, tell: Callable[[int], None] | None = None) -> None:
        """`file` needs no more than what is used of it: `read`, or `write`. `tell` is told the number of bytes so far."""
        self._file = file
        self._tell = tell
        self._digest = hashlib.sha256()
        self.size = 0

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def write(self, data: bytes) -> int:
        self._note(data)
        self._file.write(data)
        return len(data)

    def read(self, size: int = -1) -> bytes:
        data: bytes = self._file.read(size)
        self._note(data)
        return data

    def flush(self) -> None:
        self._file.flush()

    def _note(self, data: bytes) -> None:
        self._digest.update(data)
        self.size += len(data)
        if self._tell is not None:
            self._tell(self.size)


@contextmanager
def unpacked(file: Any, identities: Sequence[Any]) -> Iterator[IO[bytes]]:
    """What was packed into a file. `identities` decrypt it; there are none where it is not encrypted.

    Raises:
      SealingError: it cannot be decrypted, or was changed.
      PackingError: it is no archive, or was changed.
    """
    with unsealed(file, identities) if identities else nullcontext(file) as compressed:
        try:
            with zstandard.ZstdDecompressor().stream_reader(compressed, closefd=False) as content:
                yield content
        except zstandard.ZstdError as error:
            raise PackingError(f"the file is damaged: {error}") from None


def copy(source: Any, sink: Any) -> None:
    while block := source.read(BLOCK):
        sink.write(block)


@contextmanager
def printed_by(command: Sequence[str], environment: Mapping[str, str]) -> Iterator[IO[bytes]]:
    """What a program prints. It ends with this process, and must have succeeded at the end of the block.

    Raises:
      PackingError: it failed; with what it said.
    """
    with _program(command, environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        with process.stdout:
            yield process.stdout


@contextmanager
def read_by(command: Sequence[str], environment: Mapping[str, str]) -> Iterator[IO[bytes]]:
    """A file that a program reads, as far as it likes. It must have succeeded at the end of the block.

    Raises:
      PackingError: it failed; with what it said.
    """
    with _program(command, environment, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        assert process.stdin is not None
        try:
            with suppress(BrokenPipeError):
                yield process.stdin
        finally:
            with suppress(BrokenPipeError):
                process.stdin.close()


@contextmanager
def _program(
    command: Sequence[str], environment: Mapping[str, str], *, stdin: int, stdout: int
) -> Iterator[subprocess.Popen[bytes]]:
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(  # noqa: S603  (a program of PostgreSQL, with arguments of this service's own)
            command,
            stdin=stdin,
            stdout=stdout,
            stderr=said,
            env=os.environ | environment,
            preexec_fn=_end_with_parent,  # noqa: PLW1509  (this process has no other thread yet)
        )
        try:
            yield process
            code = process.wait()
        finally:
            process.kill()
            process.wait()
        if code:
            said.seek(0)
            text = said.read(_STDERR_BYTES).decode("utf-8", "replace").strip()
            raise PackingError(f"{Path(command[0]).name} failed: {text or f'it ended with {code}'}")


def _end_with_parent() -> None:
    """Has the kernel end this process with the one that started it. Only Linux can."""
    if sys.platform == "linux":
        _LIBC.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
