"""The documentation's own examples, as REST callers send them, down to what is on disk afterwards."""

import os
import time
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.message import Message
from PIL import Image

from base.settings import Settings
from base.storage import StorageRoots
from contract.catalog import Catalog
from contract.checking import check_payload
from contract.decoding import decode_data
from contract.errors import RequestInvalidError
from families.database.connection import open_database
from families.files import handlers as file
from families.files.scanning import Scanner
from tests.mail.recording import RecordingJob

Admit = Callable[[str, str, Mapping[str, Any]], Message]


@pytest.fixture
def admit(catalog: Catalog, settings: Settings) -> Admit:
    """What becomes of `data` at enqueue."""

    def admit(queue: str, word: str, data: Mapping[str, Any]) -> Message:
        job_type = catalog.type(queue, word)
        payload = decode_data(job_type, data)
        check_payload(job_type, payload, settings, "data")
        return payload

    return admit


async def test_image_processing(
    admit: Admit,
    picture: Callable[..., Path],
    uploads: Path,
    job: RecordingJob,
    roots: StorageRoots,
    no_scanner: Scanner,
) -> None:
    data = {
        "filePath": str(picture("photo.jpg", quality=98)),
        "outputDir": str(uploads / "processed"),
        "options": {
            "generateThumbnails": True,
            "thumbnailSizes": [
                {"name": "small", "width": 150, "height": 150},
                {"name": "medium", "width": 300, "height": 300},
            ],
            "optimizeOriginal": True,
            "generateWebP": True,
            "quality": 85,
        },
    }
    payload = admit("file:process", "image-process", data)
    result = await file.image_process(payload, job, roots, no_scanner)
    assert {Path(path).name for path in result.results.values()} == {
        *("thumbnail_small_photo.jpg", "thumbnail_medium_photo.jpg", "optimized_photo.jpg", "photo.webp"),
    }
    with Image.open(result.results["thumbnail_small"]) as thumbnail:
        assert thumbnail.size == (150, 100)


async def test_file_cleanup(
    admit: Admit, uploads: Path, job: RecordingJob, roots: StorageRoots, settings: Settings
) -> None:
    day = 24 * 60 * 60
    old, young = uploads / "file1.jpg", uploads / "file2.png"
    for path, age in ((old, 2 * day), (young, day / 2)):
        path.touch()
        os.utime(path, (time.time() - age,) * 2)
    payload = admit("file:cleanup", "cleanup", {"files": [str(old), str(young)], "olderThan": day * 1000})
    result = await file.cleanup(payload, job, roots, open_database(settings))
    assert (result.deleted, result.skipped) == (1, 1)
    assert (old.exists(), young.exists()) == (False, True)


async def test_file_compression(admit: Admit, uploads: Path, job: RecordingJob, roots: StorageRoots) -> None:
    paths = [uploads / "file1.txt", uploads / "file2.pdf"]
    for path in paths:
        path.write_text(path.name)
    data = {"inputFiles": list(map(str, paths)), "outputDir": str(uploads / "archives"), "compressionLevel": 6}
    result = await file.compress(admit("file:process", "compress", data), job, roots)
    with zipfile.ZipFile(result.archive_path) as archive:
        assert archive.namelist() == ["file1.txt", "file2.pdf"]


@pytest.mark.parametrize(
    ("word", "data", "field"),
    [
        ("image-process", {"filePath": "/etc/passwd"}, "data.filePath"),
        ("image-process", {"filePath": "uploads/../../etc/passwd"}, "data.filePath"),
        ("image-process", {"filePath": "uploads/a.jpg", "outputDir": "/tmp"}, "data.outputDir"),
        ("image-process", {"filePath": ""}, "data.filePath"),
        ("image-process", {"filePath": "x" * 10_000_000}, "data.filePath"),
        ("image-process", {"filePath": "uploads/a.jpg", "success": True}, "data.success"),
        ("image-process", {"filePath": "uploads/a.jpg", "options": {"quality": 101}}, "data.options.quality"),
        ("image-process", {"filePath": "uploads/a.jpg", "options": {"webpQuality": -1}}, "data.options.webpQuality"),
        (
            "image-process",
            {
                "filePath": "uploads/a.jpg",
                "options": {"thumbnailSizes": [{"name": "../../x", "width": 1, "height": 1}]},
            },
            "data.options.thumbnailSizes[0].name",
        ),
        (
            "image-process",
            {
                "filePath": "uploads/a.jpg",
                "options": {"thumbnailSizes": [{"name": "x", "width": 1, "height": 1}] * 2},
            },
            "data.options.thumbnailSizes",
        ),
        ("compress", {"inputFiles": []}, "data.inputFiles"),
        ("compress", {"inputFiles": ["uploads/a", "/etc/shadow"]}, "data.inputFiles[1]"),
        ("compress", {"inputFiles": ["uploads/a"], "compressionLevel": 10}, "data.compressionLevel"),
        ("virus-scan", {"filePath": "uploads/\x00"}, "data.filePath"),
    ],
)
def test_what_cannot_be_done_is_refused_at_enqueue(
    admit: Admit, roots: StorageRoots, word: str, data: Mapping[str, Any], field: str
) -> None:
    with pytest.raises(RequestInvalidError) as refused:
        admit("file:process", word, data)
    assert {problem.field for problem in refused.value.problems} == {field}


@pytest.mark.parametrize("age", [-1, float("nan"), float("inf")])
def test_an_age_is_a_number(admit: Admit, roots: StorageRoots, age: float) -> None:
    with pytest.raises(RequestInvalidError):
        admit("file:cleanup", "cleanup", {"files": ["uploads/a"], "olderThan": age})
