"""Files that a job reads. Light, as the processes that work for a job import it."""

import os
from pathlib import Path
from typing import BinaryIO

from workers.outcomes import FailForGood


class FileRefusedError(FailForGood):
    """A file that cannot be worked on; the reason names it and says why."""


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
