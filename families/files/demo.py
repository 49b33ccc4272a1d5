"""The sample jobs of the file family."""

import asyncio
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Final

from PIL import ExifTags, Image
from qcollector.jobs.v1.job_pb2 import Job

from base.settings import load
from stack.demo.gateway import Enqueued, Gateway
from stack.demo.sample import Sample, unless_completed

UPRIGHT: Final = (2400, 3200)
LYING: Final = 8
"""EXIF's word for a camera that was held upright: its picture lies on its side."""
MADE: Final = {"thumbnail_small": 150, "thumbnail_medium": 300, "optimized": max(UPRIGHT), "webp": max(UPRIGHT)}
"""The outputs, and their longer sides in pixels."""


class Photo(Sample):
    """The documentation's own example, on a photo that lies on its side and says where it was taken."""

    title: ClassVar[str] = "Photo"

    async def enqueue(self, gateway: Gateway) -> Enqueued:
        uploads = load().root("upload") / "demo"
        await asyncio.to_thread(_take, uploads / "photo.jpg")
        data = {
            "filePath": str(uploads / "photo.jpg"),
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
        return await _post(gateway, "image-process", data)

    def problems(self, job: Job) -> Sequence[str]:
        results = job.result.file_image_process.results
        found = {output: _longer_side(path) for output, path in results.items()}
        if found != MADE:
            return (*unless_completed(job), f"the outputs and their longer sides are {found}, not {MADE}")
        return unless_completed(job)


class Archive(Sample):
    """Packs what the photo became."""

    title: ClassVar[str] = "Archive"

    async def enqueue(self, gateway: Gateway) -> Enqueued:
        processed = load().root("upload") / "demo" / "processed"
        paths = await asyncio.to_thread(lambda: sorted(map(str, processed.glob("*photo*"))))
        return await _post(gateway, "compress", {"inputFiles": paths, "compressionLevel": 6})

    def problems(self, job: Job) -> Sequence[str]:
        path = job.result.file_compress.archive_path
        packed = zipfile.ZipFile(path).namelist() if path else []
        if len(packed) != len(MADE):
            return (*unless_completed(job), f"the archive holds {packed}, not {len(MADE)} files")
        return unless_completed(job)


async def _post(gateway: Gateway, word: str, data: dict[str, Any]) -> Enqueued:
    answer = await gateway.post("queue/jobs", {"queueName": "file:process", "jobType": word, "data": data})
    return Enqueued(answer["queueName"], answer["jobId"])


def _take(path: Path) -> None:
    """A photo as cameras make them."""
    lying = (UPRIGHT[1], UPRIGHT[0])
    grain = Image.effect_noise(lying, 24)
    image = Image.merge("RGB", [grain, Image.linear_gradient("L").resize(lying), grain])
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = LYING
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitude] = (13.0, 45.0, 0.0)
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, quality=95, exif=exif)


def _longer_side(path: str) -> int:
    with Image.open(path) as image:
        return max(image.size)


SAMPLES: Final[Sequence[Sample]] = (Photo(), Archive())
