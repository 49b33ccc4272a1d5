"""Which e-mail templates there are: each is `NAME.html.j2`, `NAME.txt.j2` or both, in a folder.

Those of EMAIL_TEMPLATES_DIR come before the project's own, which are there in any case.
"""

import re
from pathlib import Path
from typing import Final

from base.settings import PROJECT

OWN_FOLDER: Final = PROJECT / "templates" / "email"
SUFFIXES: Final = (".html.j2", ".txt.j2")

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,99}")  # a longer one is no name of a file


def template_names(*folders: Path) -> tuple[str, ...]:
    """All names, sorted. Files that begin with an underscore are parts of others; a folder that is missing has none."""
    names = {file.removesuffix(suffix) for file in _files(folders) for suffix in SUFFIXES if file.endswith(suffix)}
    return tuple(sorted(name for name in names if _NAME.fullmatch(name)))


def template_exists(name: str, *folders: Path) -> bool:
    """Whether there is a template of that name in any of the folders."""
    files = (folder / f"{name}{suffix}" for folder in folders for suffix in SUFFIXES)
    return _NAME.fullmatch(name) is not None and any(file.is_file() for file in files)


def _files(folders: tuple[Path, ...]) -> list[str]:
    found: list[str] = []
    for folder in folders:
        try:
            found += [entry.name for entry in folder.iterdir()]
        except OSError:
            continue
    return found
