"""Keeps this worker's jobs its own while they run, and starts again those of workers that died.

It has a thread, an event loop and a connection of its own: a handler that blocks the worker's loop loses no lease.
"""

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final

import structlog
import uvloop
from qcollector.jobs.v1.queue_pb2 import Worker

from base.settings import Settings
from base.telemetry.pools import PoolState
from contract.catalog import Catalog
from contract.errors import JobServiceError
from engine.claims import Claims
from engine.presence import Presence
from engine.store import Store
from workers.metrics import ReapMetrics
from workers.pump import Pump
from workers.running import RunningJob

MAX_RENEWAL_SECONDS: Final = 1.0
"""Renewals are also how a running job hears that it was cancelled."""
PRESENCE_SECONDS: Final = 5.0
SILENT_SECONDS: Final = 15.0
"""After so long without an answer of the store the worker says that it is not ready."""

_log = structlog.get_logger(__name__)


class Heartbeat:
    """Beats for the queues of one worker. `describe`, which the thread calls, is what the worker reports of itself."""

    def __init__(
        self,
        pumps: Sequence[Pump],
        describe: Callable[[], Worker],
        catalog: Catalog,
        settings: Settings,
        metrics: ReapMetrics,
    ) -> None:
        self._pumps = pumps
        self._describe = describe
        self._metrics = metrics
        self._heard = 0.0
        self._catalog = catalog
        self._settings = settings
        self._lease = settings.queue_lease_seconds
        self._worker_loop = asyncio.get_running_loop()
        self._loop = uvloop.new_event_loop()
        self._stopped = asyncio.Event()
        self._store: Store | None = None

    async def run(self) -> None:
        """Beats until `stop` is called. Raises whatever else ends the thread: without it the leases would run out."""
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="heartbeat") as executor:
            try:
                await self._worker_loop.run_in_executor(executor, self._run_in_thread)
            finally:
                self.stop()

    def problem(self) -> str:
        """Why the worker cannot get jobs now; empty if it can."""
        if not self._heard:
            return "the store has not answered yet"
        silent = time.monotonic() - self._heard
        return f"the store has not answered for {silent:.0f} s" if silent > SILENT_SECONDS else ""

    def connections(self) -> PoolState:
        """The heartbeat's own connections to the store."""
        return self._store.pool() if self._store else PoolState(0, 0, self._settings.redis_max_connections)

    def stop(self) -> None:
        with contextlib.suppress(RuntimeError):  # it has ended by itself
            self._loop.call_soon_threadsafe(self._stopped.set)

    def _run_in_thread(self) -> None:
        try:
            self._loop.run_until_complete(self._beat())
        finally:
            self._loop.close()

    async def _beat(self) -> None:
        self._store = store = await Store.open(self._settings)
        try:
            presence = Presence(store)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._repeat(partial(self._report, presence), lambda: PRESENCE_SECONDS))
                for pump in self._pumps:
                    claims = Claims(store, self._catalog.queue(pump.queue), self._describe().id, self._settings)
                    group.create_task(self._repeat(partial(self._renew, pump, claims), self._until_renewal))
                    group.create_task(self._repeat(partial(self._reap, pump, claims), partial(until_reap, self._lease)))
            with contextlib.suppress(JobServiceError):
                await presence.leave(self._describe().id)
        finally:
            await store.close()

    async def _repeat(self, act: Callable[[], Awaitable[None]], interval: Callable[[], float]) -> None:
        while not self._stopped.is_set():
            try:
                await act()
            except JobServiceError as error:
                # The pumps say at a level that is seen when the store goes away and when it is back.
                _log.debug("heartbeat_missed", reason=error.message)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopped.wait(), interval())

    async def _report(self, presence: Presence) -> None:
        await presence.report(self._describe())
        self._heard = time.monotonic()

    async def _renew(self, pump: Pump, claims: Claims) -> None:
        # Copying the values is one step under the interpreter's lock, so the worker's thread may go on changing the dict.
        held = {job.claimed.id: job.claimed.fence for job in list(pump.running.values()) if self._is_in_time(job)}
        for job_id, why in (await claims.extend(list(held.items()))).items():
            self._worker_loop.call_soon_threadsafe(pump.lost, job_id, held[job_id], why)

    async def _reap(self, pump: Pump, claims: Claims) -> None:
        reaped = await claims.reap()
        self._metrics.reaped(pump.queue, reaped)
        if reaped.stalled:
            _log.warning("jobs_stalled", queue=pump.queue, jobs=reaped.stalled)
            self._worker_loop.call_soon_threadsafe(pump.look)

    def _is_in_time(self, job: RunningJob) -> bool:
        """A job that does not end though its time is over (a thread, a blocked loop) is left to other workers."""
        return bool(job.ended) or not job.limit or time.monotonic() < job.started + job.limit + self._lease

    def _until_renewal(self) -> float:
        return min(self._lease / 3, MAX_RENEWAL_SECONDS)


def until_reap(lease_seconds: float) -> float:
    """Seconds to the next reap, at most a third of the lease, so that many processes do not come at once."""
    return lease_seconds / 3 * random.uniform(0.6, 0.95)  # noqa: S311  (spreads load, keeps no secret)
