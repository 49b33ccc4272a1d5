"""Whether the service does what it is for: the store, the workers, the mail server, the storage."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import structlog
from qcollector.jobs.v1.queue_pb2 import HealthCheck

from base import smtp
from base.settings import Settings
from base.storage import StorageRoots
from engine.catalog import Catalog
from engine.errors import JobServiceError
from engine.inspection import Inspection
from engine.presence import Presence, unserved
from engine.store import Store

HEALTHY, DEGRADED, UNHEALTHY, DISABLED = "healthy", "degraded", "unhealthy", "disabled"

SMTP_REMEMBERED_SECONDS: Final = 10
SMTP_PATIENCE_SECONDS: Final = 3
"""How long the overall check waits for the mail server. Its own check waits for the whole conversation."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Report:
    """What was found. `status` is the worst that matters; `reason` says why it is not healthy."""

    status: str
    reason: str
    checks: Sequence[HealthCheck]


class Health:
    """Checks on demand. What the mail server said is remembered for a while, so that probes are no load on it."""

    def __init__(
        self, settings: Settings, catalog: Catalog, store: Store, inspection: Inspection, presence: Presence
    ) -> None:
        self._settings = settings
        self._catalog = catalog
        self._store = store
        self._inspection = inspection
        self._presence = presence
        self._storage = StorageRoots(settings)
        self._smtp_task: asyncio.Task[HealthCheck] | None = None
        self._smtp_until = 0.0

    async def check(self) -> Report:
        """Everything. Without the store it is unhealthy; any other fault is a degradation."""
        store, workers, mail, storage = await asyncio.gather(
            self._check_store(), self._check_workers(), self._check_smtp_briefly(), self._check_storage()
        )
        faults = [check for check in (store, workers, mail, storage) if check.status not in {HEALTHY, DISABLED}]
        reasons = [f"{check.name}: {check.reason}" for check in faults]
        status = UNHEALTHY if store in faults else DEGRADED if faults else HEALTHY
        if not self._settings.enable_queue_service:
            status = DEGRADED if status == HEALTHY else status
            reasons.insert(0, "no jobs are taken: ENABLE_QUEUE_SERVICE is false")
        return Report(status, "; ".join(reasons), (store, workers, mail, storage))

    async def check_email(self) -> Report:
        """The mail server alone. Without it mail is unhealthy."""
        mail = await self._check_smtp()
        return Report(mail.status, mail.reason, (mail,))

    async def _check_store(self) -> HealthCheck:
        try:
            return HealthCheck(name="store", status=HEALTHY, latency_ms=await self._store.ping())
        except JobServiceError as error:
            return HealthCheck(name="store", status=UNHEALTHY, reason=error.message)

    async def _check_workers(self) -> HealthCheck:
        if not self._settings.enable_queue_service:
            return HealthCheck(name="workers", status=DISABLED, reason="ENABLE_QUEUE_SERVICE is false")
        began = time.perf_counter()
        try:
            queues = await self._inspection.stats(tuple(self._catalog.queues))
            workers = await self._presence.workers()
        except JobServiceError as error:
            return HealthCheck(name="workers", status=UNHEALTHY, reason=error.message)
        latency = (time.perf_counter() - began) * 1000
        idle = unserved(queues, workers)
        reason = f"no worker serves {', '.join(idle)}, where jobs wait" if idle else ""
        return HealthCheck(name="workers", status=DEGRADED if idle else HEALTHY, reason=reason, latency_ms=latency)

    async def _check_storage(self) -> HealthCheck:
        began = time.perf_counter()
        problems = await asyncio.to_thread(self._storage.check)
        return HealthCheck(
            name="storage",
            status=DEGRADED if problems else HEALTHY,
            reason="; ".join(problems),
            latency_ms=(time.perf_counter() - began) * 1000,
        )

    async def _check_smtp_briefly(self) -> HealthCheck:
        try:
            async with asyncio.timeout(SMTP_PATIENCE_SECONDS):
                check = await self._check_smtp()
        except TimeoutError:
            reason = f"the mail server did not answer within {SMTP_PATIENCE_SECONDS} s"
            return HealthCheck(name="smtp", status=DEGRADED, reason=reason, latency_ms=SMTP_PATIENCE_SECONDS * 1000)
        status = DEGRADED if check.status == UNHEALTHY else check.status
        return HealthCheck(name="smtp", status=status, reason=check.reason, latency_ms=check.latency_ms)

    async def _check_smtp(self) -> HealthCheck:
        """What the mail server said last, or now. Callers at one time share a conversation."""
        if not self._settings.enable_email_service:
            return HealthCheck(name="smtp", status=DISABLED, reason="ENABLE_EMAIL_SERVICE is false")
        task = self._smtp_task
        if task is None or (task.done() and time.monotonic() > self._smtp_until):
            task = self._smtp_task = asyncio.create_task(self._converse())
        return await asyncio.shield(task)

    async def _converse(self) -> HealthCheck:
        found = await smtp.check(self._settings)
        self._smtp_until = time.monotonic() + SMTP_REMEMBERED_SECONDS
        return HealthCheck(
            name="smtp",
            status=HEALTHY if found.ok else UNHEALTHY,
            reason=found.reason,
            latency_ms=found.latency_ms,
        )
