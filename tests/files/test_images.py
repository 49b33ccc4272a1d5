"""What image-process makes of good images, looked at pixel by pixel."""

import hashlib
import io
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from google.protobuf.json_format import ParseDict
from PIL import Image, ImageSequence
from qcollector.jobs.v1.file_pb2 import FileImageProcess, FileImageProcessResult

from base.storage import StorageRoots
from families.files import handlers as file
from families.files.pictures import ENDINGS
from families.files.scanning import Scanner
from tests.files.conftest import drafts_in, drawing, encoded, metadata_in, near, png, swapped_profile
from tests.mail.recording import RecordingJob

Write = Callable[..., Path]
Process = Callable[..., Awaitable[FileImageProcessResult]]
KINDS = {ending: kind for kind, endings in ENDINGS.items() for ending in endings}
RED, BLUE = (220, 20, 20), (20, 20, 220)


@pytest.fixture
def process(job: RecordingJob, roots: StorageRoots, no_scanner: Scanner) -> Process:
    async def run(path: Path, output_dir: str = "", **options: object) -> FileImageProcessResult:
        payload = FileImageProcess(file_path=str(path), output_dir=output_dir)
        ParseDict(options, payload.options)
        return await file.image_process(payload, job, roots, no_scanner)

    return run


def opened(path: str) -> Image.Image:
    """The image, with all its frames to be looked at."""
    return Image.open(io.BytesIO(Path(path).read_bytes()))


