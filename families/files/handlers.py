"""The file family: images, archives, virus scans and cleanup."""

import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Final

import anyio
from qcollector.jobs.v1.file_pb2 import (
    FileCleanup,
    FileCleanupError,
    FileCleanupResult,
    FileCompress,
    FileCompressResult,
    FileImageMetadata,
    FileImageProcess,
    FileImageProcessResult,
    FileOutput,
    FileScan,
    FileVirusScan,
    FileVirusScanResult,
)
from sqlalchemy.ext.asyncio import AsyncEngine
from taskiq import TaskiqDepends

from base.output_names import maker
from base.resources import provides
from base.settings import Settings
from base.storage import StorageRoots
from families.database.resources import database
from families.files import images, places
from families.files.archive import ARCHIVES, Packing, archive_name, pack
from families.files.cleaning import clean_named, clean_up
from families.files.drafts import Drafts
from families.files.scanning import Scanner, quarantine, quarantine_place, scanner
from families.files.settings import FileSettings
from families.files.sources import Identity, identity
from workers.apart import apart
from workers.context import JobContext
from workers.handlers import handles
from workers.outcomes import FailForGood

PROCESSED: Final = "processed"
"""The folder beside an image where outputs go whose place is not said."""
LEVEL: Final = 6

_ARCHIVE_MEMORY: Final = 256 * 1024 * 1024
_IMAGE_MEMORY: Final = 512 * 1024 * 1024
_PIXEL_BYTES: Final = 16
"""Bytes of memory for each pixel: four for it, as many for it turned upright, and what encoders make of it."""


@provides(StorageRoots)
async def storage(settings: Settings, store: Any) -> AsyncIterator[StorageRoots]:  # noqa: ARG001  (a resource's signature)
    """The worker's storage roots."""
    yield StorageRoots(settings)


Roots = Annotated[StorageRoots, TaskiqDepends(storage)]
Scans = Annotated[Scanner, TaskiqDepends(scanner)]
Database = Annotated[AsyncEngine, TaskiqDepends(database)]


@handles(FileImageProcess)
async def image_process(
    payload: FileImageProcess, job: JobContext, roots: Roots, scans: Scans
) -> FileImageProcessResult:
    began = time.monotonic()
    await job.progress(10, "starting")
    path = await anyio.to_thread.run_sync(places.source, roots, payload.file_path)
    seen = identity(await anyio.to_thread.run_sync(path.stat))  # what is scanned is what is worked on
    scan = await scans.admit(path)
    await job.progress(20, "scanned" if scan else "not scanned: no CLAMAV_HOST")
    folder = await anyio.to_thread.run_sync(places.folder, roots, payload.output_dir or str(path.parent / PROCESSED))
    order = _order(payload, path, seen, folder, job, roots)
    memory = _IMAGE_MEMORY + _PIXEL_BYTES * order.max_pixels
    with order.drafts.cleared(folder):
        try:
            outcome = await apart(job, images.process, order, memory=memory)
        except MemoryError:
            raise FailForGood(f"{path.name}: needs more than {memory >> 20} MB of memory") from None
    if outcome.name != path.name:
        await job.say(f"other files have the names of the outputs: they are named after {outcome.name}")
    return _image_result(payload, outcome, scan, (time.monotonic() - began) * 1000)


@handles(FileCompress)
async def compress(payload: FileCompress, job: JobContext, roots: Roots) -> FileCompressResult:
    began = time.monotonic()
    await job.progress(5, "looking at the files")
    files = await anyio.to_thread.run_sync(lambda: [places.source(roots, path) for path in payload.input_files])
    output_dir = payload.output_dir or str(roots.roots["export"] / ARCHIVES)
    folder = await anyio.to_thread.run_sync(places.folder, roots, output_dir)
    drafts = Drafts(job.job_id, job.starts)
    name = job.checkpoint_data.decode()
    if not name:  # a later start replaces what an earlier one may have finished
        name = archive_name(drafts.tag)
        await job.checkpoint(name.encode())
    level = payload.compression_level if payload.HasField("compression_level") else LEVEL
    root = roots.record(folder).root
    packing = Packing(files, root, folder / name, maker(job.queue, job.job_id), level, drafts)
    with drafts.cleared(folder):
        archive = await apart(job, pack, packing, memory=_ARCHIVE_MEMORY)
    result = FileCompressResult(
        success=True,
        archive_path=str(archive.path),
        archive_size=archive.size,
        file_name=archive.path.name,
        content_type="application/zip",
        files_compressed=len(files),
        total_files=len(files),
        sha256=archive.sha256,
        processing_time_ms=(time.monotonic() - began) * 1000,
    )
    if folder == roots.roots["export"] / ARCHIVES:
        kept = timedelta(days=job.settings.export_retention_days)
        result.expire_time.FromDatetime(datetime.now(UTC) + kept)
    return result


