"""What running jobs say (progress, steps, log lines, checkpoints), gathered and written at most ten times a second each."""

import asyncio
import contextlib
import itertools
import time
from collections.abc import Callable
from typing import Final

from contract.errors import StoreFullError, StoreUnavailableError
from engine.claims import Claims, Note
from engine.jobs import Loss
from engine.store import backoff_sleep
from workers.context import LeaseLostError

INTERVAL_SECONDS: Final = 0.1
MAX_LINES: Final = 200
"""Lines of one job that wait to be written; the store keeps no more than that either."""
MAX_LINE_LENGTH: Final = 2000
MAX_WRITE_BYTES: Final = 4_000_000


class Voice:
    """What one start of a job has said that is not stored yet."""

    __slots__ = ("checkpoint", "fence", "job_id", "lines", "lost", "on_lost", "percent", "step", "waiters", "writing")

    def __init__(self, job_id: str, fence: int, on_lost: Callable[[Loss], None]) -> None:
        self.job_id = job_id
        self.fence = fence
        self.on_lost = on_lost
        self.lost = False
        """Whether nobody listens any more: the job is no longer this worker's."""
        self.writing = False
        """Whether a part of what it said is on its way to the store."""
        self.waiters: list[asyncio.Future[None]] = []
        """Who waits until everything said so far is stored."""
        self.percent = -1.0
        self.step = ""
        """Name of the latest step; those passed within one interval are not told."""
        self.lines: list[str] = []
        self.checkpoint: bytes | None = None

    @property
    def silent(self) -> bool:
        return self.percent < 0 and not self.step and not self.lines and self.checkpoint is None

    def take(self) -> Note:
        messages = tuple(("log", line) for line in self.lines)
        if self.step:
            messages = (*messages, ("step", self.step))
        note = Note(self.job_id, self.fence, self.percent, messages, self.checkpoint)
        self.percent, self.step, self.lines, self.checkpoint = -1.0, "", [], None
        return note

    def put_back(self, note: Note) -> None:
        """After a write that failed. What was said meanwhile is newer."""
        if self.percent < 0:
            self.percent = note.progress
        if self.checkpoint is None:
            self.checkpoint = note.checkpoint
        self.step = self.step or next((text for kind, text in note.messages if kind == "step"), "")
        self.lines = [text for kind, text in note.messages if kind == "log"] + self.lines
        del self.lines[:-MAX_LINES]


class Notes:
    """Gathers what all running jobs of a queue say, and writes it together, one call at a time."""

    def __init__(self, claims: Claims) -> None:
        self._claims = claims
        self._spoken: dict[Voice, None] = {}
        self._writer: asyncio.Task[None] | None = None
        self._hurry = asyncio.Event()
        """Set while somebody waits for his words to be stored."""
        self._written_at = 0.0

    def progress(self, voice: Voice, percent: float, step: str) -> None:
        voice.percent = percent
        if step:
            voice.step = step[:MAX_LINE_LENGTH]
        self._gather(voice)

    def say(self, voice: Voice, line: str) -> None:
        voice.lines.append(line[:MAX_LINE_LENGTH])
        del voice.lines[:-MAX_LINES]
        self._gather(voice)

    async def checkpoint(self, voice: Voice, data: bytes) -> None:
        """Stores it together with all that the job has said so far; waits for a store that is away.

        Raises:
          LeaseLostError: the job is no longer this worker's.
        """
        voice.checkpoint = data
        await self.flush(voice)
        if voice.lost:
            raise LeaseLostError

    async def flush(self, voice: Voice) -> None:
        """Returns once all that the job has said is stored, or the job is lost."""
        if voice.lost or (voice.silent and not voice.writing):
            return
        stored: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        voice.waiters.append(stored)
        self._hurry.set()
        self._gather(voice)
        await stored

    def _gather(self, voice: Voice) -> None:
        self._spoken[voice] = None
        if self._writer is None:
            self._writer = asyncio.create_task(self._write_while_spoken())

    async def _write_while_spoken(self) -> None:
        """The first word is written at once, further ones at every interval for as long as any come."""
        failures = 0
        try:
            while self._spoken:
                voices = await self._due()
                if await self._write(voices):
                    failures = 0
                else:
                    failures += 1
                    await backoff_sleep(failures)
        finally:
            self._writer = None

    async def _due(self) -> list[Voice]:
        """Whose words are to be written now: everybody's at the end of the interval, before that those waited for."""
        left = self._written_at + INTERVAL_SECONDS - time.monotonic()
        if left > 0:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._hurry.wait(), left)
        self._hurry.clear()
        at_end = time.monotonic() - self._written_at >= INTERVAL_SECONDS
        if at_end:
            self._written_at = time.monotonic()
        due: list[Voice] = []
        size = 0
        for voice in self._spoken:
            if at_end or voice.waiters:
                size += len(voice.checkpoint or b"")
                if due and size > MAX_WRITE_BYTES:
                    self._hurry.set()
                    break
                due.append(voice)
        return due

    async def _write(self, voices: list[Voice]) -> bool:
        """One call for all of them; False if the store could not take it, and then they wait for the next one."""
        if not voices:
            return True
        notes, waiters = [voice.take() for voice in voices], [voice.waiters for voice in voices]
        for voice in voices:
            del self._spoken[voice]
            voice.waiters, voice.writing = [], True
        try:
            losses = await self._claims.note(notes)
        except (StoreUnavailableError, StoreFullError):
            for voice, note, waiting in zip(voices, notes, waiters, strict=True):
                voice.put_back(note)
                voice.waiters[:0] = waiting
                self._spoken[voice] = None
            return False
        except Exception as error:
            for stored in itertools.chain.from_iterable(waiters):
                if not stored.done():
                    stored.set_exception(error)
            raise
        finally:
            for voice in voices:
                voice.writing = False
        for voice, why, waiting in zip(voices, losses, waiters, strict=True):
            _written(voice, waiting, why)
        return True


def _written(voice: Voice, waiting: list[asyncio.Future[None]], why: Loss | None) -> None:
    """Tells the job why it is lost, if it is, and whoever waits for its checkpoint that the call was made."""
    if why is not None and not voice.lost:
        voice.lost = True
        voice.on_lost(why)
    for stored in waiting:
        if not stored.done():  # who waited may have been cancelled
            stored.set_result(None)
