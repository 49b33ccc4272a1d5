"""Folders as tar streams: files alone, never through a symbolic link, whatever their number in constant memory."""

import os
import stat
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, BinaryIO, Final

from base.produced import OWN_FOLDER
from base.storage import MARKER
from families.files.drafts import is_draft

_BLOCK: Final = 1 << 20
_SHOWN: Final = 100
_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class ArchiveError(Exception):
    """An archive cannot be written or unpacked; the message says why."""


@dataclass(slots=True)
class Archived:
    """What went into an archive."""

    files: int = 0
    left_out: list[str] = field(default_factory=list)
    """Symbolic links and whatever else is neither file nor folder; the first hundred."""


def write_tar(source: Path, sink: Any, without: Sequence[Path]) -> Archived:
    """Writes what is in a folder as a tar stream.

    Files that vanish meanwhile are left out, those that grow are cut at the length that they had.

    Raises:
      ArchiveError: a file became shorter while it was read.
      OSError: something cannot be read.
    """
    done = Archived()
    with tarfile.open(fileobj=sink, mode="w|", format=tarfile.PAX_FORMAT, bufsize=_BLOCK) as tar:
        _add_folder(tar, source, without, done)
    return done


def measure(source: Path, without: Sequence[Path]) -> int:
    """Bytes of the files that `write_tar` would write."""
    total = 0
    for _, names, place in _walk(source, without):
        for name in names:
            try:
                total += os.stat(name, dir_fd=place, follow_symlinks=False).st_size
            except FileNotFoundError:
                continue
    return total


def read_tar(source: IO[bytes], folder: Path, *, overwrite: bool) -> int:
    """Unpacks a tar stream into a folder; answers the number of files. Nothing outside of the folder is touched.

    Raises:
      ArchiveError: something is there already and is not to be overwritten, or a member has no place in the folder.
    """
    files = 0
    try:
        with tarfile.open(fileobj=source, mode="r|", bufsize=_BLOCK) as tar:
            while (member := tar.next()) is not None:
                tar.members.clear()  # type: ignore[attr-defined]  # it would remember every file
                place = folder / member.name
                if member.isfile():
                    if os.path.lexists(place) and not overwrite:
                        raise ArchiveError(f"{place} is there already: restore into an empty folder, or use --force")
                    files += 1
                tar.extract(member, folder, filter="data")
    except tarfile.TarError as error:
        raise ArchiveError(f"the archive cannot be unpacked: {error}") from None
    return files


def _add_folder(tar: tarfile.TarFile, source: Path, without: Sequence[Path], done: Archived) -> None:
    for folder, names, place in _walk(source, without):
        if folder != source:
            tar.addfile(_describe(folder.relative_to(source), os.fstat(place), tarfile.DIRTYPE))
        for name in names:
            path = (folder / name).relative_to(source)
            try:
                regular = stat.S_ISREG(os.stat(name, dir_fd=place, follow_symlinks=False).st_mode)
                if not regular:
                    done.left_out += [str(path)] if len(done.left_out) < _SHOWN else []
                    continue
                with os.fdopen(os.open(name, _FLAGS, dir_fd=place), "rb") as file:
                    _add_file(tar, str(path), file, done)
            except FileNotFoundError:
                continue
        tar.members.clear()  # type: ignore[attr-defined]  # it would remember every file


def _add_file(tar: tarfile.TarFile, name: str, file: BinaryIO, done: Archived) -> None:
    member = _describe(Path(name), os.fstat(file.fileno()), tarfile.REGTYPE)
    try:
        tar.addfile(member, file)
    except OSError as error:
        if error.errno is None:  # tarfile's own
            raise ArchiveError(f"{name} became shorter while it was read") from None
        raise
    done.files += 1


def _describe(path: Path, status: os.stat_result, kind: bytes) -> tarfile.TarInfo:
    """Without the owner: who restores it owns it."""
    member = tarfile.TarInfo(str(path))
    member.type = kind
    member.size = status.st_size if kind == tarfile.REGTYPE else 0
    member.mode = stat.S_IMODE(status.st_mode)
    member.mtime = status.st_mtime
    return member


def _walk(source: Path, without: Sequence[Path]) -> Iterator[tuple[Path, list[str], int]]:
    """Folders with the names in them, sorted, and a descriptor of the folder. Links are not followed."""
    for parent, folders, names, place in os.fwalk(source, follow_symlinks=False):
        folder = Path(parent)
        linked = [name for name in folders if stat.S_ISLNK(os.stat(name, dir_fd=place, follow_symlinks=False).st_mode)]
        folders[:] = sorted(name for name in folders if name not in linked and folder / name not in without)
        own = folder == source / OWN_FOLDER  # when the record begins is this root's own matter; its entries go along
        found = () if own else (*names, *linked)
        yield folder, sorted(name for name in found if name != MARKER and not is_draft(name)), place