@handles(FileVirusScan)
async def virus_scan(payload: FileVirusScan, job: JobContext, roots: Roots, scans: Scans) -> FileVirusScanResult:
    began = time.monotonic()
    if job.checkpoint_data:  # an earlier start found malware, and may have moved the file already
        result = FileVirusScanResult.FromString(job.checkpoint_data)
        if await anyio.Path(result.quarantine_path).exists():
            return result
    await job.progress(10, "scanning")
    path = await anyio.to_thread.run_sync(places.source, roots, payload.file_path)
    scan = await scans.scan(path)
    await job.progress(90, "scanned")
    result = FileVirusScanResult(success=True, file_path=payload.file_path, scan_result=scan)
    if scan.infected and payload.scan_options.quarantine:
        place = await anyio.to_thread.run_sync(quarantine_place, path, roots)
        result.quarantine_path = str(place)
        await job.checkpoint(result.SerializeToString())
        await anyio.to_thread.run_sync(quarantine, path, place, Drafts(job.job_id, job.starts))
        await job.say(f"{path.name} is infected, and was moved to quarantine")
    result.processing_time_ms = (time.monotonic() - began) * 1000
    return result


@handles(FileCleanup)
async def cleanup(payload: FileCleanup, job: JobContext, roots: Roots, engine: Database) -> FileCleanupResult:
    began = time.monotonic()
    seconds = payload.older_than / 1000
    await job.progress(5, "starting")
    if payload.files:
        cleaned = await clean_named(payload.files, seconds, job, roots)
    else:
        cleaned = await clean_up(seconds, job, roots, engine)
    await cleaned.fail_if_any_failed(job)
    removal = cleaned.removal
    return FileCleanupResult(
        success=True,
        total=removal.total,
        deleted=removal.deleted,
        failed=len(removal.failures),
        errors=[FileCleanupError(file=file, error=error) for file, error in removal.failures.items()],
        skipped=removal.skipped,
        freed=removal.freed,
        reported=cleaned.reported,
        reported_total=cleaned.reported_total,
        produced=removal.produced,
        untold=removal.untold,
        orphans_skipped=cleaned.orphans_skipped,
        processing_time_ms=(time.monotonic() - began) * 1000,
    )


def _order(
    payload: FileImageProcess, path: Path, seen: Identity, folder: Path, job: JobContext, roots: StorageRoots
) -> images.Order:
    options, settings = payload.options, FileSettings.of(job.settings)
    boxes = {size.name: (size.width, size.height) for size in options.thumbnail_sizes} or images.THUMBNAILS
    return images.Order(
        path=path,
        root=roots.record(folder).root,
        folder=folder,
        maker=maker(job.queue, job.job_id, "image", job.caller.id, roots.label(path)),
        thumbnails=boxes if _wanted(options, "generate_thumbnails") else {},
        optimize=_wanted(options, "optimize_original"),
        webp=_wanted(options, "generate_webp"),
        quality=options.quality or settings.image_quality,
        webp_quality=options.webp_quality or settings.webp_quality,
        max_pixels=settings.image_max_pixels,
        identity=seen,
        drafts=Drafts(job.job_id, job.starts),
    )


def _wanted(options: Any, name: str) -> bool:
    return bool(getattr(options, name)) if options.HasField(name) else True


def _image_result(
    payload: FileImageProcess, outcome: images.Outcome, scan: FileScan | None, milliseconds: float
) -> FileImageProcessResult:
    files = {
        output: FileOutput(path=str(made.path), size=made.size, width=width, height=height, sha256=made.sha256)
        for output, (made, (width, height)) in outcome.made.items()
    }
    return FileImageProcessResult(
        success=True,
        original_file=payload.file_path,
        metadata=FileImageMetadata(
            format=outcome.kind.lower(),
            width=outcome.width,
            height=outcome.height,
            frames=outcome.frames,
            has_alpha=outcome.has_alpha,
            size=outcome.size,
        ),
        results={output: file.path for output, file in files.items()},
        files=files,
        name=outcome.name,
        skipped=outcome.skipped,
        scan=scan,
        processing_time_ms=milliseconds,
    )
