"""Reads the entries of a queue's event stream, which lua/include/events.lua writes."""

from collections.abc import Container, Mapping
from typing import Any, Final

from engine.jobs import EventKind, JobEvent, State
from engine.packing import unpack
from engine.schema import EventEntry

Place = tuple[int, int, int]
"""Where something stands in a stream: the entry's milliseconds and number, and the index in it."""

AFTER_ENTRY: Final = 999_999_999
"""The index behind every event of an entry."""
LAST_NUMBER: Final = 2**64 - 1
"""The highest number that an entry can have, and that XRANGE accepts as a bound."""
_FIELDS: Final = len(EventEntry._fields)
_ID: Final = EventEntry._fields.index("id")

Fields = Mapping[bytes, bytes]
Entry = tuple[str, Fields]


def place_of(entry_id: str, index: int) -> Place:
    ms, _, number = entry_id.partition("-")
    return int(ms), int(number), index


def place_in(sequence: str) -> Place:
    """The place that a sequence names."""
    ms, number, index = sequence.split("-")
    return int(ms), int(number), int(index)


def sequence_of(place: Place) -> str:
    return "-".join(map(str, place))


def read_events(queue: str, entry: Entry, wanted: Container[str]) -> list[JobEvent]:
    """The events in an entry that are about a job in `wanted`."""
    entry_id, fields = entry
    flat = unpack(fields[b"e"])
    kinds = fields.get(b"k", b"").decode()
    time = int(entry_id.partition("-")[0])
    return [
        _event(queue, f"{entry_id}-{i}", time, EventEntry(*flat[i * _FIELDS : (i + 1) * _FIELDS]), kinds[i : i + 1])
        for i, job_id in enumerate(flat[_ID::_FIELDS])
        if job_id in wanted
    ]


def _event(queue: str, sequence: str, time: int, told: EventEntry, kind: str) -> JobEvent:
    removed = told.state == EventKind.REMOVED
    return JobEvent(
        queue=queue,
        job_id=told.id,
        sequence=sequence,
        time=time,
        kind=EventKind.REMOVED if removed else EventKind(kind or _guessed(told)),
        state=None if removed else State(told.state),
        progress=float(told.progress),
        text=told.text,
    )


def _guessed(told: EventEntry) -> EventKind:
    """The kind of an event that a process of a release before 0.2 wrote, which told none."""
    if told.state != State.ACTIVE or (not told.text and not told.progress):
        return EventKind.STATE
    return EventKind.LOG if told.text else EventKind.PROGRESS


def entries_of(answer: Any) -> list[Entry]:
    """The entries of XREAD's answer, which is a list or, under RESP3, a mapping."""
    if not answer:
        return []
    ((_, entries),) = answer.items() if isinstance(answer, dict) else answer
    if entries and isinstance(entries[0], list) and entries[0] and isinstance(entries[0][0], list | tuple):
        entries = entries[0]
    return [(entry_id.decode(), fields) for entry_id, fields in entries]
