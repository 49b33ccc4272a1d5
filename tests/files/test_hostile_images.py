"""Images that are meant to harm, or are none: each is refused with its reason, before it costs anything."""

import asyncio
import io
import struct
import time
import zlib
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from PIL import Image
from qcollector.jobs.v1.file_pb2 import FileImageProcess, FileImageProcessResult

from base.settings import Settings
from base.storage import StorageRoots
from families.files import handlers as file
from families.files.scanning import Scanner
from families.files.sources import FileChangedError, FileRefusedError
from tests.files.conftest import drawing, encoded, png
from tests.mail.recording import RecordingJob
from workers.outcomes import FailForGood

Process = Callable[..., Awaitable[FileImageProcessResult]]


@pytest.fixture
def process(job: RecordingJob, roots: StorageRoots, no_scanner: Scanner) -> Process:
    async def run(path: Path | str, output_dir: str = "") -> FileImageProcessResult:
        payload = FileImageProcess(file_path=str(path), output_dir=output_dir)
        return await file.image_process(payload, job, roots, no_scanner)

    return run


def png_of(width: int, height: int) -> bytes:
    """A PNG whose header promises that size, and whose pixels are zeros."""
    return png(width, height, depth=8, rows=bytes(1_000_000))


def jpeg_of(width: int, height: int) -> bytes:
    content = encoded(drawing((64, 64)), "JPEG")
    place = content.index(b"\xff\xc0") + 5
    return content[:place] + struct.pack(">HH", height, width) + content[place + 4 :]


def gif_of(width: int, height: int) -> bytes:
    content = encoded(drawing((64, 64)), "GIF")
    return content[:6] + struct.pack("<HH", width, height) + content[10:]


def webp_of(width: int, height: int) -> bytes:
    canvas = struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
    body = b"WEBPVP8X" + struct.pack("<I", 10) + b"\x02\0\0\0" + canvas + b"ANIM" + struct.pack("<I", 6) + bytes(6)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def tiff_of(width: int, height: int) -> bytes:
    content = bytearray(encoded(Image.new("L", (64, 64)), "TIFF"))
    (place,) = struct.unpack_from("<I", content, 4)
    (entries,) = struct.unpack_from("<H", content, place)
    for number in range(entries):
        entry = place + 2 + 12 * number
        tag = struct.unpack_from("<H", content, entry)[0]
        if tag in {256, 257}:
            struct.pack_into("<HII", content, entry + 2, 4, 1, width if tag == 256 else height)
    return bytes(content)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.png", png_of(50_000, 50_000)),
        ("b.png", png_of(2**31 - 1, 2**31 - 1)),
        ("a.jpg", jpeg_of(65_500, 65_500)),
        ("a.gif", gif_of(65_535, 65_535)),
        ("a.webp", webp_of(16_384, 16_384)),
        ("a.tiff", tiff_of(100_000, 100_000)),
    ],
)
async def test_a_bomb_is_refused_before_it_is_decoded(
    process: Process, uploads: Path, name: str, content: bytes
) -> None:
    path = uploads / name
    path.write_bytes(content)
    began = time.monotonic()
    with pytest.raises(FileRefusedError, match=rf"{name}: has .*IMAGE_MAX_PIXELS \(100,000,000\)"):
        await process(path)
    assert time.monotonic() - began < 10


async def test_an_animation_counts_all_its_frames(
    uploads: Path, settings: Settings, roots: StorageRoots, no_scanner: Scanner
) -> None:
    frames = [drawing((100, 100)).rotate(turn) for turn in range(20)]
    path = uploads / "long.gif"
    frames[0].save(path, save_all=True, append_images=frames[1:])
    job = RecordingJob(settings.model_copy(update={"image_max_pixels": 199_999}))
    with pytest.raises(FileRefusedError, match="100 x 100 pixels in 20 frames, together more than IMAGE_MAX_PIXELS"):
        await file.image_process(FileImageProcess(file_path=str(path)), job, roots, no_scanner)


