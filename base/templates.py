"""Which e-mail templates there are: each is `NAME.html.j2`, `NAME.txt.j2` or both, in one folder."""

import re
from pathlib import Path
from typing import Final

SUFFIXES: Final = (".html.j2", ".txt.j2")

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]*")


def template_names(folder: Path) -> tuple[str, ...]:
    """All names, sorted. Files that begin with an underscore are parts of others; a folder that is missing has none."""
    try:
        files = [entry.name for entry in folder.iterdir()]
    except OSError:
        return ()
    names = {file.removesuffix(suffix) for file in files for suffix in SUFFIXES if file.endswith(suffix)}
    return tuple(sorted(name for name in names if _NAME.fullmatch(name)))


def template_exists(folder: Path, name: str) -> bool:
    """Whether there is a template of that name."""
    return _NAME.fullmatch(name) is not None and any((folder / f"{name}{suffix}").is_file() for suffix in SUFFIXES)
