"""A job, or a schedule's job, out of what was typed."""

import json
import sys
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from google.protobuf.json_format import ParseDict, ParseError
from google.protobuf.struct_pb2 import Struct
from qcollector.jobs.v1.enqueue_pb2 import EnqueueJobRequest, EnqueueJobResponse
from qcollector.jobs.v1.job_pb2 import Job, JobOptions, JobState
from qcollector.jobs.v1.options_pb2 import Backoff

from cli.exits import CommandError, Exit
from cli.filters import stamp
from cli.job_details import outcome
from cli.output.text import state_word
from cli.output.times import in_words
from cli.session import Session
from cli.watching import follow, status_of

LARGEST: Final = 16 * 1024 * 1024
"""Bytes of data that are read; the service takes less."""


@dataclass(frozen=True)
class Typed:
    """What the command line says of a job's data and options."""

    data: str = ""
    settings: Sequence[str] = ()
    priority: int = 0
    attempts: int = 0
    backoff: tuple[str, int, float] | None = None
    timeout: float = 0
    delay: float = 0
    run_at: datetime | None = None
    expire_at: datetime | None = None
    job_id: str = ""
    request_id: str = ""

    def options(self) -> JobOptions:
        return JobOptions(
            priority=self.priority,
            attempts=self.attempts,
            backoff=self._backoff(),
            timeout=round(self.timeout),
            delay=self.delay,
            run_at=stamp(self.run_at),
            expire_at=stamp(self.expire_at),
            job_id=self.job_id,
        )

    def _backoff(self) -> Backoff | None:
        if self.backoff is None:
            return None
        kind, delay, jitter = self.backoff
        return Backoff(type=kind, delay=delay, jitter=jitter)

    def struct(self) -> Struct:
        """The data: what --data says, and over it what each --set says. Raises CommandError."""
        data = _object(self.data) if self.data else {}
        for setting in self.settings:
            _set(data, setting)
        try:
            return ParseDict(data, Struct(), max_recursion_depth=64)
        except (ParseError, RecursionError):
            raise CommandError("--data is nested deeper than anything that a job takes.", Exit.USAGE) from None


@dataclass(frozen=True)
class Mode:
    """What else is asked for."""

    dry_run: bool = False
    wait: bool = False


async def enqueue(session: Session, queue: str, job_type: str, typed: Typed, mode: Mode) -> Exit | None:
    """Enqueues it; with `mode.wait` the exit status says whether it ended well."""
    request = EnqueueJobRequest(
        queue_name=queue,
        job_type=job_type,
        data=typed.struct(),
        options=typed.options(),
        validate_only=mode.dry_run,
        request_id=typed.request_id or str(uuid.uuid4()),  # the call repeats itself while the service is away
    )
    answer = await session.call(session.jobs.EnqueueJob, request)
    if mode.wait and not mode.dry_run:
        return await _wait(session, answer)
    session.screen.one(answer, lambda: answer.job_id if session.screen.quiet else _told(answer, mode))
    return None


async def _wait(session: Session, answer: EnqueueJobResponse) -> Exit:
    """Prints the job as it ended, once."""
    session.screen.say(_told(answer, Mode()))
    lines = session.screen.for_people and not session.screen.shows_progress
    begun = Job(queue_name=answer.queue_name, id=answer.job_id)
    job = await follow(session, begun, lines=lines)
    session.screen.one(job, lambda: job.id if session.screen.quiet else outcome(job))
    return status_of(job)


def _told(answer: EnqueueJobResponse, mode: Mode) -> str:
    options = answer.options
    parts = [f"{options.attempts} attempts" if options.attempts > 1 else "one attempt"]
    if options.timeout:
        parts.append(f"each at most {in_words(options.timeout)}")
    policy = ", ".join(parts)
    if mode.dry_run:
        return f"Valid for {answer.queue_name}, {answer.job_type}: {policy}. Nothing was enqueued."
    there = "was there already" if answer.duplicate else "is enqueued"
    state = f" and {state_word(answer.state)}" if answer.state != JobState.JOB_STATE_UNSPECIFIED else ""
    return f"{answer.queue_name}/{answer.job_id} {there}{state}: {policy}."


def _object(text: str) -> dict[str, Any]:
    """The JSON object that is typed, or stands in a file (@name) or on standard input (-)."""
    source = "--data"
    if text == "-":
        source, text = "standard input", sys.stdin.read(LARGEST + 1)
    elif text.startswith("@"):
        source = text[1:]
        text = _file(Path(source))
    if len(text) > LARGEST:
        raise CommandError(f"{source} is larger than any job may be.", Exit.USAGE)
    try:
        value = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise CommandError(f"{source} is no JSON: {error}.", Exit.USAGE) from None
    if not isinstance(value, dict):
        raise CommandError(f'{source} is no JSON object: write {{"name": value, …}}.', Exit.USAGE)
    return value


def _file(path: Path) -> str:
    try:
        with path.open(encoding="utf-8") as file:
            return file.read(LARGEST + 1)
    except UnicodeDecodeError:
        raise CommandError(f"{path} is no text in UTF-8.", Exit.USAGE) from None
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}.", Exit.USAGE) from None


def _no_constant(word: str) -> Any:
    raise ValueError(f"{word} is no value of JSON")


def _set(data: dict[str, Any], setting: str) -> None:
    """`user.email=a@b.example`: a path, and a value that is JSON, or else a text."""
    path, equals, text = setting.partition("=")
    *above, name = path.split(".")
    if not equals or not all([*above, name]):
        raise CommandError(f"--set {setting!r}: write name=value, or name.part=value.", Exit.USAGE)
    place: Any = data
    for part in above:
        place = place.setdefault(part, {})
        if not isinstance(place, dict):
            raise CommandError(f"--set {setting!r}: {part} has a value of its own already.", Exit.USAGE)
    try:
        place[name] = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        place[name] = text
