"""Writes images: thumbnails, the optimised copy and the WebP. Runs apart from the worker."""

import io
from pathlib import PurePath
from typing import Any, BinaryIO, Final

from PIL import Image, ImageCms

from families.files.pictures import ENDINGS, Picture

WEBP_SIDE: Final = 16_383
"""Pixels that a WebP may have a side."""

_LANCZOS: Final = Image.Resampling.LANCZOS
_GAP: Final = 2.0
"""An image may be shrunk to this many times the wanted size by averages, before it is resampled well."""
_OPTIMIZED: Final[dict[str, dict[str, Any]]] = {
    "JPEG": {"optimize": True},
    "PNG": {"optimize": True},
    "GIF": {"optimize": True},
    "WEBP": {"method": 4},
    "AVIF": {"speed": 6},
    "TIFF": {"compression": "tiff_adobe_deflate"},
}
_PROFILE_SPACES: Final = {b"RGB ": {"RGB", "RGBA", "P"}, b"GRAY": {"L", "LA", "1", "I;16"}}


class CannotEncodeError(Exception):
    """An output that this image cannot have; the message says why."""


def fitted(size: tuple[int, int], box: tuple[int, int]) -> tuple[int, int]:
    """The size that lies inside the box in the same proportions, never larger."""
    scale = min(box[0] / size[0], box[1] / size[1], 1.0)
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def thumbnail_kind(picture: Picture) -> str:
    """The format of its thumbnails."""
    if picture.animated:
        return "GIF" if picture.kind == "GIF" else "WEBP"
    if picture.has_alpha:
        return "WEBP" if picture.kind in {"WEBP", "AVIF"} else "PNG"
    return "JPEG"


def named_as(name: str, kind: str) -> str:
    """The file's name with an ending of that format; its own if that is one."""
    path = PurePath(name)
    return name if path.suffix.lower() in ENDINGS[kind] else f"{path.stem}{ENDINGS[kind][0]}"


