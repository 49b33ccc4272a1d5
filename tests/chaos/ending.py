"""The end of a part: the schedules that ran through it, the wait until all is done, and what the store holds then."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from chaosjobs.v1.chaosjobs_pb2 import SlotTrial, TrialResult
from qcollector.jobs.storage.v1.storage_pb2 import ScheduleRecord

from contract.errors import ScheduleNotFoundError
from contract.times import milliseconds_of
from engine.jobs import State
from engine.packing import unpack
from engine.schedules import SCOPE, Schedules
from engine.schema import Record
from engine.store import Store
from tests.chaos.history import History
from tests.engine.indexes import assert_indexes_agree

PROMPT, MISSED = 4, 2
"""Schedules that begin with the part, and such that nobody has fired for hours."""
MISSED_FOR = timedelta(hours=3)
_SETS = {
    "waiting": "wait",
    **{name: name for name in ("delayed", "active", "ready", "parked")},
    **{name: name for name in ("completed", "failed", "cancelled")},
}
_HASHES = ("jobs", "secrets", "checkpoints")


class Minutely:
    """Schedules that fire each minute."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._schedules = Schedules(store)
        self._made: dict[str, datetime] = {}
        self._missed: set[str] = set()
        self._stopped = datetime.now(UTC)

    async def make(self) -> None:
        client = cast("Any", self._store.client)
        for number in range(PROMPT + MISSED):
            missed = number >= PROMPT
            record = ScheduleRecord(name=f"chaos-{number}", cron="* * * * *", timezone="UTC")
            record.queue_name, record.job_type = "chaos:slots", "trial"
            record.payload = SlotTrial(run_ms=20).SerializeToString()
            record.create_time.GetCurrentTime()
            record.run_as.id, record.run_as.role = "chaos", "service"
            now = datetime.now(UTC)
            since = milliseconds_of(now - MISSED_FOR if missed else now)
            await client.hset(self._store.keys(SCOPE)["slots"], record.name, since)
            assert await self._store.run("schedule_put", SCOPE, record.name, record.SerializeToString(), "", "0") == 1
            self._made[record.name] = now
            if missed:
                self._missed.add(record.name)

    async def stop(self) -> None:
        """Fires nothing more, so that the end is the end."""
        for name in self._made:
            with contextlib.suppress(ScheduleNotFoundError):
                await self._schedules.change(name, _paused)
        self._stopped = datetime.now(UTC)

    async def write_down(self, history: History) -> None:
        """Which slots each has fired, and since when it could."""
        for name, made in self._made.items():
            fired = []
            with contextlib.suppress(ScheduleNotFoundError):  # then it has fired nothing, which is told
                runs = [run for run in await self._schedules.runs(name) if not run.triggered]
                fired = [{"slot": milliseconds_of(run.slot), "job": run.job_id} for run in runs]
            history.write(
                "schedule",
                name=name,
                made=milliseconds_of(made),
                stopped=milliseconds_of(self._stopped),
                fired=fired,
                missed=name in self._missed,
            )


def _paused(record: ScheduleRecord) -> None:
    record.paused = True


async def all_done(
    store: Store, queues: tuple[str, ...], seconds: float, resume: Callable[[], Awaitable[None]]
) -> bool:
    """Waits until nothing waits or runs any more, and resumes queues meanwhile; whether it came to that."""
    client = cast("Any", store.client)
    keys = [store.keys(queue)[name] for queue in queues for name in ("wait", "delayed", "active", "parked")]
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        await resume()
        for _ in range(20):
            if not any([await client.zcard(key) for key in keys]):
                return True
            await asyncio.sleep(0.1)
    return False


async def write_final(store: Store, queues: tuple[str, ...], history: History) -> None:
    """Everything that the store holds of these queues."""
    client = cast("Any", store.client)
    for queue in queues:
        keys = store.keys(queue)
        results = await client.hgetall(keys["results"])
        jobs = {
            job.decode(): _record(Record.read(unpack(kept)), results.get(job, b""))
            for job, kept in (await client.hgetall(keys["states"])).items()
        }
        sizes = {word: await client.zcard(keys[name]) for word, name in _SETS.items()}
        sizes |= {name: await client.hlen(keys[name]) for name in _HASHES}
        problems = []
        try:
            await assert_indexes_agree(store, queue)
        except AssertionError as error:
            problems.append(f"the indexes do not agree with the records: {str(error)[:500]}")
        history.write("final", queue=queue, jobs=jobs, sizes=sizes, problems=problems)


def _record(kept: Record, output: bytes) -> Mapping[str, Any]:
    told = {name: getattr(kept, name) for name in ("state", "starts", "stalls", "priority", "cause")}
    if kept.state == State.COMPLETED:
        return {**told, "reason": "", "result_of": TrialResult.FromString(output).starts}
    return {**told, "reason": output.decode("utf-8", "replace"), "result_of": 0}
