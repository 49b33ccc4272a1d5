"""Where the files of exports lie: within EXPORT_DIR."""

from pathlib import Path

from base.storage import StoragePathError, StorageRoots


def export_place(roots: StorageRoots, path: str) -> Path:
    """The absolute place of an export's file; a relative path begins at DATA_DIR.

    Raises:
      StoragePathError: the place is not one for exports.
    """
    place = roots.resolve(path)
    root = roots.roots["export"]
    if not place.is_relative_to(root) or place == root:
        raise StoragePathError("the path does not name a file within EXPORT_DIR; exports go nowhere else")
    if place.is_dir():
        raise StoragePathError("the path names a folder; name a file")
    return place
