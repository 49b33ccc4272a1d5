"""Uploaded files of the sample data: real pictures and PDFs, and a few that no row names."""

import hashlib
import io
import os
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Final

from PIL import Image, ImageDraw, ImageOps

from families.database.sample_data.ids import any_id

SIZES: Final = ((800, 600), (600, 800), (1024, 640), (640, 640))
THUMBNAIL: Final = (160, 160)
FORMATS: Final = (("JPEG", ".jpg", "image/jpeg"), ("PNG", ".png", "image/png"), ("WEBP", ".webp", "image/webp"))
PHOTO_NAMES: Final = ("IMG_{:04}", "รูปหน้างาน {}", "Übersicht-{}", "photo ({})")
PAPER_NAMES: Final = ("สัญญา-{}.pdf", "checklist {}.pdf", "Bericht_{:03}.pdf")
COLOURS: Final = ("#f97316", "#0ea5e9", "#22c55e", "#a855f7", "#ef4444", "#1e293b", "#fde68a", "#e2e8f0")
PRINTED: Final = time.gmtime(1_700_000_000)
ORPHANS: Final = 3
ORPHAN_AGE: Final = timedelta(days=45)


@dataclass(frozen=True)
class Upload:
    """A file that somebody uploaded."""

    name: str
    """As it was called where it came from."""
    suffix: str
    mime_type: str
    content: bytes
    thumbnail: bytes | None = None

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


def picture(chance: Random) -> Upload:
    """A drawing in one of several formats, with a small copy of it."""
    image = _draw(chance, chance.choice(SIZES))
    kind, suffix, mime_type = chance.choice(FORMATS)
    small = image.copy()
    small.thumbnail(THUMBNAIL)
    name = chance.choice(PHOTO_NAMES).format(chance.randrange(1, 5000)) + suffix
    return Upload(name, suffix, mime_type, _bytes(image, kind), _bytes(small, "JPEG"))


def paper(chance: Random) -> Upload:
    """A PDF of one or two pages."""
    first, *others = [_draw(chance, (420, 594)) for _ in range(chance.randint(1, 2))]
    content = io.BytesIO()
    first.save(content, "PDF", save_all=True, append_images=others, creationDate=PRINTED, modDate=PRINTED)
    name = chance.choice(PAPER_NAMES).format(chance.randrange(1, 500))
    return Upload(name, ".pdf", "application/pdf", content.getvalue())


class UploadFolder:
    """Where the files go: UPLOAD_DIR, each whole or not at all, and as old as its row says."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def write(self, path: str, content: bytes, when: datetime) -> None:
        place = self._root / path
        place.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        draft = place.with_name(f".{place.name}.part")
        draft.write_bytes(content)
        os.utime(draft, (when.timestamp(), when.timestamp()))
        draft.replace(place)

    def add_orphans(self, chance: Random, until: datetime) -> None:
        """Files that cleanup may find."""
        for _ in range(ORPHANS):
            orphan = picture(chance)
            self.write(f"forms/orphaned/{any_id(chance)}{orphan.suffix}", orphan.content, until - ORPHAN_AGE)


def _draw(chance: Random, size: tuple[int, int]) -> Image.Image:
    """Some shapes on a gradient."""
    dark, light = chance.sample(COLOURS, 2)
    image = ImageOps.colorize(Image.linear_gradient("L").resize(size), dark, light)
    draw = ImageDraw.Draw(image)
    width, height = size
    for _ in range(12):
        x, y, radius = chance.randrange(width), chance.randrange(height), chance.randrange(10, 90)
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=chance.choice(COLOURS))
    draw.text((16, 16), "Q-Collector sample", fill="white", font_size=28)
    return image


def _bytes(image: Image.Image, kind: str) -> bytes:
    content = io.BytesIO()
    image.save(content, kind, quality=85)
    return content.getvalue()
