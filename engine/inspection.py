"""Reads jobs and queues: single jobs, pages of them, statistics, logs. Changes nothing."""

from collections.abc import AsyncIterator, Sequence
from typing import Any, Final, cast

from redis import exceptions as redis_errors

from engine.errors import FieldProblem, RequestInvalidError
from engine.jobs import FINISHED, JobPage, JobQuery, JobRecord, LogLine, Quantiles, QueueSnapshot, State
from engine.packing import pack, unpack
from engine.paging import PageToken, query_digest
from engine.records import read_record, read_state
from engine.statistics import read_run_times, read_snapshot
from engine.store import Store, translated

_LOOKED_AT: Final = 1000
"""Jobs that one script call looks at."""
_CALLS: Final = 20
"""Script calls for one page: a search that finds little answers a short page and goes on with the next."""
_SPARSE: Final = 2000
"""Up to so many jobs in the wanted states are read whole and sorted, instead of searched for among all."""
_ROW: Final = 5
_PAGE_BYTES: Final = 1_000_000
"""A page of large jobs is short: with a step of list.lua beyond this it stays below the 4 MB that gRPC's clients take."""

CREATED, CREATED_DESC, BY_STATE = "createTime", "createTime desc", "state"


class Inspection:
    """Looks into queues. `default_limits` are the contract's most active jobs for each queue."""

    def __init__(self, store: Store, default_limits: dict[str, int]) -> None:
        self._store = store
        self._default_limits = default_limits

    async def get(self, queue: str, job_id: str) -> JobRecord | None:
        return (await self.get_many(queue, [job_id]))[0]

    async def get_many(self, queue: str, names: Sequence[str]) -> list[JobRecord | None]:
        """The jobs of these ids, None where there is none, all as of one instant."""
        return (await self._get(queue, names))[0]

    async def snapshot(self, queue: str, job_id: str) -> tuple[JobRecord | None, str]:
        """The job, and the id of the queue's last event at that very instant."""
        (record,), last = await self._get(queue, [job_id])
        return record, last

    async def state(self, queue: str, job_id: str) -> State | None:
        """Where the job stands, None if there is no such job: of a job it reads the least that there is."""
        try:
            async with self._store.turn:
                kept = await cast("Any", self._store.client).hget(self._store.keys(queue)["states"], job_id)
        except (redis_errors.RedisError, OSError) as error:
            raise translated(error) from error
        return read_state(kept) if kept else None

    async def _get(self, queue: str, names: Sequence[str]) -> tuple[list[JobRecord | None], str]:
        answer = await self._store.run("get", queue, pack(list(names)))
        records = []
        for place, job_id in enumerate(names):
            state, envelope, secret, output, failures = answer[1 + place * 5 : 6 + place * 5]
            records.append(
                read_record(job_id, state, envelope, secret, output, failures) if state and envelope else None
            )
        return records, answer[0].decode()

    async def page(self, queue: str, query: JobQuery, order: str = "", size: int = 50, token: str = "") -> JobPage:
        """A page of the jobs that match. `order` is CREATED, CREATED_DESC (also if empty) or BY_STATE.

        A page may be short with more to come.

        Raises:
          RequestInvalidError: the token is not one of this query's, or the order wants a single state.
        """
        digest = query_digest(query, order)
        after = PageToken.read(token, digest)
        if order == BY_STATE and len(query.states) != 1:
            raise RequestInvalidError(
                [FieldProblem("orderBy", "single_state", 'the order "state" needs exactly one state in `states`')]
            )
        (state,) = query.states if order == BY_STATE else (None,)
        if state is not None and state is not State.ACTIVE:
            return await self._walk(queue, query, state.value, after, size, backwards=state in FINISHED)
        backwards = order != CREATED
        if query.states and await self._held(queue, query.states) <= _SPARSE:
            return await self._sorted(queue, query, after, size, backwards=backwards)
        return await self._walk(queue, query, "all", after, size, backwards=backwards)

    async def _held(self, queue: str, states: frozenset[State]) -> int:
        (snapshot,) = await self.stats([queue])
        return sum(snapshot.counts[state] for state in states)

    async def _walk(
        self, queue: str, query: JobQuery, index: str, after: PageToken, size: int, *, backwards: bool
    ) -> JobPage:
        """Along one index, from where the page before ended."""
        found: list[JobRecord] = []
        place, at_end = after.place, False
        for _ in range(_CALLS):
            rows, place, at_end = await self._step(queue, query, index, place, size - len(found), backwards=backwards)
            found += rows
            if at_end or len(found) >= size or sum(map(_bytes, found)) > _PAGE_BYTES:
                break
        return JobPage(tuple(found), "" if at_end else PageToken(after.digest, place).text)

    async def _sorted(self, queue: str, query: JobQuery, after: PageToken, size: int, *, backwards: bool) -> JobPage:
        """All jobs in the wanted states, which are few, in the order of their creation."""
        found: dict[str, JobRecord] = {}
        for index in _sets(query.states):
            place, at_end = "", False
            while not at_end:
                rows, place, at_end = await self._step(queue, query, index, place, _SPARSE, backwards=False)
                found |= {record.id: record for record in rows}
        ordered = sorted(found.values(), key=_created_order, reverse=backwards)
        if after.place:
            edge = after.created_order
            ordered = [r for r in ordered if (_created_order(r) < edge if backwards else _created_order(r) > edge)]
        page = _within_bytes(ordered[:size])
        token = PageToken(after.digest, f"{page[-1].created} {page[-1].id}").text if len(ordered) > len(page) else ""
        return JobPage(tuple(page), token)

    async def _step(
        self, queue: str, query: JobQuery, index: str, place: str, wanted: int, *, backwards: bool
    ) -> tuple[list[JobRecord], str, bool]:
        states = "".join(sorted(query.states))
        conditions = (states, query.type, query.owner, query.created_after, query.created_before, query.text)
        came_to, at_end, *rows = await self._store.run(
            "list", queue, index, int(backwards), place, wanted, _LOOKED_AT, pack(conditions)
        )
        records = [
            read_record(rows[i].decode(), rows[i + 1], rows[i + 2], None, rows[i + 3], rows[i + 4])
            for i in range(0, len(rows), _ROW)
        ]
        return records, came_to.decode(), bool(at_end)

    async def ids(
        self, queue: str, query: JobQuery, states: frozenset[State], chunk: int
    ) -> AsyncIterator[Sequence[str]]:
        """The ids of the jobs in `states` that match, in chunks; jobs may change state meanwhile."""
        for index in _sets(states):
            place, at_end = "", False
            while not at_end:
                rows, place, at_end = await self._step(queue, query, index, place, chunk, backwards=False)
                if rows:
                    yield [record.id for record in rows if record.state in states]

    async def stats(self, queues: Sequence[str]) -> list[QueueSnapshot]:
        """Each queue at one instant; counts are exact. Constant time, whatever the queues hold."""
        answers = await self._store.run_on_each("stats", queues)
        return [
            read_snapshot(queue, answer, self._default_limits.get(queue, 0))
            for queue, answer in zip(queues, answers, strict=True)
        ]

    async def run_times(self, queues: Sequence[str]) -> Quantiles:
        """How long attempts ran in all of these queues together, over the last five minutes."""
        return read_run_times(await self._store.run_on_each("stats", queues))

    async def logs(self, queue: str, job_id: str) -> tuple[list[LogLine], int] | None:
        """The latest log lines, oldest first, and how many were written in all; None if there is no such job."""
        total, *lines = await self._store.run("logs", queue, job_id)
        if total < 0:
            return None
        return [LogLine(int(time), message) for time, message in map(unpack, lines)], total


def _sets(states: frozenset[State]) -> list[str]:
    """The sets in which the jobs in these states are, by their letters: those set aside wait too."""
    return [*sorted(state.value for state in states), *("p" if State.WAITING in states else "")]


def _bytes(record: JobRecord) -> int:
    return record.envelope.ByteSize() + len(record.result)


def _within_bytes(records: Sequence[JobRecord]) -> Sequence[JobRecord]:
    """The first of them, up to the one that makes the page large."""
    total = 0
    for number, record in enumerate(records, 1):
        total += _bytes(record)
        if total > _PAGE_BYTES:
            return records[:number]
    return records


def _created_order(record: JobRecord) -> tuple[int, str]:
    return record.created, record.id
