"""Fills the queue with jobs that do nothing: `fill JOBS`."""

import sys

import uvloop

from bench.loads import requests
from bench.loads.engine import Enqueuer
from engine.jobs import Enqueued
from engine.store import Store

CHUNK = 1000


async def main(jobs: int) -> None:
    store = await Store.open(requests.SETTINGS)
    enqueuer = Enqueuer(store)
    stored = 0
    for first in range(0, jobs, CHUNK):
        new = [enqueuer.job(requests.noop()) for _ in range(min(CHUNK, jobs - first))]
        stored += sum(isinstance(outcome, Enqueued) for outcome in await enqueuer.intake.enqueue_many(new))
    await store.close()
    assert stored == jobs
    requests.answer(jobs=stored)


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
