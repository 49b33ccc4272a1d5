"""A worker whose jobs report progress at a steady rate: `progress JOBS EVENTS_A_SECOND SECONDS IDS GO`.

It leases the jobs as a worker does, writes their ids into the file IDS, waits for the file GO, and reports what the
handlers of so many jobs would: each event's message is the moment at which it was told, by the monotonic clock, which all
processes share.
"""

import asyncio
import sys
import time
from pathlib import Path
from typing import Final

import uvloop

from bench.loads import requests
from bench.loads.engine import Enqueuer
from contract.catalog import load_catalog
from engine.claims import Claims, Note
from engine.jobs import ClaimedJob, Outcome, Settlement
from engine.store import Store

QUEUE: Final = "test:work"
CALLS_A_SECOND: Final = 20


async def claimed(store: Store, claims: Claims, jobs: int) -> list[ClaimedJob]:
    enqueuer = Enqueuer(store)
    await enqueuer.intake.enqueue_many([enqueuer.job(requests.noop()) for _ in range(jobs)])
    held: list[ClaimedJob] = []
    while len(held) < jobs:
        held += (await claims.claim(200)).jobs
    return held


async def report(claims: Claims, held: list[ClaimedJob], rate: int, seconds: float) -> int:
    """Notes of one job after the other, some in each call, until the time is over; how many there were."""
    told = 0
    began = time.perf_counter()
    in_call = max(rate // CALLS_A_SECOND, 1)
    while time.perf_counter() - began < seconds:
        notes = []
        for place in range(told, told + in_call):
            job = held[place % len(held)]
            percent = float(min(place // len(held), 99))
            notes.append(Note(job.id, job.fence, percent, (("step", str(requests.now_ns())),)))
        assert not any(await claims.note(notes))
        told += in_call
        await asyncio.sleep(max(began + told / rate - time.perf_counter(), 0))
    return told


async def main(jobs: int, rate: int, seconds: float, ids: Path, go: Path) -> None:
    store = await Store.open(requests.SETTINGS)
    claims = Claims(store, load_catalog(requests.SETTINGS.job_plugins).queue(QUEUE), "bench", requests.SETTINGS)
    held = await claimed(store, claims, jobs)
    ids.write_text("\n".join(job.id for job in held))
    while not go.exists():
        await asyncio.sleep(0.01)
    told = await report(claims, held, rate, seconds)
    for first in range(0, jobs, 50):  # not all ends in one instant
        await claims.settle([Settlement(job.id, job.fence, Outcome.COMPLETE) for job in held[first : first + 50]], 0)
        await asyncio.sleep(0.02)
    await store.close()
    requests.answer(told=told)


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), Path(sys.argv[4]), Path(sys.argv[5])))
