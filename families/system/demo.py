"""The sample jobs of the system family."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Final

from qcollector.jobs.v1.job_pb2 import Job

from stack.demo.gateway import Enqueued, Gateway
from stack.demo.sample import Sample, unless_completed

_DAY: Final = 24 * 60 * 60 * 1000


class _ByRest(Sample):
    """A job as the documentation writes it."""

    queue: ClassVar[str]
    word: ClassVar[str]
    data: ClassVar[dict[str, Any]]

    async def enqueue(self, gateway: Gateway) -> Enqueued:
        body = {"queueName": self.queue, "jobType": self.word, "data": self.data}
        answer = await gateway.post("queue/jobs", body)
        return Enqueued(answer["queueName"], answer["jobId"])


class Cleanup(_ByRest):
    """Temporary files and expired sessions."""

    title: ClassVar[str] = "Cleanup"
    queue, word = "system:cleanup", "cleanup"
    data: ClassVar[dict[str, Any]] = {
        "tasks": [{"type": "temp_files", "maxAge": _DAY}, {"type": "old_sessions", "maxAge": 7 * _DAY}]
    }

    def problems(self, job: Job) -> Sequence[str]:
        details = job.result.system_cleanup.results.details
        if sum(detail.result.deleted for detail in details) == 0:
            return (*unless_completed(job), "the sample data's expired sessions are still there")
        return unless_completed(job)


class Backup(_ByRest):
    """The documentation's own example."""

    title: ClassVar[str] = "Backup"
    queue, word = "system:backup", "backup"
    data: ClassVar[dict[str, Any]] = {
        "type": "manual",
        "targets": [{"type": "database"}, {"type": "uploads"}, {"type": "logs"}],
    }

    def problems(self, job: Job) -> Sequence[str]:
        results = job.result.system_backup.results
        missing = [entry.target for entry in results.backups if not Path(entry.result.backup_file).is_file()]
        if missing or results.completed != results.targets:
            return (*unless_completed(job), f"no backup was made of {', '.join(missing) or 'some targets'}")
        return unless_completed(job)


SAMPLES: Final[Sequence[Sample]] = (Cleanup(), Backup())