class Encoder:
    """Writes one picture in its several forms. Pixels are converted once, the first time they are needed."""

    def __init__(self, picture: Picture, quality: int, webp_quality: int) -> None:
        self._picture = picture
        self._quality = quality
        self._webp_quality = webp_quality
        self._plain: list[Image.Image] | None = None
        self._smaller: list[Image.Image] | None = None

    def thumbnail(self, file: BinaryIO, box: tuple[int, int]) -> tuple[int, int]:
        """Writes a thumbnail; answers its size. The larger boxes go first, as a smaller one is made from a larger."""
        size = fitted((self._picture.width, self._picture.height), box)
        frames = self._plain_frames()
        if self._smaller and min(self._smaller[0].width / size[0], self._smaller[0].height / size[1]) >= _GAP:
            frames = self._smaller
        small = [frame.resize(size, _LANCZOS, reducing_gap=_GAP) for frame in frames]
        self._smaller = small
        kind = thumbnail_kind(self._picture)
        if kind == "JPEG":
            small = [_flat(frame) for frame in small]
        shown, profile = _in_srgb(small, self._profile(small[0]))
        options: dict[str, Any] = {"optimize": True} if kind in {"JPEG", "PNG", "GIF"} else {}
        self._save(file, shown, kind, profile, self._quality, options)
        return size

    def optimized(self, file: BinaryIO) -> None:
        """Writes the picture in its own format.

        Raises:
          CannotEncodeError: it would lose what it has.
        """
        picture = self._picture
        if picture.more_pages:
            raise CannotEncodeError("it has several pages, of which only the first would be kept")
        if picture.deep and picture.kind in {"PNG", "TIFF"}:
            raise CannotEncodeError("it has 16 bits a channel, of which only 8 would be kept")
        lossless = picture.kind in {"PNG", "TIFF", "GIF"}
        frames = picture.frames if lossless else self._plain_frames()
        quality = self._webp_quality if picture.kind == "WEBP" else self._quality
        self._save(file, frames, picture.kind, self._profile(frames[0]), quality, _OPTIMIZED[picture.kind])

    def webp(self, file: BinaryIO) -> None:
        """Writes a WebP.

        Raises:
          CannotEncodeError: it is too large for one.
        """
        if max(self._picture.width, self._picture.height) > WEBP_SIDE:
            raise CannotEncodeError(f"a WebP has at most {WEBP_SIDE:,} pixels a side")
        frames = self._plain_frames()
        self._save(file, frames, "WEBP", self._profile(frames[0]), self._webp_quality, {"method": 4})

    def _save(
        self,
        file: BinaryIO,
        frames: list[Image.Image],
        kind: str,
        profile: bytes | None,
        quality: int,
        options: dict[str, Any],
    ) -> None:
        given = dict(options)
        if kind in {"JPEG", "WEBP", "AVIF"}:
            given["quality"] = quality
        if profile is not None and kind != "GIF":
            given["icc_profile"] = profile
        if len(frames) > 1:
            given |= self._motion(frames, kind)
        frames[0].save(file, kind, **given)

    def _motion(self, frames: list[Image.Image], kind: str) -> dict[str, Any]:
        motion: dict[str, Any] = {"save_all": True, "append_images": frames[1:], "duration": self._picture.durations}
        loop = self._picture.loop
        if kind == "GIF":
            if loop is not None:
                motion["loop"] = loop
            if self._picture.has_alpha:
                motion["disposal"] = 2  # each frame is whole: what was there before must not show through
        elif kind in {"WEBP", "PNG"}:
            motion["loop"] = 1 if loop is None else loop
        return motion

    def _plain_frames(self) -> list[Image.Image]:
        """The frames as every format can have them: grey, RGB or RGBA, eight bits."""
        if self._plain is None:
            picture = self._picture
            self._plain = [_plain(frame, picture.profile) for frame in picture.frames]
            if not picture.has_alpha:
                self._plain = [_flat(frame) for frame in self._plain]
        return self._plain

    def _profile(self, frame: Image.Image) -> bytes | None:
        """The picture's profile if it speaks of such pixels: those of CMYK, for one, were converted."""
        profile = self._picture.profile
        return profile if profile and frame.mode in _PROFILE_SPACES.get(profile[16:20], ()) else None


def _plain(frame: Image.Image, profile: bytes | None) -> Image.Image:
    mode = frame.mode
    if mode == "CMYK":
        return _from_cmyk(frame, profile)
    if mode.startswith("I"):
        return frame.convert("I").point(lambda value: value / 257).convert("L")
    if frame.has_transparency_data:
        return frame if mode == "RGBA" else frame.convert("RGBA")
    if mode in {"L", "RGB"}:
        return frame
    return frame.convert("L" if mode == "1" else "RGB")


def _flat(frame: Image.Image) -> Image.Image:
    """Without its alpha channel, which holds nothing."""
    return frame.convert("RGB") if frame.mode == "RGBA" else frame


def _from_cmyk(frame: Image.Image, profile: bytes | None) -> Image.Image:
    if profile:
        try:
            converted = ImageCms.profileToProfile(
                frame, io.BytesIO(profile), ImageCms.createProfile("sRGB"), outputMode="RGB"
            )
        except ImageCms.PyCMSError:
            converted = None
        if converted is not None:
            converted.info = {}
            return converted
    return frame.convert("RGB")


def _in_srgb(frames: list[Image.Image], profile: bytes | None) -> tuple[list[Image.Image], bytes | None]:
    """Thumbnails say their colours in sRGB, since a profile may be larger than they are; else the profile they need."""
    if profile is None:
        return frames, None
    try:
        source, target = ImageCms.getOpenProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB")
        mode = "RGBA" if frames[0].mode == "RGBA" else "RGB"
        transform = ImageCms.buildTransform(source, target, frames[0].mode, mode)
        converted = [ImageCms.applyTransform(frame, transform) for frame in frames]
    except ImageCms.PyCMSError:
        return frames, profile
    shown = [frame for frame in converted if frame is not None]
    for frame in shown:
        frame.info = {}
    return shown, None
