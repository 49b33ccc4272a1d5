"""The system family: cleanup, health checks, backups."""

import time
from datetime import datetime
from typing import Annotated

from google.protobuf.timestamp_pb2 import Timestamp
from qcollector.jobs.v1.system_pb2 import (
    SystemBackup,
    SystemBackupEntry,
    SystemBackupFile,
    SystemBackupResult,
    SystemBackupResults,
    SystemCleanup,
    SystemCleanupResult,
    SystemCleanupResults,
    SystemHealthCheck,
    SystemHealthCheckResult,
)
from sqlalchemy.ext.asyncio import AsyncEngine
from taskiq import TaskiqDepends

from base.storage import StoragePathError, StorageRoots
from engine.kept_results import KeptResults
from families.analytics.kept import kept_analytics
from families.database.resources import database
from families.files.deletion_log import DeletionLog
from families.system.backup.making import BackupMaker, Made
from families.system.backup.manifest import NAME, BackedUp
from families.system.backup.targets import Sources
from families.system.cleanup import Cleanup, summary, word_of
from families.system.health_report import HEALTHY, HealthCheck
from workers.context import JobContext
from workers.handlers import handles
from workers.job_engine import JobEngine, job_engine
from workers.outcomes import FailForGood

Database = Annotated[AsyncEngine, TaskiqDepends(database)]
Kept = Annotated[KeptResults, TaskiqDepends(kept_analytics)]
Jobs = Annotated[JobEngine, TaskiqDepends(job_engine)]


class PartsFailedError(Exception):
    """Some parts of a job failed, and a further attempt may help."""


@handles(SystemCleanup)
async def cleanup(payload: SystemCleanup, job: JobContext, engine: Database, kept: Kept) -> SystemCleanupResult:
    began = time.monotonic()
    log = DeletionLog(job)
    tasks = Cleanup(job.settings, StorageRoots(job.settings), engine, kept, log)
    details = []
    for place, task in enumerate(payload.tasks):
        await job.progress(100 * place / len(payload.tasks), word_of(task))
        detail = await tasks.run(task)
        await job.say(summary(detail))
        details.append(detail)
    await log.end()
    failed = [f"{detail.task}: {detail.error}" for detail in details if not detail.success]
    if failed:
        raise FailForGood(f"{len(failed)} of {len(details)} tasks failed, the others are done: {'; '.join(failed)}")
    return SystemCleanupResult(
        success=True,
        results=SystemCleanupResults(total=len(details), completed=len(details), details=details),
        processing_time_ms=_since(began),
    )


@handles(SystemHealthCheck)
async def health_check(
    payload: SystemHealthCheck, job: JobContext, engine: Jobs, database: Database
) -> SystemHealthCheckResult:
    began = time.monotonic()
    found = await HealthCheck(job.settings, engine, database).check(payload.services)
    return SystemHealthCheckResult(success=found.overall == HEALTHY, results=found, processing_time_ms=_since(began))


@handles(SystemBackup)
async def backup(payload: SystemBackup, job: JobContext, database: Database) -> SystemBackupResult:
    began = time.monotonic()
    roots = StorageRoots(job.settings)
    maker = BackupMaker(job.settings, roots, Sources(job.settings, roots, database), job)
    try:
        made = await maker.make(payload)
    except StoragePathError as error:
        raise FailForGood(str(error)) from None
    if made.manifest.failed:
        raise PartsFailedError(_told(made))
    entries = [
        SystemBackupEntry(target=entry.target, success=True, result=_file(made, entry)) for entry in made.manifest.files
    ]
    results = SystemBackupResults(
        type=made.manifest.type,
        targets=len(entries),
        completed=len(entries),
        backups=entries,
        manifest=str(made.folder / NAME),
        pruned=made.pruned,
    )
    return SystemBackupResult(success=True, results=results, processing_time_ms=_since(began))


def _told(made: Made) -> str:
    failed, whole = made.manifest.failed, [entry.target for entry in made.manifest.files]
    reasons = "; ".join(f"{target}: {reason}" for target, reason in failed.items())
    kept = f"{', '.join(whole)} in {made.folder}" if whole and made.folder.exists() else "nothing"
    return f"{len(failed)} of {len(failed) + len(whole)} targets failed: {reasons}; kept is {kept}"


def _file(made: Made, entry: BackedUp) -> SystemBackupFile:
    timestamp = Timestamp()
    timestamp.FromDatetime(datetime.fromisoformat(entry.created))
    return SystemBackupFile(
        backup_file=str(made.folder / entry.name),
        size=entry.size,
        source=entry.source,
        timestamp=timestamp,
        sha256=entry.sha256,
        files=entry.files,
        encrypted=entry.encrypted,
        verified=True,
    )


def _since(began: float) -> float:
    """Milliseconds."""
    return (time.monotonic() - began) * 1000
