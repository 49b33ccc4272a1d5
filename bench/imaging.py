"""Processes photographs as a worker does, one after the other."""

import os
import time
from pathlib import Path
from typing import cast

import psutil

from base.output_names import maker
from base.settings import Settings, load
from bench.machine import cpu_seconds, peak_megabytes
from families.files.drafts import Drafts
from families.files.images import THUMBNAILS, Order, process
from families.files.settings import FileSettings
from families.files.sources import identity
from workers.apart import apart
from workers.context import JobContext


class Unwatched:
    """All that the work needs of a job."""

    async def progress(self, percent: float, message: str = "") -> None: ...


async def process_all(folder: Path, outputs: Path) -> dict[str, float]:
    """Seconds and CPU seconds for each of a folder's photographs, and the most memory that their process had."""
    settings = load()
    job = cast("JobContext", Unwatched())
    photos = sorted(folder.glob("in*.jpg"))
    await apart(job, process, order(photos[0], outputs, settings), memory=2**31)  # starts the process, warms it up
    (child,) = psutil.Process().children()
    pids = [os.getpid(), child.pid]
    began, cpu = time.perf_counter(), cpu_seconds(pids)
    for photo in photos:
        await apart(job, process, order(photo, outputs, settings), memory=2**31)
    return {
        "seconds": (time.perf_counter() - began) / len(photos),
        "cpu": (cpu_seconds(pids) - cpu) / len(photos),
        "megabytes": peak_megabytes(child.pid),
    }


def order(photo: Path, outputs: Path, settings: Settings) -> Order:
    """All that the documentation's example asks for, and the large thumbnail."""
    return Order(
        path=photo,
        root=outputs,
        folder=outputs,
        maker=maker("file:process", "bench", str(photo)),
        thumbnails=THUMBNAILS,
        optimize=True,
        webp=True,
        quality=FileSettings.of(settings).image_quality,
        webp_quality=FileSettings.of(settings).webp_quality,
        max_pixels=FileSettings.of(settings).image_max_pixels,
        identity=identity(photo.stat()),
        drafts=Drafts("bench", 1),
    )
