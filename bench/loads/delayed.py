"""Enqueues one job that waits: `delayed SECONDS`; answers its id."""

import asyncio
import sys

import msgspec

from bench.loads import requests
from bench.loads.engine import Enqueuer
from engine.store import Store


async def main(seconds: int) -> None:
    store = await Store.open(requests.SETTINGS)
    enqueuer = Enqueuer(store)
    stored = await enqueuer.intake.enqueue(msgspec.structs.replace(enqueuer.job(requests.noop()), delay=seconds * 1000))
    await store.close()
    requests.answer(id=stored.id)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
