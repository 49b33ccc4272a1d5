"""The files that Envoy answers by itself: the board, where it is built, and the description of the API."""

import gzip
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import qcollector

from base.settings import Settings

API_PATH: Final = "/api/openapi.json"
HASHED: Final = "assets"
"""The folder of the board whose files have a hash of their content in their names."""
KEPT_FOR_GOOD: Final = "public, max-age=31536000, immutable"
ASKED_AFTER: Final = "no-cache"
TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".map": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}
COMPRESSED_ALREADY: Final = frozenset({".png", ".woff2"})
WORTH_PACKING: Final = 1024


@dataclass(frozen=True)
class ServedFile:
    """One file, under one path."""

    path: str
    file: str
    packed: str
    """The same compressed by gzip. Empty where that is not worth it."""
    size: int
    content_type: str
    cache_control: str
    is_board: bool


def lay_out(settings: Settings, folder: Path) -> list[ServedFile]:
    """Copies all that is to be served into `folder`: a build that comes later cannot pull it away from a starting Envoy."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    copies = _Copies(folder)
    served = [copies.add(API_PATH, _api_description(), ASKED_AFTER)]
    if settings.board_enabled:
        for file in _board(settings.board_dir):
            name = file.relative_to(settings.board_dir)
            cache_control = KEPT_FOR_GOOD if name.parts[0] == HASHED else ASKED_AFTER
            path = "/" if name == Path("index.html") else f"/{name.as_posix()}"
            served.append(copies.add(path, file, cache_control, is_board=True))
    return served


def has_board(settings: Settings) -> bool:
    """Whether Envoy finds a board to serve."""
    return settings.board_enabled and (settings.board_dir / "index.html").is_file()


def _board(folder: Path) -> Iterator[Path]:
    for file in sorted(folder.rglob("*")):
        if file.is_file() and not any(part.startswith(".") for part in file.relative_to(folder).parts):
            yield file


def _api_description() -> Path:
    """It lies beside the code that is generated from the same contract."""
    return Path(next(iter(qcollector.__path__))) / "openapi.json"


class _Copies:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._number = 0

    def add(self, path: str, source: Path, cache_control: str, *, is_board: bool = False) -> ServedFile:
        content = source.read_bytes()
        plain = self._write(content)
        packed = b"" if source.suffix in COMPRESSED_ALREADY else gzip.compress(content, mtime=0)
        saves = len(content) >= WORTH_PACKING and 0 < len(packed) < len(content)
        return ServedFile(
            path=path,
            file=plain,
            packed=self._write(packed) if saves else "",
            size=len(content),
            content_type=TYPES.get(source.suffix, "application/octet-stream"),
            cache_control=cache_control,
            is_board=is_board,
        )

    def _write(self, content: bytes) -> str:
        self._number += 1
        copy = self._folder / str(self._number)
        copy.write_bytes(content)
        return str(copy)
