"""Pages of jobs: of one queue or of several in one order."""

from collections.abc import Sequence
from typing import Final

from contract.errors import FieldProblem, RequestInvalidError
from engine.jobs import JobPage, JobQuery, JobRecord, State
from engine.packing import pack
from engine.paging import PageToken, Place, ScoredPlace, query_digest, read_scored_token, read_token
from engine.records import read_record
from engine.schema import ListedJob, rows_of
from engine.store import Store
from engine.walking import Found, Walker

CREATED, CREATED_DESC, BY_STATE = "createTime", "createTime desc", "state"

_STEPS: Final = 50
"""Script calls for one page, beside the first of each queue: a search that finds little answers a short page and goes on with
the next."""
_PAGE_BYTES: Final = 1_000_000
"""A page of large jobs is short: with one job beyond this it stays below the 4 MB that gRPC's clients take."""


class _Trail:
    """How far a page has come in one queue."""

    def __init__(self, queue: str, start: Place | None) -> None:
        self.queue = queue
        self.came_to = start
        self.at_end = False


class Pages:
    """Reads pages. Payloads are fetched for the jobs of the page alone."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._walker = Walker(store)

    async def page(self, queues: Sequence[str], query: JobQuery, order: str, size: int, token: str) -> JobPage:
        """See `Inspection.page`."""
        digest = query_digest(queues, query, order)
        if order == BY_STATE:
            state = _single_state(queues, query)
            # Running jobs have no order of their own that would hold still: their leases are renewed every second.
            if state is not State.ACTIVE:
                return await self._in_state(queues[0], query, digest, size, read_scored_token(token, digest))
        return await self._in_order(queues, query, digest, size, read_token(token, digest), backwards=order != CREATED)

    async def _in_order(
        self, queues: Sequence[str], query: JobQuery, digest: str, size: int, start: Place | None, *, backwards: bool
    ) -> JobPage:
        """In the order of creation. A job is shown once all queues have been read up to its place."""
        trails = [_Trail(queue, start) for queue in queues]
        found: list[Found] = []
        ready: list[Found] = []
        scanned = 0
        for number in range(_STEPS + len(trails)):
            # Each queue once, then the one that is behind.
            trail = trails[number] if number < len(trails) else _behind(trails, backwards=backwards)
            step = await self._walker.step(trail.queue, query, trail.came_to, size, backwards=backwards)
            found += step.found
            scanned += step.scanned
            trail.at_end = step.at_end
            if step.came_to:
                trail.came_to = Place.of_key(step.came_to, trail.queue)
            if number >= len(trails) - 1:
                ready = _in_sight(found, trails, backwards=backwards)
                if len(ready) >= size or all(trail.at_end for trail in trails):
                    break
        shown = ready[:size]
        records, taken = await self._fetch(shown, query)
        place: Place | None = None
        if taken < len(ready):
            place = ready[taken - 1].place
        elif not all(trail.at_end for trail in trails):
            place = _behind(trails, backwards=backwards).came_to
        return JobPage(tuple(records), PageToken(digest, place).text if place else "", scanned)

    async def _in_state(
        self, queue: str, query: JobQuery, digest: str, size: int, place: ScoredPlace | None
    ) -> JobPage:
        """In the own order of a state."""
        found: list[Found] = []
        scanned, at_end = 0, False
        for _ in range(_STEPS):
            step = await self._walker.step_in_state(queue, query, place, size - len(found))
            found += step.found
            scanned += step.scanned
            at_end = step.at_end
            if step.came_to:
                place = ScoredPlace(*step.came_to.split(" ", 1))
            if at_end or len(found) >= size:
                break
        records, taken = await self._fetch(found, query)
        if taken < len(found):
            place, at_end = ScoredPlace(found[taken - 1].score, found[taken - 1].job_id), False
        return JobPage(tuple(records), "" if at_end or place is None else PageToken(digest, place).text, scanned)

    async def _fetch(self, found: Sequence[Found], query: JobQuery) -> tuple[list[JobRecord], int]:
        """The jobs themselves, as many from the first on as a page holds, and how many that are.

        Some may be gone by now, or in another state, and are left out.
        """
        fetched: dict[Found, JobRecord | None] = {}
        for queue in dict.fromkeys(one.queue for one in found):
            ours = [one for one in found if one.queue == queue]
            names = pack([one.job_id for one in ours])
            async with self._store.looks.turn():
                answer = await self._store.run("fetch", queue, names, _PAGE_BYTES)
            for one, job in zip(ours, rows_of(ListedJob, answer), strict=False):  # there may be fewer
                fetched[one] = read_record(one.job_id, job)
        records: list[JobRecord] = []
        taken = size = 0
        for one in found:
            if one not in fetched or size > _PAGE_BYTES:
                break
            taken += 1
            record = fetched[one]
            if record is not None and (not query.states or record.state in query.states):
                records.append(record)
                size += record.envelope.ByteSize() + len(record.result)
        return records, taken


def _single_state(queues: Sequence[str], query: JobQuery) -> State:
    if len(queues) != 1 or len(query.states) != 1:
        said = 'the order "state" needs one queue, and exactly one state in `states`'
        raise RequestInvalidError([FieldProblem("orderBy", "single_state", said)])
    (state,) = query.states
    return state


def _behind(trails: Sequence[_Trail], *, backwards: bool) -> _Trail:
    """Of those that go on, the one that has come least far."""
    going = [trail for trail in trails if not trail.at_end]
    begun = [trail for trail in going if trail.came_to is not None]
    if len(begun) < len(going):
        return next(trail for trail in going if trail.came_to is None)
    return (max if backwards else min)(begun, key=_came_to)


def _came_to(trail: _Trail) -> Place:
    assert trail.came_to is not None
    return trail.came_to


def _in_sight(found: Sequence[Found], trails: Sequence[_Trail], *, backwards: bool) -> list[Found]:
    """In order, those before which nothing can be found any more."""
    ordered = sorted(found, key=_place, reverse=backwards)
    if all(trail.at_end for trail in trails):
        return ordered
    edge = _behind(trails, backwards=backwards).came_to
    if edge is None:
        return []
    return [one for one in ordered if (one.place >= edge if backwards else one.place <= edge)]


def _place(found: Found) -> Place:
    return found.place
