"""What operators do: cancel, retry, promote and delete jobs, one or many; pause, limit and clean queues."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from engine.errors import JobNotFoundError, JobPurgedError, JobServiceError, JobStateConflictError
from engine.inspection import Inspection
from engine.jobs import JobQuery, JobRecord, State
from engine.packing import pack
from engine.store import Store

BULK_LIMIT: Final = 100_000
"""Jobs that one bulk call changes at most."""
_CHUNK: Final = 200
_PURGED: Final = "P"


@dataclass(frozen=True, slots=True)
class _Action:
    """One way to change jobs: its script, the states that admit it, and how a refusal reads."""

    script: str
    admits: frozenset[State]
    deed: str
    remedy: str
    settled: frozenset[State] = frozenset()
    """States in which it has been done already: no change, and no error."""


CANCEL: Final = _Action(
    "cancel",
    frozenset({State.WAITING, State.DELAYED, State.ACTIVE}),
    "cancelled",
    "only a job that has not ended can be",
    frozenset({State.CANCELLED}),
)
RETRY: Final = _Action(
    "retry", frozenset({State.FAILED, State.CANCELLED}), "retried", "only a failed or cancelled job can be"
)
PROMOTE: Final = _Action("promote", frozenset({State.DELAYED}), "promoted", "only a delayed job can be")
DELETE: Final = _Action(
    "delete", frozenset(State) - {State.ACTIVE}, "deleted", "cancel it first: only a job that does not run can be"
)


@dataclass(slots=True)
class BulkResult:
    """What a bulk action came to."""

    matched: int = 0
    """Jobs that match and whose state admits the action."""
    changed: int = 0
    failures: list[tuple[str, JobServiceError]] = field(default_factory=list)
    """The first hundred jobs that were asked for and not changed."""
    more: bool = False
    """More match than one call changes."""


class Steering:
    """Changes jobs and queues."""

    def __init__(self, store: Store, inspection: Inspection) -> None:
        self._store = store
        self._inspection = inspection

    async def cancel(self, queue: str, job_id: str, reason: str = "") -> JobRecord:
        """Cancels a job; a running one stops being its worker's at once.

        Raises:
          JobNotFoundError: there is no such job.
          JobStateConflictError: it has completed or failed.
        """
        return await self._one(CANCEL, queue, job_id, reason or "cancelled")

    async def retry(self, queue: str, job_id: str) -> JobRecord:
        """Runs a failed or cancelled job again.

        Raises:
          JobNotFoundError, JobStateConflictError: as for cancel.
          JobPurgedError: its sensitive values are gone.
        """
        return await self._one(RETRY, queue, job_id)

    async def promote(self, queue: str, job_id: str) -> JobRecord:
        """Makes a delayed job ready. Raises JobNotFoundError or JobStateConflictError."""
        return await self._one(PROMOTE, queue, job_id)

    async def delete(self, queue: str, job_id: str) -> None:
        """Removes a job that does not run. Raises JobNotFoundError or JobStateConflictError."""
        (before,) = await self._apply(DELETE, queue, [job_id])
        if refusal := _refusal(DELETE, queue, job_id, before):
            raise refusal

    async def _one(self, action: _Action, queue: str, job_id: str, *arguments: str) -> JobRecord:
        (before,) = await self._apply(action, queue, [job_id], *arguments)
        if refusal := _refusal(action, queue, job_id, before):
            raise refusal
        record = await self._inspection.get(queue, job_id)
        if record is None:
            raise job_not_found(queue, job_id)
        return record

    async def _apply(self, action: _Action, queue: str, names: Sequence[str], *arguments: str) -> list[str]:
        """Each job's state before."""
        answer = await self._store.run(action.script, queue, pack(list(names)), *arguments)
        return [state.decode() for state in answer]

    async def change_many(
        self, action: _Action, queue: str, names: Sequence[str] | JobQuery, *, validate_only: bool = False
    ) -> BulkResult:
        """Does `action` to the jobs of these ids, or to all that match; with `validate_only` it only counts."""
        result = BulkResult()
        arguments = ("cancelled",) if action is CANCEL else ()
        async for chunk in self._chunks(action, queue, names):
            if validate_only:
                await self._count(action, queue, chunk, result)
                continue
            for job_id, before in zip(chunk, await self._apply(action, queue, chunk, *arguments), strict=True):
                _note(result, job_id, _refusal(action, queue, job_id, before, bulk=True))
            if result.changed >= BULK_LIMIT:
                result.more = True
                break
        return result

    async def _chunks(
        self, action: _Action, queue: str, names: Sequence[str] | JobQuery
    ) -> AsyncIterator[Sequence[str]]:
        if not isinstance(names, JobQuery):
            unique = list(dict.fromkeys(names))
            for first in range(0, len(unique), _CHUNK):
                yield unique[first : first + _CHUNK]
            return
        wanted = names.states & action.admits if names.states else action.admits
        if wanted:
            async for chunk in self._inspection.ids(queue, names, wanted, _CHUNK):
                yield chunk

    async def _count(self, action: _Action, queue: str, chunk: Sequence[str], result: BulkResult) -> None:
        for job_id, record in zip(chunk, await self._inspection.get_many(queue, chunk), strict=True):
            before = record.state.value if record else ""
            refusal = _refusal(action, queue, job_id, before, bulk=True)
            result.matched += refusal is None
            if refusal is not None and len(result.failures) < 100:  # noqa: PLR2004  (as BulkResult says)
                result.failures.append((job_id, refusal))

    async def pause(self, queue: str) -> None:
        """No further job starts once this returns."""
        await self._steer(queue, {"paused": 1})

    async def resume(self, queue: str) -> None:
        await self._steer(queue, {"paused": False})

    async def limit(self, queue: str, max_active: int | None = None, rate: tuple[int, int] | None = None) -> None:
        """Sets limits over all workers: `max_active` 0 takes that away, `rate` is (jobs, ms), jobs 0 takes it away."""
        fields: dict[str, int | bool] = {}
        if max_active is not None:
            fields["max_active"] = max_active
        if rate is not None:
            jobs, period = rate
            fields |= {"rate_max": jobs or False, "rate_period": period if jobs else False, "rate_began": False}
        if fields:
            await self._steer(queue, fields)

    async def _steer(self, queue: str, fields: dict[str, int | bool]) -> None:
        await self._store.run("steer", queue, pack([part for pair in fields.items() for part in pair]))

    async def clean(self, queue: str, grace_ms: int) -> dict[State, int]:
        """Removes finished jobs that ended at least `grace_ms` ago; how many, by state."""
        removed = dict.fromkeys((State.COMPLETED, State.FAILED, State.CANCELLED), 0)
        more = True
        while more:
            *counts, more = await self._store.run("clean", queue, grace_ms)
            for state, count in zip(removed, counts, strict=True):
                removed[state] += count
        return removed


def _note(result: BulkResult, job_id: str, refusal: JobServiceError | None) -> None:
    if refusal is None:
        result.matched += 1
        result.changed += 1
    elif len(result.failures) < 100:  # noqa: PLR2004  (as BulkResult says)
        result.failures.append((job_id, refusal))


def job_not_found(queue: str, job_id: str) -> JobNotFoundError:
    return JobNotFoundError(f"{queue} holds no job {job_id!r}.", queue=queue, job=job_id)


def _refusal(action: _Action, queue: str, job_id: str, before: str, *, bulk: bool = False) -> JobServiceError | None:
    """Why a job in the state `before` was not changed; None if it was. In bulk, what was so before is refused."""
    if not before:
        return job_not_found(queue, job_id)
    if before == _PURGED:
        return JobPurgedError(
            f"Job {job_id} cannot run again: its sensitive values were purged when it ended. Enqueue it anew.",
            queue=queue,
            job=job_id,
        )
    state = State(before)
    if state in action.admits or (state in action.settled and not bulk):
        return None
    return JobStateConflictError(
        f"Job {job_id} is {state.name.lower()} and cannot be {action.deed}: {action.remedy}.",
        queue=queue,
        job=job_id,
        state=f"JOB_STATE_{state.name}",
    )
