"""Holds the indexes of a queue against its records."""

from typing import Any

from engine.packing import unpack
from engine.store import Store

from .conftest import QUEUE

_STATE, _CREATED, _OWNER = 0, 9, 21
_CLASSES = {"w": "w", "a": "w", "d": "d", "c": "c", "f": "f", "x": "x"}


async def assert_indexes_agree(store: Store, queue: str = QUEUE) -> None:
    """Each job is in both indexes under its class, and nothing else is."""
    client: Any = store.client
    keys = store.keys(queue)
    records = {job_id.decode(): unpack(kept) for job_id, kept in (await client.hgetall(keys["states"])).items()}
    members = {
        job_id: f"{_CLASSES[record[_STATE]]}{int(record[_CREATED]):013d}{job_id}" for job_id, record in records.items()
    }
    indexed = [member.decode() for member in await client.zrange(keys["index"], 0, -1)]
    assert sorted(indexed) == sorted(members.values())
    owned = [member.decode() for member in await client.zrange(keys["owned"], 0, -1)]
    assert sorted(owned) == sorted(f"{records[job_id][_OWNER]}\0{member}" for job_id, member in members.items())
