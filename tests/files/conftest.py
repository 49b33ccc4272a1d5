"""Storage roots with pictures in them, and what a worker provides to handlers of the file family."""

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageCms, ImageDraw

from base.settings import Settings
from base.storage import StorageRoots
from families.files.drafts import is_draft
from families.files.scanning import Scanner
from tests.mail.recording import RecordingJob


@pytest.fixture
def roots(settings: Settings) -> StorageRoots:
    prepared = StorageRoots(settings)
    prepared.prepare()
    return prepared


@pytest.fixture
def uploads(roots: StorageRoots) -> Path:
    return roots.roots["upload"]


@pytest.fixture
def job(settings: Settings, roots: StorageRoots) -> RecordingJob:
    return RecordingJob(settings, queue="file:process", job_type="image-process")


@pytest.fixture
def no_scanner(settings: Settings) -> Scanner:
    return Scanner(settings)


@pytest.fixture
def picture(uploads: Path) -> Callable[..., Path]:
    """Writes a picture into UPLOAD_DIR; the format is that of its name's ending."""

    def write(name: str, size: tuple[int, int] = (900, 600), mode: str = "RGB", **options: Any) -> Path:
        path = uploads / name
        drawing(size).convert(mode).save(path, **options)
        return path

    return write


def drawing(size: tuple[int, int] = (900, 600)) -> Image.Image:
    """A red quarter at the top left, a blue one at the bottom right, on a gradient."""
    image = Image.merge("RGB", [Image.linear_gradient("L").resize(size)] * 3)
    width, height = size
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, width // 2, height // 2), fill=(220, 20, 20))
    draw.rectangle((width // 2, height // 2, width, height), fill=(20, 20, 220))
    return image


def near(image: Image.Image, place: tuple[float, float], colour: tuple[int, int, int], tolerance: int = 24) -> bool:
    """Whether the pixel at that share of width and height is about of that colour."""
    found = image.convert("RGB").getpixel((int(image.width * place[0]), int(image.height * place[1])))
    assert isinstance(found, tuple)
    return all(abs(a - b) <= tolerance for a, b in zip(found, colour, strict=True))


def metadata_in(path: Path) -> list[str]:
    """What a file tells besides its pixels."""
    with Image.open(path) as image:
        image.load()
        found = [
            str(key) for key in ("exif", "xmp", "comment", "XML:com.adobe.xmp", "photoshop") if image.info.get(key)
        ]
        tags = dict(image.getexif())
        # What a TIFF says of its own layout.
        private = {
            key: value for key, value in tags.items() if key in {270, 271, 272, 274, 305, 306, 315, 34665, 34853}
        }
        return [*found, *map(str, private)]


def drafts_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if is_draft(path.name)]


def swapped_profile() -> bytes:
    """The ICC profile of a colour space in which red is called blue, and blue red."""
    content = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    places = {bytes(content[at : at + 4]): at for at in range(132, 132 + 12 * content[131], 12)}
    content[places[b"rXYZ"] : places[b"rXYZ"] + 4] = b"bXYZ"
    content[places[b"bXYZ"] : places[b"bXYZ"] + 4] = b"rXYZ"
    return bytes(content)


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    content = io.BytesIO()
    image.save(content, kind, **options)
    return content.getvalue()


def png(width: int, height: int, *, depth: int, rows: bytes) -> bytes:
    """An RGB image as no library writes it."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, depth, 2, 0, 0, 0)
    parts = chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows, 9)), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)
