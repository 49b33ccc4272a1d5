"""Whether the service does what it is for: the store, workers and schedulers, the database, the mail server, the storage."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from qcollector.jobs.v1.queue_pb2 import HealthCheck, Worker
from sqlalchemy.ext.asyncio import AsyncEngine

from base.settings import Settings
from base.storage import StorageRoots
from contract.errors import JobServiceError
from engine.store import Store
from families.database.errors import DatabaseError
from families.database.needs import complaint, missing
from families.email import smtp
from service import found
from service.found import DEGRADED, DISABLED, HEALTHY, UNHEALTHY, Remembered, briefly
from service.roll import Roll, RollCall

SMTP_REMEMBERED_SECONDS: Final = 10
SMTP_PATIENCE_SECONDS: Final = 3
"""How long the overall check waits for the mail server. Its own check waits for the whole conversation."""
DATABASE_REMEMBERED_SECONDS: Final = 30
DATABASE_PATIENCE_SECONDS: Final = 3


@dataclass(frozen=True, slots=True)
class Report:
    """What was found. `status` is the worst that matters; `reason` says why it is not healthy."""

    status: str
    reason: str
    checks: Sequence[HealthCheck]


class Health:
    """Checks on demand. What the mail server and the database said is remembered for a while."""

    def __init__(self, settings: Settings, store: Store, roll: RollCall, database: AsyncEngine) -> None:
        self._settings = settings
        self._store = store
        self._roll = roll
        self._engine = database
        self._storage = StorageRoots(settings)
        self._smtp = Remembered(self._converse)
        self._database = Remembered(self._look_into_database)

    async def check(self) -> Report:
        """Everything. Without the store it is unhealthy; any other fault is a degradation."""
        store, roll, database, mail = await asyncio.gather(
            self._check_store(), self._roll.read(), self._check_database(), self._check_smtp_briefly()
        )
        workers, scheduler = self._check_roll(roll)
        checks = (store, workers, scheduler, database, mail, await self._check_storage(roll.workers))
        faults = [check for check in checks if check.status not in {HEALTHY, DISABLED}]
        reasons = [f"{check.name}: {check.reason}" for check in faults]
        status = UNHEALTHY if store in faults else DEGRADED if faults else HEALTHY
        if not self._settings.enable_queue_service:
            status = DEGRADED if status == HEALTHY else status
            reasons.insert(0, "no jobs are taken: ENABLE_QUEUE_SERVICE is false")
        return Report(status, "; ".join(reasons), checks)

    async def check_email(self) -> Report:
        """The mail server alone. Without it mail is unhealthy."""
        mail = await self._check_smtp()
        return Report(mail.status, mail.reason, (mail,))

    async def _check_store(self) -> HealthCheck:
        try:
            return HealthCheck(name="store", status=HEALTHY, latency_ms=await self._store.check())
        except JobServiceError as error:
            return HealthCheck(name="store", status=UNHEALTHY, reason=error.message)

    def _check_roll(self, roll: Roll) -> tuple[HealthCheck, HealthCheck]:
        """Workers and schedulers."""
        names = ("workers", "scheduler")
        if not self._settings.enable_queue_service:
            off = "ENABLE_QUEUE_SERVICE is false"
            workers, scheduler = (HealthCheck(name=name, status=DISABLED, reason=off) for name in names)
        elif roll.problem:
            workers, scheduler = (HealthCheck(name=name, status=UNHEALTHY, reason=roll.problem) for name in names)
        else:
            workers = found.of_workers(roll.queues, roll.workers, roll.latency_ms)
            scheduler = found.of_schedulers(roll.schedulers, roll.schedules, roll.latency_ms)
        return workers, scheduler

    async def _check_storage(self, workers: Sequence[Worker]) -> HealthCheck:
        began = time.perf_counter()
        problems, own = await asyncio.to_thread(self._look_at_storage)
        return found.of_storage(problems, own, workers, (time.perf_counter() - began) * 1000)

    def _look_at_storage(self) -> tuple[list[str], Mapping[str, str]]:
        return [*self._storage.check(), *self._storage.full()], self._storage.marks()

    async def _check_database(self) -> HealthCheck:
        if self._settings.database_url is None:
            return HealthCheck(name="database", status=DISABLED, reason="DATABASE_URL is not set")
        look = self._database.answer(DATABASE_REMEMBERED_SECONDS)
        return await briefly(look, "database", "the database", DATABASE_PATIENCE_SECONDS)

    async def _look_into_database(self) -> HealthCheck:
        began = time.perf_counter()
        reason = ""
        try:
            if lacks := await missing(self._engine):
                reason = complaint(lacks)
        except DatabaseError as error:
            reason = str(error)
        latency = (time.perf_counter() - began) * 1000
        status = DEGRADED if reason else HEALTHY
        return HealthCheck(name="database", status=status, reason=reason, latency_ms=latency)

    async def _check_smtp_briefly(self) -> HealthCheck:
        return await briefly(self._check_smtp(), "smtp", "the mail server", SMTP_PATIENCE_SECONDS)

    async def _check_smtp(self) -> HealthCheck:
        """What the mail server said last, or now."""
        if not self._settings.enable_email_service:
            return HealthCheck(name="smtp", status=DISABLED, reason="ENABLE_EMAIL_SERVICE is false")
        return await self._smtp.answer(SMTP_REMEMBERED_SECONDS)

    async def _converse(self) -> HealthCheck:
        talk = await smtp.check(self._settings)
        status = HEALTHY if talk.ok else UNHEALTHY
        return HealthCheck(name="smtp", status=status, reason=talk.reason, latency_ms=talk.latency_ms)