async def test_a_file_of_a_million_tiny_frames_is_refused(process: Process, uploads: Path) -> None:
    content = encoded(Image.new("P", (1, 1)), "GIF")
    start = content.index(b",", 13)
    (uploads / "long.gif").write_bytes(content[:start] + content[start:-1] * 20_001 + b";")
    told = r"1 x 1 pixels in 20001 frames \(each counts for at least 5,000\), together more than IMAGE_MAX_PIXELS"
    with pytest.raises(FileRefusedError, match=told):
        await process(uploads / "long.gif")


async def test_the_pages_of_a_tiff_are_not_counted(process: Process, uploads: Path) -> None:
    content = bytearray(encoded(Image.new("L", (4, 4)), "TIFF"))
    (first,) = struct.unpack_from("<I", content, 4)
    (entries,) = struct.unpack_from("<H", content, first)
    following = first + 2 + 12 * entries
    directory = bytes(content[first:following])
    for _ in range(60_000):  # each leads to the next
        struct.pack_into("<I", content, following, len(content))
        following = len(content) + len(directory)
        content += directory + bytes(4)
    path = uploads / "a.tiff"
    path.write_bytes(content)
    async with asyncio.timeout(60):
        result = await process(path)
    assert "several pages" in result.skipped["optimized"]


async def test_work_that_wants_more_memory_than_it_may_have_ends_alone(
    picture: Callable[..., Path],
    job: RecordingJob,
    roots: StorageRoots,
    no_scanner: Scanner,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(file, "_IMAGE_MEMORY", 1024 * 1024)
    monkeypatch.setattr(file, "_PIXEL_BYTES", 0)
    path = picture("photo.png", (5000, 4000))
    with pytest.raises(FailForGood, match=r"photo\.png: needs more than 1 MB of memory"):
        await file.image_process(FileImageProcess(file_path=str(path)), job, roots, no_scanner)
    assert list((path.parent / "processed").iterdir()) == []


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp", "gif", "avif", "tiff"])
async def test_a_truncated_image_is_refused(process: Process, uploads: Path, kind: str) -> None:
    whole = encoded(drawing(), kind)
    path = uploads / f"cut.{kind}"
    for share in (0.02, 0.5, 0.9):
        path.write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(FileRefusedError, match=rf"cut\.{kind}: (is broken|holds no image)"):
            await process(path)
    assert not (uploads / "processed").exists() or list((uploads / "processed").iterdir()) == []


async def test_a_truncated_animation_is_refused(process: Process, uploads: Path) -> None:
    frames = [drawing((100, 100)).rotate(turn) for turn in range(0, 90, 10)]
    for kind in ("gif", "webp", "png"):
        whole = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
        path = uploads / f"cut.{kind}"
        path.write_bytes(whole[: int(len(whole) * 0.7)])
        with pytest.raises(FileRefusedError, match=rf"cut\.{kind}: (is broken|holds no image)"):
            await process(path)


@pytest.mark.parametrize(
    "content",
    [
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"<html><script>alert(1)</script></html>",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        b"\xff\xd8\xff",
        b"GIF89a",
        b"MZ\x90\x00" * 100,
        bytes(1000),
        encoded(drawing(), "BMP"),
        encoded(drawing(), "PDF"),
    ],
)
async def test_what_is_no_image_is_refused_whatever_its_name(process: Process, uploads: Path, content: bytes) -> None:
    path = uploads / "photo.jpg"
    path.write_bytes(content)
    with pytest.raises(FileRefusedError, match=r"photo\.jpg: (holds no image|is broken)"):
        await process(path)


async def test_a_gif_that_was_cut_between_two_frames_is_refused(process: Process, uploads: Path) -> None:
    frames = [drawing((100, 100)).rotate(turn) for turn in (0, 90)]
    path = uploads / "cut.gif"
    path.write_bytes(encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])[:-1])
    with pytest.raises(FileRefusedError, match=r"cut\.gif: is broken: the file is truncated"):
        await process(path)


