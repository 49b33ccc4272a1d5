"""One action on many jobs: by their ids, or by a query that a walk in the order of creation follows to its end."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from contract.errors import JobServiceError
from engine.actions import CANCEL, RETRY, Action, refusal
from engine.jobs import JobQuery, State
from engine.packing import pack
from engine.paging import PageToken, Place, query_digest, read_token
from engine.schema import Refusal, Secret, StateRow, rows_of
from engine.store import Store
from engine.walking import Found, Walker

BULK_LIMIT: Final = 100_000
"""Jobs that one call changes, or counts, at most."""
LOOK_LIMIT: Final = 500_000
"""Jobs that one call looks at, at most."""
SECONDS: Final = 20.0
"""How long one call goes on."""
FAILURES_TOLD: Final = 100
_CHUNK: Final = 200


@dataclass(slots=True)
class BulkResult:
    """What a bulk action came to."""

    matched: int = 0
    """Jobs that match and whose state admits the action."""
    changed: int = 0
    failures: list[tuple[str, JobServiceError]] = field(default_factory=list)
    """The first hundred jobs that were asked for, or match, and were not changed."""
    scanned: int = 0
    """Jobs that were looked at."""
    next_token: str = ""
    """Where the call ended before its jobs did: goes on there. Empty means that none is left."""

    def note(self, job_id: str, problem: JobServiceError | None, *, changed: bool) -> None:
        if problem is None:
            self.matched += 1
            self.changed += changed
        elif len(self.failures) < FAILURES_TOLD:
            self.failures.append((job_id, problem))


async def apply(
    store: Store, action: Action, queue: str, names: Sequence[str], admits: Iterable[State], reason: str
) -> list[str]:
    """Does it to the jobs in states that admit it; each job's state before."""
    letters = "".join(sorted(admits))
    told = reason or "cancelled" if action is CANCEL else reason
    before: list[str] = []
    while len(before) < len(names):  # a script may stop early
        answer = await store.run(action.script, queue, pack(list(names[len(before) :])), letters, told)
        before += [state.decode() for state in answer]
    return before


class Bulk:
    """Bulk actions on one store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._walker = Walker(store)

    async def by_ids(
        self, action: Action, queue: str, names: Sequence[str], reason: str, *, validate_only: bool
    ) -> BulkResult:
        """The jobs of these ids, each once. Those that there are not, or whose state does not admit it, are failures."""
        result = BulkResult()
        unique = list(dict.fromkeys(names))
        for first in range(0, len(unique), _CHUNK):
            chunk = unique[first : first + _CHUNK]
            if validate_only:
                before = await self._states(action, queue, chunk)
            else:
                before = await apply(self._store, action, queue, chunk, action.admits, reason)
            for job_id, state in zip(chunk, before, strict=True):
                result.note(job_id, refusal(action, queue, job_id, state, bulk=True), changed=not validate_only)
        result.scanned = len(unique)
        return result

    async def _states(self, action: Action, queue: str, names: Sequence[str]) -> list[str]:
        answer = await self._store.run("states", queue, pack(list(names)))
        return [
            Refusal.PURGED if _is_spent(action, row.secret == Secret.PURGED, row.state.decode()) else row.state.decode()
            for row in rows_of(StateRow, answer)
        ]

    async def by_query(
        self, action: Action, queue: str, query: JobQuery, reason: str, token: str, *, validate_only: bool
    ) -> BulkResult:
        """All that match when the call begins, in the order of their creation.

        One that no longer matches when its turn comes is left alone.
        """
        result = BulkResult()
        admits = query.states & action.admits if query.states else action.admits
        if not admits:
            return result
        digest = query_digest((queue,), query, action.script)
        place = read_token(token, digest)
        wanted = replace(query, states=admits)
        deadline = time.monotonic() + SECONDS
        while True:
            step = await self._walker.step(queue, wanted, place, _CHUNK)
            result.scanned += step.scanned
            await self._change(action, queue, step.found, admits, reason, result, validate_only=validate_only)
            if step.at_end:
                return result
            place = Place.of_key(step.came_to, queue)
            # What is enqueued meanwhile is not chased.
            wanted = replace(wanted, created_before=_earlier(wanted.created_before, step.now + 1))
            spent = result.matched >= BULK_LIMIT or result.scanned >= LOOK_LIMIT or time.monotonic() > deadline
            if spent:
                rest = await self._walker.step(queue, wanted, place, 1)
                result.next_token = "" if rest.at_end and not rest.found else PageToken(digest, place).text
                return result

    async def _change(
        self,
        action: Action,
        queue: str,
        found: Sequence[Found],
        admits: frozenset[State],
        reason: str,
        result: BulkResult,
        *,
        validate_only: bool,
    ) -> None:
        names = [one.job_id for one in found]
        if validate_only:
            before = [Refusal.PURGED if _is_spent(action, one.purged, one.state) else one.state.value for one in found]
        else:
            before = await apply(self._store, action, queue, names, admits, reason) if names else []
        for job_id, state in zip(names, before, strict=True):
            if state == Refusal.PURGED or (state and State(state) in admits):
                result.note(job_id, refusal(action, queue, job_id, state, bulk=True), changed=not validate_only)


def _is_spent(action: Action, purged: bool, state: str) -> bool:
    return action is RETRY and purged and state in {State.FAILED, State.CANCELLED}


def _earlier(bound: int | None, time: int) -> int:
    return time if bound is None else min(bound, time)
