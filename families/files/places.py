"""Where a job's files are: looked at again when it runs, since what is on disk may have changed since it was enqueued."""

import stat
from pathlib import Path

from base.produced import FOLDER_MODE
from base.storage import StoragePathError, StorageRoots
from families.files.sources import FileRefusedError


def source(roots: StorageRoots, path: str) -> Path:
    """The place of a file that is to be read.

    Raises:
      FileRefusedError: it is outside the storage roots, is missing, or is no file.
    """
    try:
        place = roots.resolve(path)
        mode = place.stat().st_mode
    except StoragePathError as error:
        raise FileRefusedError(f"{path}: {error}") from None
    except OSError as error:
        raise FileRefusedError(f"{path}: cannot be read: {error.strerror}") from None
    if not stat.S_ISREG(mode):
        raise FileRefusedError(f"{path}: is {'a folder' if stat.S_ISDIR(mode) else 'not a file'}; name a file")
    return place


def folder(roots: StorageRoots, path: str) -> Path:
    """The place of a folder that is to be written to, made if it is missing.

    Raises:
      FileRefusedError: it is outside the storage roots, or cannot be made.
    """
    try:
        place = roots.resolve(path)
        place.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        return roots.resolve(str(place))
    except StoragePathError as error:
        raise FileRefusedError(f"{path}: {error}") from None
    except OSError as error:
        raise FileRefusedError(f"{path}: cannot be made a folder: {error.strerror}") from None
