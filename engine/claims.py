"""What a worker does with the jobs of one queue: lease, renew, report, settle. Whatever it reports is fenced."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from base.settings import Settings
from contract.catalog import QueuePolicy, active_per_owner
from engine.jobs import Claim, ClaimedJob, Loss, Settlement
from engine.layout import Layout
from engine.packing import pack
from engine.schema import ClaimedRow, LeaseItem, NoteItem, SettleItem, rows_of
from engine.store import Store

MAX_ROWS: Final = 500
MAX_BYTES: Final = 1_000_000
"""Bounds of what one script call settles, as it blocks the store while it runs; a single result may be larger."""
_HOUR_MS, _DAY_MS = 3_600_000, 86_400_000


@dataclass(frozen=True, slots=True)
class Note:
    """What a running job has to say."""

    id: str
    fence: int
    progress: float = -1.0
    """0 to 100; -1 leaves it."""
    messages: tuple[tuple[str, str], ...] = ()
    """Pairs of a kind ("step" or "log") and a text."""
    checkpoint: bytes | None = None


@dataclass(frozen=True, slots=True)
class Reaped:
    stalled: tuple[str, ...]
    """Jobs whose worker had stopped renewing its lease."""
    forgotten: int
    """Finished jobs that retention no longer keeps."""


class Claims:
    """One worker's dealings with one queue. `lease_ms` is how long a job stays its own without a renewal."""

    def __init__(self, store: Store, policy: QueuePolicy, worker: str, settings: Settings) -> None:
        self.queue = policy.name
        self.worker = worker
        self.lease_ms = int(settings.queue_lease_seconds * 1000)
        self._store = store
        self._policy = policy
        self._per_owner = active_per_owner(policy, settings)
        self._settings = settings
        self._layout = Layout(store)
        self._marker = store.keys(policy.name)["marker"]

    async def claim(self, n: int) -> Claim:
        """Leases up to `n` ready jobs, within the queue's limits."""
        rows, due_in = await self._store.run("claim", self.queue, *self._claim_arguments(n))
        return Claim(_claimed(rows), {}, due_in)

    async def settle(self, settlements: Sequence[Settlement], n: int) -> Claim:
        """Reports how attempts ended, and leases up to `n` ready jobs, in one round trip.

        Raises:
          StoreUnavailableError: it is not known what was done. Report the same again: that does no harm.
        """
        if not settlements:
            return await self.claim(n)
        count = settled_at_once(settlements)
        items = [_item(settlement) for settlement in settlements[:count]]
        later = settlements[count:]
        rows, lost, due_in = await self._store.run(
            "settle",
            self.queue,
            pack(items),
            *self._claim_arguments(0 if later else n),
        )
        found = Claim(_claimed(rows), _losses(lost), due_in)
        if not later:
            return found
        rest = await self.settle(later, n)
        return Claim(rest.jobs, {**found.lost, **rest.lost}, rest.due_in)

    def _claim_arguments(self, n: int) -> tuple[Any, ...]:
        return min(n, MAX_ROWS), self.worker, self.lease_ms, self._policy.max_active, self._per_owner

    async def extend(self, held: Sequence[tuple[str, int]]) -> Mapping[str, Loss]:
        """Renews the leases of jobs (id, fence); answers those that are no longer this worker's."""
        if not held:
            return {}
        return _losses(
            await self._store.run(
                "extend", self.queue, self.worker, self.lease_ms, pack([LeaseItem(*lease) for lease in held])
            )
        )

    async def note(self, notes: Sequence[Note]) -> list[Loss | None]:
        """Writes what running jobs say; None for each, unless it is no longer this worker's."""
        items = [
            NoteItem(
                id=note.id,
                fence=note.fence,
                progress=note.progress,
                messages=[part for message in note.messages for part in message],
                checkpoint=False if note.checkpoint is None else note.checkpoint,
            )
            for note in notes
        ]
        answer = await self._store.run("note", self.queue, self.worker, pack(items))
        return [Loss(why.decode()) if why else None for why in answer]

    async def reap(self) -> Reaped:
        """Housekeeping, for whoever comes by: stalled jobs start again, due ones become ready, old ones go."""
        settings = self._settings
        stalled: list[str] = []
        forgotten = 0
        for _ in range(100):
            names, dropped, more = await self._store.run(
                "reap",
                self.queue,
                *(self._policy.keep_completed, self._policy.keep_failed, int(settings.queue_min_retention * 1000)),
                int(settings.retention_completed_hours * _HOUR_MS),
                int(settings.retention_failed_days * _DAY_MS),
                self._per_owner,
            )
            stalled += [name.decode() for name in names]
            forgotten += dropped
            if not more:
                break
        await self._layout.mend(self.queue)
        return Reaped(tuple(stalled), forgotten)

    async def wait_for_work(self, seconds: float) -> bool:
        """Waits until jobs become ready; False when none did. Takes the wake-up: use it, or `hand_on_wakeup`.

        It holds a connection of its own while it waits, and gives it up with the wait.
        """
        # The client's reply timeout (5 s) must lie beyond the wait.
        return bool(await self._store.call("BZPOPMIN", self._marker, min(seconds, 4)))

    async def hand_on_wakeup(self) -> None:
        """Gives a wake-up to another worker that this one cannot use."""
        await self._store.call("ZADD", self._marker, 0, "0")


def settled_at_once(settlements: Sequence[Settlement], most: int = MAX_ROWS) -> int:
    """How many of them, from the first on, one script call settles."""
    size = 0
    for count, settlement in enumerate(settlements[:most]):
        size += len(settlement.result)
        if count and size > MAX_BYTES:
            return count
    return min(len(settlements), most)


def _losses(answer: Sequence[bytes]) -> Mapping[str, Loss]:
    return {job_id.decode(): Loss(why.decode()) for job_id, why in zip(answer[::2], answer[1::2], strict=True)}


def _item(settlement: Settlement) -> SettleItem:
    return SettleItem(
        id=settlement.id,
        fence=settlement.fence,
        outcome=settlement.outcome.value,
        output=settlement.result or settlement.reason,
        delay=settlement.delay,
        cause=settlement.cause.value,
    )


def _claimed(flat: Sequence[Any]) -> tuple[ClaimedJob, ...]:
    return tuple(
        ClaimedJob(
            id=row.id.decode(),
            fence=row.fence,
            fails=row.fails,
            max_attempts=row.max_attempts,
            created=int(row.created),
            ready=int(row.ready),
            envelope=row.envelope,
            secret=row.secret,
            checkpoint=row.checkpoint,
        )
        for row in rows_of(ClaimedRow, flat)
    )
