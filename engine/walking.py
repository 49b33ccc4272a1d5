"""Steps along the jobs of a queue: which of them match, without what they carry."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from engine.jobs import JobQuery, State
from engine.layout import Layout
from engine.packing import pack
from engine.paging import Place, ScoredPlace
from engine.schema import Filter, FoundRow, Secret, Stride, rows_of
from engine.store import Store

LOOKED_AT: Final = 200
"""Jobs that one script call looks at, at most."""
_WIDTH: Final = len(Stride._fields)
_LAST_MS: Final = 10**13 - 1
"""The latest time that the indexes can tell apart, in the year 2286."""


@dataclass(frozen=True, slots=True)
class Found:
    """A job that matches."""

    job_id: str
    queue: str
    score: str
    """In the order of creation when it was created, in milliseconds; else its score in the set of its state."""
    state: State
    purged: bool
    """Its sensitive values are gone."""

    @property
    def place(self) -> Place:
        return Place(int(self.score), self.job_id, self.queue)


@dataclass(frozen=True, slots=True)
class Step:
    """What one script call found."""

    found: Sequence[Found]
    scanned: int
    """Jobs that were looked at."""
    came_to: str
    """The place of the last one; empty where there was none."""
    at_end: bool
    now: int
    """The store's time, in milliseconds."""


class Walker:
    """Walks queues of one store, one script call at a time in a process: callers that enqueue do not notice."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._layout = Layout(store)

    async def step(
        self, queue: str, query: JobQuery, after: Place | None, wanted: int, *, backwards: bool = False
    ) -> Step:
        """On from a place, in the order of creation. Of the places that queues share, the queue's name decides.

        Raises:
          StoreUnavailableError: the store is away.
        """
        inclusive = after is not None and (queue < after.queue if backwards else queue > after.queue)
        key = after.key if after else ""
        arguments = (key, int(inclusive), int(backwards), wanted, LOOKED_AT)
        while (step := await self._look("list", queue, query, *arguments)) is None:
            await self._layout.complete(queue)
        return step

    async def step_in_state(self, queue: str, query: JobQuery, after: ScoredPlace | None, wanted: int) -> Step:
        """On from a place, in the own order of the query's one state: next to run first, latest ended first.

        Raises:
          StoreUnavailableError: the store is away.
        """
        (state,) = query.states
        place = after or ScoredPlace("", "")
        step = await self._look("walk", queue, query, state.value, *place, int(state.finished), wanted, LOOKED_AT)
        assert step is not None
        return step

    async def _look(self, script: str, queue: str, query: JobQuery, *arguments: Any) -> Step | None:
        """Calls a script, and again as long as it has searched only a part of a job with much text.

        Returns None where the indexes are behind.
        """
        conditions, begun = _conditions(query), (b"", 0)
        while True:
            async with self._store.looks.turn():
                answer = await self._store.run(script, queue, conditions, *begun, *arguments)
            if len(answer) < _WIDTH:
                return None
            stride = Stride(*answer[:_WIDTH])
            begun = stride.begun_id, stride.begun
            if not any(begun):
                return _step(queue, stride, answer[_WIDTH:])


def _conditions(query: JobQuery) -> bytes:
    states = "".join(sorted(query.states))
    after = min(max(query.created_after, 0), _LAST_MS)
    before = _upper_bound(query.created_before)
    return pack(Filter(states, query.type, query.owner, created_after=after, created_before=before, text=query.text))


def _upper_bound(before: int | None) -> int:
    """As the scripts take it: 0 is no bound. No job was created in the first millisecond of 1970, or earlier."""
    return 0 if before is None or before > _LAST_MS else max(before, 1)


def _text(score: bytes | int) -> str:
    return score.decode() if isinstance(score, bytes) else str(score)


def _step(queue: str, stride: Stride, flat: Sequence[Any]) -> Step:
    found = [
        Found(row.id.decode(), queue, _text(row.score), State(row.state.decode()), row.secret == Secret.PURGED)
        for row in rows_of(FoundRow, flat)
    ]
    return Step(found, stride.looked_at, stride.place.decode(), bool(stride.at_end), int(stride.now))