async def test_a_photo_becomes_the_documented_outputs(process: Process, picture: Write, job: RecordingJob) -> None:
    path = picture("photo.jpg", (1200, 800), quality=98)
    result = await process(path)
    assert result.success
    assert result.original_file == str(path)
    folder = path.parent / "processed"
    assert dict(result.results) == {
        "thumbnail_small": str(folder / "thumbnail_small_photo.jpg"),
        "thumbnail_medium": str(folder / "thumbnail_medium_photo.jpg"),
        "thumbnail_large": str(folder / "thumbnail_large_photo.jpg"),
        "optimized": str(folder / "optimized_photo.jpg"),
        "webp": str(folder / "photo.webp"),
    }
    metadata = result.metadata
    assert (metadata.format, metadata.width, metadata.height, metadata.frames) == ("jpeg", 1200, 800, 1)
    assert not metadata.has_alpha
    assert metadata.size == path.stat().st_size
    sizes = {"thumbnail_small": (150, 100), "thumbnail_medium": (300, 200), "thumbnail_large": (600, 400)}
    for output, place in result.results.items():
        image, told = opened(place), result.files[output]
        assert image.format == ("WEBP" if output == "webp" else "JPEG")
        assert image.size == (told.width, told.height) == sizes.get(output, (1200, 800))
        assert near(image, (0.2, 0.2), RED)
        assert near(image, (0.8, 0.8), BLUE)
        content = Path(place).read_bytes()
        assert (told.size, told.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert result.files["optimized"].size < metadata.size
    assert not result.skipped
    assert not result.HasField("scan")
    assert result.processing_time_ms > 0
    assert job.percents[0] == 10
    assert job.percents == sorted(job.percents)
    assert {10, 20, 30, 40, 70, 80, 90} <= set(job.percents)
    assert drafts_in(path.parent) == []


async def test_thumbnails_fit_inside_their_boxes_and_are_never_enlarged(process: Process, picture: Write) -> None:
    sizes = [
        {"name": "wide", "width": 400, "height": 100},
        {"name": "tall", "width": 100, "height": 400},
        {"name": "huge", "width": 5000, "height": 5000},
    ]
    path = picture("photo.jpg", (900, 600))
    result = await process(path, generate_webp=False, optimize_original=False, thumbnail_sizes=sizes)
    assert {output: opened(place).size for output, place in result.results.items()} == {
        "thumbnail_wide": (150, 100),
        "thumbnail_tall": (100, 67),
        "thumbnail_huge": (900, 600),
    }


async def test_thumbnails_alone_are_as_good_as_those_of_the_whole_image(process: Process, picture: Write) -> None:
    path = picture("photo.jpg", (2400, 1600))
    await process(path, optimize_original=False, generate_webp=False)
    alone = opened(str(path.parent / "processed/thumbnail_small_photo.jpg"))
    assert alone.size == (150, 100)
    assert near(alone, (0.2, 0.2), RED)
    assert near(alone, (0.8, 0.8), BLUE)


@pytest.mark.parametrize("orientation", range(1, 9))
async def test_orientation_is_applied(process: Process, uploads: Path, orientation: int) -> None:
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    image = drawing((600, 300))
    stored = image.transpose(undo[orientation]) if orientation in undo else image
    exif = Image.Exif()
    exif[274] = orientation
    path = uploads / "turned.jpg"
    stored.save(path, exif=exif, quality=98)
    result = await process(path)
    assert (result.metadata.width, result.metadata.height) == (600, 300)
    for output, place in result.results.items():
        made = opened(place)
        assert made.width == 2 * made.height, output
        assert near(made, (0.2, 0.2), RED), output
        assert near(made, (0.8, 0.8), BLUE), output


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.avif", "a.tiff"])
async def test_metadata_is_removed(process: Process, uploads: Path, name: str) -> None:
    exif = Image.Exif()
    exif[271] = "Camera maker"
    exif[306] = "2025:01:01 10:00:00"
    exif.get_ifd(34853)[1] = "N"
    exif.get_ifd(34853)[2] = (52.0, 31.0, 12.0)
    path = uploads / name
    options = {"comment": b"a comment"} if name.endswith("jpg") else {}
    drawing().save(path, exif=exif, xmp=b"<x:xmpmeta/>", **options)
    assert metadata_in(path)
    result = await process(path, quality=30, webp_quality=30)
    for output, place in result.results.items():
        assert metadata_in(Path(place)) == [], output
        assert b"Camera maker" not in Path(place).read_bytes(), output


async def test_a_profile_is_kept_and_thumbnails_are_in_srgb(process: Process, uploads: Path) -> None:
    profile = swapped_profile()
    for name in ("profiled.jpg", "profiled.png", "profiled.webp", "profiled.tiff", "profiled.avif"):
        path = uploads / name
        drawing().save(path, icc_profile=profile)
        result = await process(path, str(uploads / "made"), quality=40, webp_quality=40)
        for output, place in result.results.items():
            made = opened(place)
            made.load()
            if output.startswith("thumbnail"):
                assert "icc_profile" not in made.info
                assert near(made, (0.2, 0.2), BLUE, 40), (name, output)
            else:
                assert made.info["icc_profile"] == profile, (name, output)
                assert near(made, (0.2, 0.2), RED, 40), (name, output)


async def test_cmyk_becomes_what_browsers_show(process: Process, uploads: Path) -> None:
    path = uploads / "print.jpg"
    drawing().convert("CMYK").save(path, quality=98)
    result = await process(path)
    for output, place in result.results.items():
        assert opened(place).mode == "RGB", output
        assert near(opened(place), (0.2, 0.2), RED, 40), output


async def test_transparency_is_kept(process: Process, uploads: Path) -> None:
    image = drawing().convert("RGBA")
    image.paste((0, 0, 0, 0), (450, 0, 900, 300))
    expected = {"logo.png": ("PNG", ".png"), "logo.webp": ("WEBP", ".webp"), "logo.avif": ("WEBP", ".webp")}
    for name, (kind, ending) in expected.items():
        path = uploads / name
        image.save(path)
        result = await process(path, str(uploads / "made" / name))
        assert result.metadata.has_alpha
        assert result.results["thumbnail_small"].endswith(f"thumbnail_small_logo{ending}")
        for output, place in result.results.items():
            made = opened(place)
            corner = made.convert("RGBA").getpixel((int(made.width * 0.8), int(made.height * 0.2)))
            assert isinstance(corner, tuple)
            assert corner[3] == 0, output
        assert opened(result.results["thumbnail_small"]).format == kind


async def test_an_opaque_png_has_jpeg_thumbnails_that_say_so(process: Process, picture: Write) -> None:
    result = await process(picture("screen.png", mode="RGBA"))
    assert result.results["thumbnail_small"].endswith("/thumbnail_small_screen.jpg")
    assert opened(result.results["thumbnail_small"]).format == "JPEG"
    assert not result.metadata.has_alpha


async def test_an_optimised_copy_is_kept_only_when_it_is_smaller(process: Process, uploads: Path) -> None:
    path = uploads / "small.jpg"
    Image.effect_noise((300, 300), 60).save(path, quality=10)
    result = await process(path, quality=95)
    assert "optimized" not in result.results
    assert "not smaller" in result.skipped["optimized"]
    assert not (path.parent / "processed/optimized_small.jpg").exists()


async def test_an_optimised_png_has_the_same_pixels(process: Process, picture: Write) -> None:
    for mode in ("RGB", "P", "L", "1", "LA"):
        path = picture(f"{mode}.png", mode=mode, compress_level=0)
        result = await process(path)
        made = opened(result.results["optimized"])
        assert made.format == "PNG"
        assert made.convert("RGBA").tobytes() == opened(str(path)).convert("RGBA").tobytes()


@pytest.mark.parametrize("name", ["moving.gif", "moving.webp", "moving.png", "moving.avif"])
async def test_animations_stay_animations(process: Process, uploads: Path, name: str) -> None:
    frames = [drawing((200, 100)).rotate(90 * turn) for turn in range(4)]
    path = uploads / name
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=[100, 200, 300, 400], loop=3)
    result = await process(path, str(uploads / "made"))
    assert result.metadata.frames == 4
    kind = "GIF" if name.endswith("gif") else "WEBP"
    for output, place in result.results.items():
        made = opened(place)
        if output.startswith("thumbnail"):
            assert made.format == kind
        assert getattr(made, "n_frames", 1) == 4, output
        durations = []
        for number, frame in enumerate(ImageSequence.Iterator(made)):
            frame.load()
            durations.append(round(frame.info["duration"]))
            small = frames[number].resize(made.size)
            for place_in in ((0.2, 0.2), (0.8, 0.8)):
                x, y = int(made.width * place_in[0]), int(made.height * place_in[1])
                shown = small.getpixel((x, y))
                assert isinstance(shown, tuple)
                assert near(frame, place_in, shown, 40), (output, number)
        assert durations == [100, 200, 300, 400], output


