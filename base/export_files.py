"""Where the files of exports lie: within EXPORT_DIR, apart from a folder in it that the service keeps for itself."""

from pathlib import Path
from typing import Final

from base.storage import StoragePathError, StorageRoots

OWN_FOLDER: Final = ".exports"
"""Below EXPORT_DIR: files in the making, and what is known of those that were made."""


def export_place(roots: StorageRoots, path: str) -> Path:
    """The absolute place of an export's file; a relative path begins at DATA_DIR.

    Raises:
      StoragePathError: the place is not one for exports.
    """
    place = roots.resolve(path)
    root = roots.roots["export"]
    if not place.is_relative_to(root) or place == root:
        raise StoragePathError("the path does not name a file within EXPORT_DIR; exports go nowhere else")
    if place.is_relative_to(root / OWN_FOLDER):
        raise StoragePathError(f"the folder {OWN_FOLDER} is the service's own; name another one")
    if place.is_dir():
        raise StoragePathError("the path names a folder; name a file")
    return place
