"""A job context that keeps what a handler says, and hands on its checkpoint as the engine does."""

from dataclasses import dataclass, field, replace

import structlog
from qcollector.jobs.v1.job_pb2 import Caller

from base.settings import Settings


@dataclass
class RecordingJob:
    """One start of a job."""

    settings: Settings
    job_id: str = "01jdtest-0"
    queue: str = "email:send"
    job_type: str = "send"
    attempt: int = 1
    max_attempts: int = 3
    starts: int = 1
    caller: Caller = field(default_factory=Caller)
    checkpoint_data: bytes = b""
    steps: list[tuple[float, str]] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    checkpoints: list[bytes] = field(default_factory=list)

    @property
    def log(self) -> structlog.stdlib.BoundLogger:
        logger: structlog.stdlib.BoundLogger = structlog.get_logger()
        return logger

    @property
    def percents(self) -> list[float]:
        return [percent for percent, _ in self.steps]

    async def progress(self, percent: float, message: str = "") -> None:
        self.steps.append((percent, message))

    async def say(self, message: str) -> None:
        self.lines.append(message)

    async def checkpoint(self, data: bytes) -> None:
        self.checkpoints.append(data)

    def restarted(self, *, attempt: int | None = None) -> "RecordingJob":
        """The next start of the same job, after the last checkpoint."""
        return replace(
            self,
            attempt=attempt or self.attempt,
            starts=self.starts + 1,
            checkpoint_data=self.checkpoints[-1] if self.checkpoints else self.checkpoint_data,
            steps=[],
            lines=[],
            checkpoints=[],
        )
