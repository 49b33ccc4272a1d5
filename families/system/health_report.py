"""system:cleanup / health-check: whether what the application stands on works."""

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, NamedTuple

import anyio
from google.protobuf.timestamp_pb2 import Timestamp
from qcollector.jobs.v1.system_pb2 import SystemHealth, SystemServiceHealth
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from base.settings import Settings
from base.storage import StorageRoots
from contract.errors import JobServiceError
from engine.jobs import QueueSnapshot, State
from engine.presence import unserved
from families.database.connection import reading
from families.database.errors import DatabaseError
from families.email import smtp
from families.system.settings import SystemSettings
from workers.job_engine import JobEngine

HEALTHY, DEGRADED, UNHEALTHY, DISABLED = "healthy", "degraded", "unhealthy", "disabled"
SERVICES: Final = ("database", "redis", "email", "queue", "storage")
CRITICAL: Final = frozenset({"database", "redis"})
"""Without them nothing works; any other fault is a degradation."""
DATABASE_SECONDS: Final = 10.0
STALLED_SECONDS: Final = 600.0


class Finding(NamedTuple):
    """How a service is, and why it is not healthy."""

    status: str
    reason: str = ""


class HealthCheck:
    """Checks services, one after the other."""

    def __init__(self, settings: Settings, engine: JobEngine, database: AsyncEngine) -> None:
        self._settings = SystemSettings.of(settings)
        self._engine = engine
        self._database = database

    async def check(self, services: Sequence[str]) -> SystemHealth:
        """The services of these names, or all where none is named. Raises nothing: what is wrong is in the answer."""
        look: Mapping[str, Callable[[], Awaitable[Finding]]] = {
            "database": self._check_database,
            "redis": self._check_store,
            "email": self._check_email,
            "queue": self._check_queues,
            "storage": self._check_storage,
        }
        found = {name: await _timed(look[name]) for name in dict.fromkeys(services or SERVICES)}
        now = Timestamp()
        now.GetCurrentTime()
        return SystemHealth(timestamp=now, overall=_overall(found), services=found)

    async def _check_database(self) -> Finding:
        if self._settings.database_url is None:
            return Finding(DISABLED, "DATABASE_URL is not set")
        try:
            async with reading(self._database, statement_seconds=DATABASE_SECONDS) as connection:
                await connection.execute(text("SELECT 1"))
        except DatabaseError as error:
            return Finding(UNHEALTHY, str(error))
        return Finding(HEALTHY)

    async def _check_store(self) -> Finding:
        try:
            await self._engine.store.check()
        except JobServiceError as error:
            return Finding(UNHEALTHY, error.message)
        return Finding(HEALTHY)

    async def _check_email(self) -> Finding:
        if not self._settings.enable_email_service:
            return Finding(DISABLED, "ENABLE_EMAIL_SERVICE is false")
        found = await smtp.check(self._settings)
        return Finding(HEALTHY) if found.ok else Finding(UNHEALTHY, found.reason)

    async def _check_queues(self) -> Finding:
        if not self._settings.enable_queue_service:
            return Finding(DISABLED, "ENABLE_QUEUE_SERVICE is false")
        try:
            queues = await self._engine.inspection.stats(self._engine.queues)
            workers = await self._engine.presence.workers()
        except JobServiceError as error:
            return Finding(UNHEALTHY, error.message)
        if waiting := unserved(queues, workers):
            return Finding(DEGRADED, f"no worker serves {', '.join(waiting)}, where jobs wait")
        if stalled := [queue.name for queue in queues if _is_stalled(queue)]:
            return Finding(DEGRADED, f"jobs wait in {', '.join(stalled)}, and none of them has been started for long")
        return Finding(HEALTHY)

    async def _check_storage(self) -> Finding:
        problems = await anyio.to_thread.run_sync(StorageRoots(self._settings).check)
        return Finding(UNHEALTHY if problems else HEALTHY, "; ".join(problems))


async def _timed(look: Callable[[], Awaitable[Finding]]) -> SystemServiceHealth:
    began = time.perf_counter()
    status, reason = await look()
    return SystemServiceHealth(status=status, reason=reason, latency_ms=(time.perf_counter() - began) * 1000)


def _is_stalled(queue: QueueSnapshot) -> bool:
    """Whether its jobs wait for so long although there is a worker, and no limit that keeps them from being started."""
    held_up = queue.paused or queue.limits.rate_max > 0 or queue.counts[State.ACTIVE] > 0
    return queue.oldest_waiting_age > STALLED_SECONDS * 1000 and not held_up


def _overall(found: Mapping[str, SystemServiceHealth]) -> str:
    faults = {name for name, service in found.items() if service.status not in {HEALTHY, DISABLED}}
    if faults & CRITICAL:
        return UNHEALTHY
    return DEGRADED if faults else HEALTHY
