"""What operators do: cancel, retry, promote and delete jobs, one or many; pause, limit and clean queues."""

from collections.abc import Mapping, Sequence

from qcollector.jobs.v1.job_pb2 import Caller

from contract.errors import EtagMismatchError
from engine.actions import CANCEL, DELETE, PROMOTE, RETRY, Action, job_not_found, refusal
from engine.bulk import Bulk, BulkResult, apply
from engine.inspection import Inspection
from engine.jobs import JobQuery, JobRecord, QueueLimits, State
from engine.packing import pack
from engine.schema import Limits
from engine.store import Store

Value = int | bool | bytes | str


class Steering:
    """Changes jobs and queues. A `reason` is told to those who watch."""

    def __init__(self, store: Store, inspection: Inspection) -> None:
        self._store = store
        self._inspection = inspection
        self._bulk = Bulk(store)

    async def cancel(self, queue: str, job_id: str, reason: str = "") -> JobRecord:
        """Cancels a job; a running one stops being its worker's at once. The job keeps the reason.

        Raises:
          JobNotFoundError: there is no such job.
          JobStateConflictError: it has completed or failed.
        """
        return await self._one(CANCEL, queue, job_id, reason)

    async def retry(self, queue: str, job_id: str, reason: str = "") -> JobRecord:
        """Runs a failed or cancelled job again.

        Raises:
          JobNotFoundError, JobStateConflictError: as for cancel.
          JobPurgedError: its sensitive values are gone.
        """
        return await self._one(RETRY, queue, job_id, reason)

    async def promote(self, queue: str, job_id: str, reason: str = "") -> JobRecord:
        """Makes a delayed job ready. Raises JobNotFoundError or JobStateConflictError."""
        return await self._one(PROMOTE, queue, job_id, reason)

    async def delete(self, queue: str, job_id: str, reason: str = "") -> None:
        """Removes a job that does not run. Raises JobNotFoundError or JobStateConflictError."""
        await self._change(DELETE, queue, job_id, reason)

    async def _change(self, action: Action, queue: str, job_id: str, reason: str) -> None:
        (before,) = await apply(self._store, action, queue, [job_id], action.admits, reason)
        if problem := refusal(action, queue, job_id, before):
            raise problem

    async def _one(self, action: Action, queue: str, job_id: str, reason: str) -> JobRecord:
        await self._change(action, queue, job_id, reason)
        record = await self._inspection.get(queue, job_id)
        if record is None:
            raise job_not_found(queue, job_id)
        return record

    async def change_many(
        self,
        action: Action,
        queue: str,
        names: Sequence[str] | JobQuery,
        *,
        reason: str = "",
        token: str = "",
        validate_only: bool = False,
    ) -> BulkResult:
        """Does `action` to the jobs of these ids, or to all that match; with `validate_only` it only counts.

        `token` goes on where an earlier call with the same query ended.

        Raises:
          RequestInvalidError: the token is not one of this query's.
          StoreUnavailableError: the store went away; what was done until then is done.
        """
        if isinstance(names, JobQuery):
            return await self._bulk.by_query(action, queue, names, reason, token, validate_only=validate_only)
        return await self._bulk.by_ids(action, queue, names, reason, validate_only=validate_only)

    async def pause(self, queue: str, by: Caller | None = None, reason: str = "") -> None:
        """No further job starts once this returns. Who paused a queue, and why, is told until it is resumed."""
        caller = (by or Caller()).SerializeToString()
        await self._steer(queue, {"paused": 1, "paused_at": True, "paused_by": caller, "pause_reason": reason})

    async def resume(self, queue: str) -> None:
        await self._steer(queue, dict.fromkeys(("paused", "paused_at", "paused_by", "pause_reason"), False))

    async def limit(
        self, queue: str, max_active: int | None = None, rate: tuple[int, int] | None = None, etag: str = ""
    ) -> None:
        """Sets limits over all workers: `max_active` 0 takes that away, `rate` is (jobs, ms), jobs 0 takes it away.

        Raises:
          EtagMismatchError: the limits in force are not those that the caller has seen.
        """
        expected = await self._expected(queue, etag) if etag else None
        fields: dict[str, int | bool] = {}
        if max_active is not None:
            fields["max_active"] = max_active
        if rate is not None:
            jobs, period = rate
            fields |= {"rate_max": jobs or False, "rate_period": period if jobs else False, "rate_began": False}
        if fields and not await self._steer(queue, fields, expected):
            raise _limits_changed(queue)

    async def _expected(self, queue: str, etag: str) -> QueueLimits:
        """The limits that the etag stands for, which are those in force. Raises EtagMismatchError."""
        (snapshot,) = await self._inspection.stats([queue])
        if snapshot.limits.etag != etag:
            raise _limits_changed(queue)
        return snapshot.limits

    async def _steer(self, queue: str, fields: Mapping[str, Value], expected: QueueLimits | None = None) -> bool:
        """Returns whether it was done: not where other limits than those expected are in force."""
        compared = Limits(expected.max_active, expected.rate_max, expected.rate_period) if expected else ()
        packed = pack([part for pair in fields.items() for part in pair])
        default = self._inspection.default_max_active(queue)
        return bool(await self._store.run("steer", queue, packed, pack(compared), default))

    async def clean(self, queue: str, grace_ms: int) -> dict[State, int]:
        """Removes finished jobs that ended at least `grace_ms` ago; how many, by state."""
        removed = dict.fromkeys((State.COMPLETED, State.FAILED, State.CANCELLED), 0)
        more = True
        while more:
            *counts, more = await self._store.run("clean", queue, grace_ms)
            for state, count in zip(removed, counts, strict=True):
                removed[state] += count
        return removed


def _limits_changed(queue: str) -> EtagMismatchError:
    return EtagMismatchError(
        f"The limits of {queue} have been changed since you read them. Read them again, and change those.", queue=queue
    )
