"""Reads an image, with every check that hostile ones call for. Runs apart from the worker."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from PIL import ExifTags, Image, ImageFile, UnidentifiedImageError

from families.files.sources import FileChangedError, FileRefusedError, Identity, identity, open_source

ENDINGS: Final = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "PNG": (".png", ".apng"),
    "WEBP": (".webp",),
    "GIF": (".gif",),
    "AVIF": (".avif", ".avifs"),
    "TIFF": (".tif", ".tiff"),
}
"""The formats that are taken, and what the names of such files end in."""

_TURNS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What makes an image of each EXIF orientation upright."""
_UPRIGHT_SWAPS: Final = range(5, 9)
_OPAQUE: Final = 255
_FRAME_PIXELS: Final = 5_000
"""The least that a frame of an animation counts for, as each takes time whatever its size."""
_GIF_END: Final = b";"
_DEFAULT_DURATION: Final = 100
"""Milliseconds that browsers show a frame which says nothing of it."""


@dataclass(slots=True)
class Picture:
    """An image, upright, and without metadata."""

    kind: str
    """A key of ENDINGS."""
    width: int
    height: int
    frames: list[Image.Image]
    """One for a still. Smaller than width and height if it was read for thumbnails alone."""
    durations: list[int]
    """Milliseconds, of an animation's frames."""
    loop: int | None
    """How often an animation runs, 0 for ever; None if it does not say."""
    profile: bytes | None
    """Its ICC profile."""
    has_alpha: bool
    """Whether any pixel is not opaque."""
    more_pages: bool
    """Whether it is a TIFF of several pages, of which only the first is read."""
    deep: bool
    """Whether it has more than eight bits a channel that are not kept here."""

    @property
    def animated(self) -> bool:
        return len(self.frames) > 1


def read(path: Path, expected: Identity, max_pixels: int, enough: tuple[int, int] | None) -> Picture:
    """Reads an image as what it holds, whatever its name says.

    A JPEG is decoded only as large as fills the box `enough` twice, if one is given.

    Raises:
      FileChangedError: it is not the file that was scanned.
      FileRefusedError: it is none, is broken, or has more pixels than `max_pixels`.
    """
    name = path.name
    Image.MAX_IMAGE_PIXELS = max_pixels
    with _refusing(name, max_pixels), open_source(path) as file:
        if identity(os.fstat(file.fileno())) != expected:
            raise FileChangedError(f"{name}: was changed while the job was at work")
        image = Image.open(file, formats=tuple(ENDINGS))
        kind = "JPEG" if image.format == "MPO" else str(image.format)
        frames = 1 if kind in {"JPEG", "TIFF"} else getattr(image, "n_frames", 1)  # a TIFF's may take hours to count
        width, height = image.size
        least = _FRAME_PIXELS if frames > 1 else 0
        if max(width * height, least) * frames > max_pixels:
            counted = f" (each counts for at least {least:,})" if width * height < least else ""
            raise FileRefusedError(
                f"{name}: has {width} x {height} pixels in {frames} frames{counted}, together more than "
                f"IMAGE_MAX_PIXELS ({max_pixels:,})"
            )
        if kind == "GIF":
            _check_end(file)
        if enough is not None:
            image.draft(None, (enough[0] * 2, enough[1] * 2))
        return _decode(image, kind, (width, height), frames)


def _check_end(file: BinaryIO) -> None:
    """A GIF that was cut between two frames looks whole to its decoder, but lacks its last byte."""
    place = file.tell()
    file.seek(0)
    last = file.read().rstrip(b"\0")[-1:]
    file.seek(place)
    if last != _GIF_END:
        raise ValueError("the file is truncated")


def _decode(image: ImageFile.ImageFile, kind: str, size: tuple[int, int], frames: int) -> Picture:
    deep = any(";16" in str(tile.args) for tile in image.tile) and not image.mode.startswith("I")
    more_pages = kind == "TIFF" and bool(getattr(image, "is_animated", False))  # one more is enough to know
    loop = image.info.get("loop")
    image.load()
    profile = image.info.get("icc_profile")
    orientation = _orientation(image)
    width, height = reversed(size) if orientation in _UPRIGHT_SWAPS else size
    if kind == "TIFF" and image.size != size:  # its decoder turns by itself
        width, height = image.size
    if frames > 1:
        moments, durations = _frames(image, frames)
    else:
        moments, durations = [image], []
    upright = [_without_metadata(_upright(frame, orientation)) for frame in moments]
    has_alpha = any(_is_translucent(frame) for frame in upright)
    return Picture(kind, width, height, upright, durations, loop, profile, has_alpha, more_pages, deep)


def _frames(image: ImageFile.ImageFile, count: int) -> tuple[list[Image.Image], list[int]]:
    """An animation's frames, each whole, and the milliseconds that each is shown."""
    frames: list[Image.Image] = []
    durations = []
    for number in range(count):
        image.seek(number)
        image.load()
        durations.append(round(image.info.get("duration", 0)) or _DEFAULT_DURATION)
        frames.append(image.convert("RGBA"))
    if not any(_is_translucent(frame) for frame in frames):
        frames = [frame.convert("RGB") for frame in frames]
    return frames, durations


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # noqa: BLE001  (metadata is not worth refusing a picture; its reader raises all sorts)
        return 1


def _upright(image: Image.Image, orientation: int) -> Image.Image:
    turn = _TURNS.get(orientation)
    return image if turn is None else image.transpose(turn)


def _without_metadata(image: Image.Image) -> Image.Image:
    """Keeps of what the encoders would write along only what the pixels mean."""
    transparency = image.info.get("transparency")
    if hasattr(image, "tag_v2"):
        image = image.copy()  # a TIFF's tags do not come along
    image.info = {} if transparency is None else {"transparency": transparency}
    return image


def _is_translucent(image: Image.Image) -> bool:
    if not image.has_transparency_data:
        return False
    if "A" not in image.getbands():  # a colour of the palette, or one of all, stands for nothing
        return True
    return image.getchannel("A").getextrema()[0] != _OPAQUE


@contextmanager
def _refusing(name: str, max_pixels: int) -> Iterator[None]:
    """Whatever a decoder makes of a broken image is a refusal."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            yield
    except (FileChangedError, FileRefusedError, MemoryError):
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise FileRefusedError(f"{name}: has more pixels than IMAGE_MAX_PIXELS ({max_pixels:,})") from None
    except UnidentifiedImageError:
        raise FileRefusedError(
            f"{name}: holds no image that can be read; JPEG, PNG, WebP, GIF, AVIF and TIFF are taken"
        ) from None
    except Exception as error:  # noqa: BLE001  (decoders raise all sorts)
        raise FileRefusedError(f"{name}: is broken: {str(error) or type(error).__name__}") from None