async def test_an_empty_file_is_refused(process: Process, uploads: Path) -> None:
    path = uploads / "photo.jpg"
    path.touch()
    with pytest.raises(FileRefusedError, match=r"photo\.jpg: is empty"):
        await process(path)


async def test_text_that_unpacks_to_much_is_refused(process: Process, uploads: Path) -> None:
    info = zlib.compress(b"x" * 100_000_000, 9)
    content = encoded(drawing(), "PNG")
    text = b"zTXt" + b"Comment\0\0" + info
    chunk = struct.pack(">I", len(text) - 4) + text + struct.pack(">I", zlib.crc32(text))
    path = uploads / "text.png"
    path.write_bytes(content[:33] + chunk + content[33:])
    with pytest.raises(FileRefusedError, match=r"text\.png: is broken"):
        await process(path)


async def test_broken_metadata_does_not_keep_an_image_from_being_processed(process: Process, uploads: Path) -> None:
    path = uploads / "odd.jpg"
    drawing().save(path, exif=b"Exif\0\0MM\0*\xff\xff\xff\xff", icc_profile=b"no profile at all" * 20)
    result = await process(path)
    for place in result.results.values():
        with Image.open(io.BytesIO(Path(place).read_bytes())) as image:
            image.load()
            assert "icc_profile" not in image.info


async def test_nothing_is_read_or_written_outside_the_roots(
    process: Process, uploads: Path, picture: Callable[..., Path]
) -> None:
    inside = picture("photo.jpg")
    outside = uploads.parent.parent / "outside"
    outside.mkdir()
    (outside / "secret.jpg").write_bytes(inside.read_bytes())
    (uploads / "link.jpg").symlink_to(outside / "secret.jpg")
    (uploads / "folder").symlink_to(outside)
    for path in ("link.jpg", "folder/secret.jpg", "../../outside/secret.jpg"):
        with pytest.raises(FileRefusedError, match="outside the storage roots"):
            await process(uploads / path)
    for folder in (uploads / "folder", uploads / "folder/made", outside, uploads / "../../made"):
        with pytest.raises(FileRefusedError, match="outside the storage roots"):
            await process(inside, str(folder))
    assert [path.name for path in outside.iterdir()] == ["secret.jpg"]


async def test_an_output_replaces_a_link_and_does_not_write_through_it(
    process: Process, uploads: Path, picture: Callable[..., Path]
) -> None:
    outside = uploads.parent.parent / "outside.jpg"
    outside.write_text("mine")
    (uploads / "processed").mkdir()
    (uploads / "processed/thumbnail_small_photo.jpg").symlink_to(outside)
    result = await process(picture("photo.jpg"))
    assert outside.read_text() == "mine"
    assert not Path(result.results["thumbnail_small"]).is_symlink()


async def test_an_image_that_was_changed_after_its_scan_is_not_worked_on(
    settings: Settings, roots: StorageRoots, picture: Callable[..., Path], job: RecordingJob
) -> None:
    path = picture("photo.jpg")

    class Swapping(Scanner):
        async def admit(self, path: Path) -> None:
            path.write_bytes(encoded(drawing((300, 300)), "JPEG"))

    with pytest.raises(FileChangedError, match=r"photo\.jpg: was changed"):
        await file.image_process(FileImageProcess(file_path=str(path)), job, roots, Swapping(settings))
    assert list((path.parent / "processed").iterdir()) == []


async def test_a_name_that_is_too_long_for_outputs_is_refused(process: Process, picture: Callable[..., Path]) -> None:
    path = picture(f"{'n' * 246}.jpg")
    with pytest.raises(FileRefusedError, match="is too long for a file's name"):
        await process(path)
    assert list((path.parent / "processed").iterdir()) == []


async def test_a_pipe_in_place_of_an_image_keeps_no_worker_waiting(process: Process, uploads: Path) -> None:
    import os  # noqa: PLC0415

    os.mkfifo(uploads / "pipe.jpg")
    with pytest.raises(FileRefusedError, match="not a file"):
        await process(uploads / "pipe.jpg")
