"""Files that a job reads. Light, as the processes that work for a job import it."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from workers.outcomes import FailForGood


class FileRefusedError(FailForGood):
    """A file that cannot be worked on; the reason names it and says why."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What tells a file, as it is now, from another and from itself after a change."""

    device: int
    inode: int
    size: int
    changed: int
    """Nanoseconds."""


class FileChangedError(Exception):
    """The file is not the one that was looked at before: the job looks again."""


def identity(status: os.stat_result) -> Identity:
    return Identity(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


def open_source(place: Path) -> BinaryIO:
    """Opens a file that `source` answered, without following a link that was put there just now.

    Raises:
      FileRefusedError: it cannot be read.
    """
    try:
        return open(place, "rb", opener=_open_at_once)
    except OSError as error:
        raise FileRefusedError(f"{place.name}: cannot be read: {error.strerror}") from None


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOFOLLOW)
