"""What the census of the store takes for a leak, and what for something that is kept on purpose."""

import time
from collections.abc import Iterator

import pytest
import redis

from tests.conftest import ValkeyServer
from tests.soak import servers
from tests.soak.readings import Census, Measure, compared, leaks
from tests.soak.servers import Names

DAY = 86_400_000


@pytest.fixture
def client(own_valkey: ValkeyServer) -> Iterator["redis.Redis"]:
    with redis.Redis("127.0.0.1", own_valkey.port, 0) as opened:
        opened.hset("q:{test:work/0}:meta", "seq", 1)
        yield opened


def take(client: "redis.Redis", names: Names) -> Census:
    census = Census()
    servers.store(census, client, names)
    return census


def left(client: "redis.Redis", before: Census, names: Names) -> set[str]:
    """The counts that are higher; in a store that is all but empty, every byte is a great part."""
    found = leaks(compared(before, take(client, names)))
    return {row.what for row in found if row.measure is not Measure.BYTES}


def remember(client: "redis.Redis", name: str, times: str, field: str, ms: float) -> None:
    client.hset(f"q:{{test:work/0}}:{name}", field, "x")
    client.zadd(f"q:{{test:work/0}}:{times}", {field: ms})


def test_a_key_and_a_field_that_stay_are_leaks(client: "redis.Redis") -> None:
    before = take(client, Names())
    client.hset("q:{test:work/0}:failures", "job", 1)
    client.hset("q:{test:work/0}:checkpoints", "job", "half")
    assert left(client, before, Names()) == {"keys", "test:work failures", "test:work checkpoints"}


def test_a_key_that_ends_by_itself_is_none(client: "redis.Redis") -> None:
    before = take(client, Names())
    client.set("q:{health/0}:probe", "", px=60_000)
    assert left(client, before, Names()) == set()


def test_names_that_callers_used_may_be_remembered_until_they_end(
    client: "redis.Redis",
) -> None:
    before = take(client, Names())
    later = time.time() * 1000 + DAY
    remember(client, "requests", "request_times", "digest", later)
    remember(client, "ids", "gone", "mine", later)
    remember(client, "ids", "gone", "repeat-nightly-1", later)
    assert left(client, before, Names(requests=1, jobs={"mine"})) == set()
    assert left(client, before, Names()) == {"request ids that nobody used", "job ids that nobody used"}


def test_a_name_without_an_end_is_a_leak(client: "redis.Redis") -> None:
    names = Names(requests=1, jobs={"mine"})
    before = take(client, names)
    client.hset("q:{test:work/0}:ids", "mine", "x")
    assert left(client, before, names) == {"names without an end"}
    client.delete("q:{test:work/0}:ids")
    client.hset("q:{test:work/0}:requests", "digest", "x")
    assert left(client, before, names) == {"names without an end"}


def test_the_latest_of_something_may_be_as_many_as_it_is_bounded_to(
    client: "redis.Redis",
) -> None:
    before = take(client, Names())
    for place in range(6):
        client.hset("q:{test:work/0}:rates", str(place), "x")
    assert left(client, before, Names()) == set()
    client.hset("q:{test:work/0}:rates", "7", "x")
    assert left(client, before, Names()) == {"test:work rates beyond its bound"}


def test_what_is_kept_of_a_schedule_that_is_gone_is_a_leak(client: "redis.Redis") -> None:
    before = take(client, Names())
    client.hset("q:{schedules/0}:records", "nightly", "x")
    client.hset("q:{schedules/0}:runs", "nightly", "x")
    assert left(client, before, Names()) == {"keys", "schedules records"}
    client.hset("q:{schedules/0}:runs", "gone", "x")
    assert left(client, before, Names()) == {"keys", "schedules records", "runs of schedules that are gone"}
