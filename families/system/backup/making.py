"""Makes a backup: target by target into a folder that nobody looks into, which then appears under its name."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import anyio
from qcollector.jobs.v1.system_pb2 import SystemBackup, SystemBackupTarget

from base.output_names import Maker, maker, tagged, taken
from base.produced import Print, Record, sync_folder
from base.release import release
from base.settings import Settings
from base.storage import StoragePathError, StorageRoots
from families.database.errors import DatabaseError
from families.system.backup.archive import ArchiveError
from families.system.backup.drafts import Drafts
from families.system.backup.dump import DumpError
from families.system.backup.manifest import NAME, BackedUp, Manifest, write_manifest
from families.system.backup.packing import MEMORY, pack
from families.system.backup.retention import prune
from families.system.backup.sealing import SealingError
from families.system.backup.streams import PackingError
from families.system.backup.targets import Sources, word_of
from families.system.settings import SystemSettings
from workers.apart import ProcessEndedError, apart
from workers.context import JobContext

DEFAULT_TYPE: Final = "manual"
_ENDINGS: Final = {"dump": ".dump.zst", "tar": ".tar.zst"}
_PROBLEMS: Final = (
    *(PackingError, ArchiveError, SealingError, DumpError),
    *(StoragePathError, DatabaseError, ProcessEndedError, MemoryError, OSError),
)
"""What keeps a target from being backed up, in words that its reader understands."""


@dataclass(frozen=True, slots=True)
class Made:
    """What came of it."""

    folder: Path
    manifest: Manifest
    pruned: tuple[str, ...]


class BackupMaker:
    """Makes the backup of one job."""

    def __init__(self, settings: Settings, roots: StorageRoots, sources: Sources, job: JobContext) -> None:
        self._settings = SystemSettings.of(settings)
        self._roots = roots
        self._sources = sources
        self._job = job
        self._now = datetime.now(UTC).replace(microsecond=0)

    async def make(self, payload: SystemBackup) -> Made:
        """Backs up all targets that can be. While attempts are left, one that fails makes it all be given up.

        Raises:
          StoragePathError: the folder for it is outside BACKUP_DIR.
          OSError: that folder cannot be written to.
        """
        parent = self._folder(payload.options.backup_dir)
        drafts = Drafts(parent, self._job)
        draft = await anyio.to_thread.run_sync(drafts.new)
        try:
            manifest = await self._fill(draft, payload)
            place = parent / f"{manifest.type}_{self._stamp}_{drafts.tag}"
            if manifest.failed and (self._job.attempt < self._job.max_attempts or not manifest.files):
                return Made(place, manifest, ())
            by = maker(self._job.queue, self._job.job_id)
            await anyio.to_thread.run_sync(_publish, draft, place, manifest, self._roots.record(parent), by)
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(drafts.clear)
        pruned: list[str] = []
        if not manifest.failed:
            pruned = await anyio.to_thread.run_sync(prune, parent, self._now, self._settings.backup_retention_days)
        return Made(place, manifest, tuple(pruned))

    def _folder(self, asked: str) -> Path:
        root = self._roots.roots["backup"]
        folder = self._roots.resolve(asked) if asked else root
        if not folder.is_relative_to(root):
            raise StoragePathError("backupDir lies outside BACKUP_DIR; leave it empty, or name a folder in BACKUP_DIR")
        return folder

    async def _fill(self, draft: Path, payload: SystemBackup) -> Manifest:
        files: list[BackedUp] = []
        failed: dict[str, str] = {}
        for place, target in enumerate(payload.targets):
            word = word_of(target)
            name = word if word not in {entry.target for entry in files} | failed.keys() else f"{word}-{place + 1}"
            span = (100 * place / len(payload.targets), 100 * (place + 1) / len(payload.targets))
            try:
                entry = await self._back_up(draft, target, name, span)
            except _PROBLEMS as error:
                failed[name] = str(error)
                await self._job.say(f"{name}: failed: {error}")
            else:
                files.append(entry)
                await self._job.say(f"{name}: {entry.size} bytes from {entry.content_size}, read back and whole")
        return Manifest(
            format="qjobs-backup/1",
            type=payload.type or DEFAULT_TYPE,
            created=self._now.isoformat(),
            job=self._job.job_id,
            release=release(),
            files=tuple(files),
            failed=failed,
        )

    async def _back_up(self, draft: Path, target: SystemBackupTarget, name: str, span: tuple[float, float]) -> BackedUp:
        await self._job.progress(span[0], name)
        source = await self._sources.find(target)
        encrypted = bool(self._settings.backup_recipient)
        file = f"{name}_backup_{self._stamp}{_ENDINGS[source.content]}{'.age' if encrypted else ''}"
        recipient = self._settings.backup_recipient or ""
        packed = await apart(self._job, pack, source.task, draft / file, recipient, name, span, memory=MEMORY)
        if packed.left_out:
            await self._job.say(f"{name}: left out, as they are no files: {', '.join(packed.left_out)}")
        return BackedUp(
            target=name,
            name=file,
            content=source.content,
            source=source.name,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            size=packed.size,
            sha256=packed.sha256,
            content_size=packed.content_size,
            content_sha256=packed.content_sha256,
            files=packed.files,
            encrypted=encrypted,
        )

    @property
    def _stamp(self) -> str:
        return f"{self._now:%Y-%m-%dT%H-%M-%SZ}"


def _publish(draft: Path, place: Path, manifest: Manifest, record: Record, by: Maker) -> None:
    """Lets the whole backup appear at once, once it is recorded that a job made it."""
    write_manifest(draft, manifest)
    prints = {entry.name: Print(entry.size, 0, entry.sha256) for entry in manifest.files}
    prints[NAME] = Print((draft / NAME).stat().st_size, 0, "")
    with taken(record, place, prints, tagged, by):
        draft.rename(place)
        sync_folder(place.parent)
