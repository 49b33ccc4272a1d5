"""What lies about: temporary files, and what jobs that were killed had not finished."""

from collections.abc import Iterator
from pathlib import Path

from base.storage import StorageRoots
from families.files.deletion import files_in
from families.files.drafts import is_draft


def leftovers(roots: StorageRoots, pattern: str = "*") -> Iterator[Path]:
    """The files in TEMP_DIR whose names match, and unfinished files in all roots. How old they are is not looked at."""
    temp = roots.roots["temp"]
    yield from files_in(temp, pattern)
    for root in roots.roots.values():
        if not root.is_relative_to(temp):
            yield from (path for path in files_in(root, ".*") if is_draft(path.name) and temp not in path.parents)
