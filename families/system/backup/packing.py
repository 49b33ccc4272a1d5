"""Makes one file of a backup and reads it back. Runs in a process of its own, which can be killed at any moment."""

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import zstandard

from families.system.backup.archive import Archived, write_tar
from families.system.backup.sealing import passing_identity, recipient_of, sealed
from families.system.backup.streams import Digesting, PackingError, copy, printed_by, read_by, unpacked

MEMORY: Final = 2 << 30
"""Bytes of address space. What is really used does not grow with what is packed."""
LEVEL: Final = 6
_WRITING: Final = 0.7
"""The share of the work that writing is, and reading back is not."""


@dataclass(frozen=True, slots=True)
class Task:
    """What to pack: a folder, or what a program prints."""

    source: Path = Path()
    without: Sequence[Path] = ()
    """Folders in the source that are left out."""
    command: Sequence[str] = ()
    check: Sequence[str] = ()
    """A program that must be content with what was packed, when it reads it from its input."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """What these programs are told besides."""
    expected: int = 0
    """Bytes, about."""


@dataclass(frozen=True, slots=True)
class Packed:
    """What came of it."""

    size: int
    sha256: str
    content_size: int
    """Before compression, as is the next."""
    content_sha256: str
    files: int
    left_out: Sequence[str]


def pack(
    report: Callable[[float, str], None], task: Task, output: Path, recipient: str, step: str, span: tuple[float, float]
) -> Packed:
    """Makes `output`, encrypted to `recipient` unless that is empty, and reads it back. `report` hears of `span`'s percents.

    Raises:
      PackingError, ArchiveError, SealingError, OSError: it could not be made, or what was read back was something else.
    """

    def tell(begin: float, share: float) -> Callable[[int], None]:
        low, high = span
        expected = max(task.expected, 1)
        return lambda size: report(low + (high - low) * (begin + share * min(size / expected, 1)), step)

    recipients, identities = _keys(recipient)
    with open(output, "xb", opener=_private) as file:
        written = Digesting(file)
        done, content = _write(task, written, recipients, tell(0, _WRITING))
        file.flush()
        os.fsync(file.fileno())
    packed = Packed(written.size, written.sha256, content.size, content.sha256, done.files, done.left_out)
    _read_back(task, output, packed, identities, tell(_WRITING, 1 - _WRITING))
    return packed


def _write(task: Task, sink: Any, recipients: Sequence[Any], tell: Callable[[int], None]) -> tuple[Archived, Digesting]:
    """Packs into `sink`: what went in, and its bytes."""
    done = Archived()
    compressor = zstandard.ZstdCompressor(LEVEL, write_checksum=True)
    with (
        printed_by(task.command, task.environment) if task.command else nullcontext() as printed,
        sealed(sink, recipients) if recipients else nullcontext(sink) as compressed,
        compressor.stream_writer(compressed, closefd=False) as packer,
    ):
        content = Digesting(packer, tell)
        if printed is not None:
            copy(printed, content)
        else:
            done = write_tar(task.source, content, task.without)
    return done, content


def _read_back(
    task: Task, output: Path, packed: Packed, identities: Sequence[Any], tell: Callable[[int], None]
) -> None:
    with (
        output.open("rb") as file,
        read_by(task.check, task.environment) if task.check else nullcontext() as checker,
    ):
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)  # from the disk, not from memory
        stored = Digesting(file)
        with unpacked(stored, identities) as content:
            inside = Digesting(content, tell)
            if checker is not None:
                _feed(inside, checker)
            while inside.read(1 << 20):
                pass
        stored.read()
    if (stored.sha256, inside.sha256) != (packed.sha256, packed.content_sha256):
        raise PackingError("what was read back is not what was written: check the disk under BACKUP_DIR")


def _feed(source: Digesting, checker: Any) -> None:
    """Gives the program what it wants; it may have seen enough before the end."""
    try:
        copy(source, checker)
        checker.close()
    except BrokenPipeError:
        return


def _keys(recipient: str) -> tuple[Sequence[Any], Sequence[Any]]:
    """To whom it is encrypted, and with what it is read back."""
    if not recipient:
        return (), ()
    passing = passing_identity()
    return (recipient_of(recipient), passing.to_public()), (passing,)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
