"""SMTP_RATE_LIMIT's foundation: one even stream over all processes, by the server's clock."""

import asyncio
import itertools
import sys
import time

import pytest

from base.settings import Settings
from contract.errors import RateLimitedError, StoreUnavailableError
from engine.rates import RateLimit
from engine.store import Store

OTHER_PROCESS = """
import asyncio, sys, time
from base.settings import load
from engine.rates import RateLimit
from engine.store import Store

async def main():
    settings = load(redis_url=sys.argv[1], redis_key_prefix=sys.argv[2])
    store = await Store.open(settings)
    limit = RateLimit(store, "mail", int(sys.argv[3]))
    for _ in range(int(sys.argv[4])):
        print(await limit.reserve() + time.time())
    await store.close()

asyncio.run(main())
"""


async def test_places_lie_evenly_apart_and_the_first_is_now(store: Store) -> None:
    limit = RateLimit(store, "mail", 600)
    began = time.monotonic()
    waits = [await limit.reserve() for _ in range(5)]
    spent = time.monotonic() - began
    assert waits[0] == 0
    for place, wait in enumerate(waits):
        assert place * 0.1 - spent - 0.001 <= wait <= place * 0.1 + 0.001


async def test_no_limit_asks_nobody(settings: Settings) -> None:
    nowhere = await Store.open(settings.model_copy(update={"redis_url": None, "redis_port": 1}))
    assert await RateLimit(nowhere, "mail", 0).reserve() == 0
    with pytest.raises(StoreUnavailableError):
        await RateLimit(nowhere, "mail", 1).reserve()
    await nowhere.close()


async def test_a_place_beyond_the_callers_patience_is_not_taken(store: Store) -> None:
    limit = RateLimit(store, "mail", 60)
    await limit.reserve()
    for _ in range(3):
        with pytest.raises(RateLimitedError) as refused:
            await limit.reserve(patience=0.5)
        assert 0.5 < (refused.value.retry_after or 0) <= 1
    assert 0.5 < await limit.reserve(patience=1.5) <= 1


async def test_a_stream_that_rested_does_not_make_up_for_it(store: Store) -> None:
    limit = RateLimit(store, "mail", 1200)
    await limit.reserve()
    await asyncio.sleep(0.2)
    assert await limit.reserve() == 0
    assert await limit.reserve() > 0.03


async def test_limits_of_different_names_are_apart(store: Store) -> None:
    await RateLimit(store, "mail", 1).reserve()
    assert await RateLimit(store, "other", 1).reserve() == 0


async def test_two_processes_share_one_stream(settings: Settings) -> None:
    assert settings.redis_url is not None
    arguments = (settings.redis_url.get_secret_value(), settings.redis_key_prefix, "60", "10")
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", OTHER_PROCESS, *arguments, stdout=asyncio.subprocess.PIPE
        )
        for _ in range(2)
    ]
    outputs = [await process.communicate() for process in processes]
    places = sorted(float(line) for output, _ in outputs for line in output.split())
    assert len(places) == 20
    assert all(0.8 < later - earlier < 1.2 for earlier, later in itertools.pairwise(places))
