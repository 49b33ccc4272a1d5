"""Holds the indexes of a queue against its records."""

from typing import Any

from engine.jobs import State
from engine.packing import unpack
from engine.schema import Record
from engine.store import Store

from .conftest import QUEUE

_CLASSES = {
    State.WAITING: 1,
    State.ACTIVE: 1,
    State.DELAYED: 2,
    State.COMPLETED: 3,
    State.FAILED: 4,
    State.CANCELLED: 5,
}


async def assert_indexes_agree(store: Store, queue: str = QUEUE) -> None:
    """Each job is in both indexes under its class, and nothing else is."""
    client: Any = store.client
    keys = store.keys(queue)
    stored = await client.hgetall(keys["states"])
    records = {job_id.decode(): Record.read(unpack(kept)) for job_id, kept in stored.items()}
    places = {job_id: f"{int(record.created):013d}{job_id}" for job_id, record in records.items()}
    classes = {job_id: _CLASSES[State(record.state)] for job_id, record in records.items()}
    indexed = await client.zrange(keys["index"], 0, -1, withscores=True)
    assert {job_id.decode(): score for job_id, score in indexed} == {
        job_id: classes[job_id] * 2**44 + record.created for job_id, record in records.items()
    }
    owned = await client.zrange(keys["owned"], 0, -1, withscores=True)
    assert {member.decode(): score for member, score in owned} == {
        f"{record.owner}\0{places[job_id]}": classes[job_id] for job_id, record in records.items()
    }
