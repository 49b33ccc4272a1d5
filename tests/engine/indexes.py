"""Holds the indexes of a queue against its records."""

from typing import Any

from engine.packing import unpack
from engine.store import Store

from .conftest import QUEUE

_STATE, _CREATED, _OWNER = 0, 9, 21
_CLASSES = {"w": 1, "a": 1, "d": 2, "c": 3, "f": 4, "x": 5}


async def assert_indexes_agree(store: Store, queue: str = QUEUE) -> None:
    """Each job is in both indexes under its class, and nothing else is."""
    client: Any = store.client
    keys = store.keys(queue)
    records = {job_id.decode(): unpack(kept) for job_id, kept in (await client.hgetall(keys["states"])).items()}
    places = {job_id: f"{int(record[_CREATED]):013d}{job_id}" for job_id, record in records.items()}
    classes = {job_id: _CLASSES[record[_STATE]] for job_id, record in records.items()}
    indexed = await client.zrange(keys["index"], 0, -1, withscores=True)
    assert {job_id.decode(): score for job_id, score in indexed} == {
        job_id: classes[job_id] * 2**44 + record[_CREATED] for job_id, record in records.items()
    }
    owned = await client.zrange(keys["owned"], 0, -1, withscores=True)
    assert {member.decode(): score for member, score in owned} == {
        f"{record[_OWNER]}\0{places[job_id]}": classes[job_id] for job_id, record in records.items()
    }