async def test_a_webp_never_takes_the_place_of_the_original(process: Process, picture: Write) -> None:
    path = picture("photo.webp")
    before = path.read_bytes()
    result = await process(path, str(path.parent))
    assert path.read_bytes() == before
    assert "original's place" in result.skipped["webp"]


async def test_what_an_optimised_copy_would_lose_is_said(process: Process, uploads: Path) -> None:
    pages = uploads / "pages.tiff"
    drawing().save(pages, save_all=True, append_images=[drawing().rotate(180)])
    result = await process(pages)
    assert result.metadata.frames == 1
    assert "has several pages" in result.skipped["optimized"]
    assert near(opened(result.results["webp"]), (0.2, 0.2), RED)
    deep = uploads / "deep.png"
    deep.write_bytes(png(64, 64, depth=16, rows=(b"\0" + b"\xdc\x01\x14\x01\x14\x01" * 64) * 64))
    result = await process(deep)
    assert "has 16 bits a channel" in result.skipped["optimized"]
    assert near(opened(result.results["thumbnail_small"]), (0.5, 0.5), RED)


async def test_sixteen_bits_of_grey_keep_their_shades(process: Process, uploads: Path) -> None:
    path = uploads / "deep.png"
    Image.linear_gradient("L").convert("I").point(lambda value: value * 257).convert("I;16").save(path)
    result = await process(path)
    thumbnail = opened(result.results["thumbnail_large"]).convert("L")
    assert [thumbnail.getpixel((128, y)) for y in (10, 128, 245)] == pytest.approx([10, 128, 245], abs=4)
    assert opened(result.results["optimized"]).mode == "I;16"


@pytest.mark.parametrize(
    ("name", "kind", "copy"),
    [
        ("a.jpg", "PNG", "optimized_a.png"),
        ("a.png", "JPEG", "optimized_a.jpg"),
        ("a.gif", "WEBP", "optimized_a.webp"),
        ("a.tiff", "AVIF", "optimized_a.avif"),
        ("a.JPEG", "JPEG", "optimized_a.JPEG"),
        ("a", "PNG", "optimized_a.png"),
    ],
)
async def test_an_image_is_what_it_holds_whatever_its_name_says(
    process: Process, uploads: Path, name: str, kind: str, copy: str
) -> None:
    path = uploads / name
    path.write_bytes(encoded(drawing(), kind, **({"quality": 100} if kind not in {"PNG", "GIF"} else {})))
    result = await process(path)
    assert result.metadata.format == kind.lower()
    assert {"thumbnail_small", "webp"} <= result.results.keys()
    for place in result.results.values():
        with opened(place) as image:
            assert image.format == KINDS[Path(place).suffix.lower()]
    if "optimized" in result.results:
        assert Path(result.results["optimized"]).name == copy
    else:
        assert "not smaller" in result.skipped["optimized"]


async def test_a_webp_under_another_name_does_not_take_the_place_of_the_original(
    process: Process, uploads: Path
) -> None:
    path = uploads / "a.webp"
    content = encoded(drawing(), "JPEG")
    path.write_bytes(content)
    result = await process(path, str(uploads))
    assert "original's place" in result.skipped["webp"]
    assert path.read_bytes() == content
