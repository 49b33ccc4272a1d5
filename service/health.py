"""Whether the service does what it is for: the store, workers and schedulers, the storage, and what plugins check."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import structlog
from qcollector.jobs.v1.queue_pb2 import HealthCheck, Worker

from base.plugins import constants
from base.resources import Resources
from base.settings import Settings
from base.storage import StorageRoots
from contract.catalog import Catalog
from contract.errors import JobServiceError
from engine.jobs import QueueSnapshot
from engine.presence import unserved
from engine.schedules import Condition
from engine.store import Store
from service.registry import Registered, Registry

log = structlog.get_logger()

HEALTHY, DEGRADED, UNHEALTHY, DISABLED = "healthy", "degraded", "unhealthy", "disabled"
MAIL: Final = "smtp"
"""The check that CheckEmailHealth reports, by its name."""
OVERDUE_SECONDS: Final = 60
"""How long a slot may be past before that is a fault."""
_NAMED: Final = 3


@dataclass(frozen=True, slots=True)
class Check:
    """What a plugin's part of the health of the service is. No fault of it makes the whole worse than degraded."""

    name: str
    subject: str
    """In a sentence: "the mail server" did not answer."""
    look: Callable[[Settings, Resources], Awaitable[HealthCheck]]
    """Looks now. It may take its time; what it raises is a fault of this part alone."""
    remembered_seconds: float = 30
    """How long an answer is kept, so that probes are no load."""
    patience_seconds: float = 3
    """How long the overall check waits for it."""


def checks(job_plugins: Sequence[str]) -> list[Check]:
    return [check for each in constants("health", "CHECKS", job_plugins) for check in each]


class Remembered:
    """A check whose answer is kept for a while; those who ask at one time share it."""

    def __init__(self, check: Check, settings: Settings, resources: Resources) -> None:
        self.check = check
        self._settings = settings
        self._resources = resources
        self._task: asyncio.Future[HealthCheck] | None = None
        self._ended = 0.0

    async def answer(self) -> HealthCheck:
        """What was found within the last `remembered_seconds`, or now."""
        task = self._task
        if task is None or (task.done() and time.monotonic() > self._ended + self.check.remembered_seconds):
            task = self._task = asyncio.ensure_future(self._look())
        return await asyncio.shield(task)

    async def _look(self) -> HealthCheck:
        try:
            found = await self.check.look(self._settings, self._resources)
        except Exception:
            log.exception("health_check_failed", check=self.check.name)
            reason = f"{self.check.subject} could not be checked; the service's log says why"
            found = HealthCheck(name=self.check.name, status=UNHEALTHY, reason=reason)
        self._ended = time.monotonic()
        return found

    async def brief_answer(self) -> HealthCheck:
        """The same within `patience_seconds`, as a part of the whole: that it takes longer is a fault."""
        check = self.check
        try:
            async with asyncio.timeout(check.patience_seconds):
                found = await self.answer()
        except TimeoutError:
            reason = f"{check.subject} did not answer within {check.patience_seconds:g} s"
            return HealthCheck(
                name=check.name, status=DEGRADED, reason=reason, latency_ms=check.patience_seconds * 1000
            )
        status = DEGRADED if found.status == UNHEALTHY else found.status
        return HealthCheck(name=check.name, status=status, reason=found.reason, latency_ms=found.latency_ms)


def of_workers(queues: Sequence[QueueSnapshot], workers: Sequence[Worker], latency: float) -> HealthCheck:
    idle = unserved(queues, workers)
    reason = f"no worker serves {', '.join(idle)}, where jobs wait" if idle else ""
    return _check("workers", reason, latency)


def of_schedulers(schedulers: Sequence[Worker], schedules: Condition, latency: float) -> HealthCheck:
    reasons = []
    if not schedulers:
        reasons.append("no scheduler reports, so that no schedule fires: start `qjobs scheduler`, or look at its log")
    elif late := sorted(name for name, seconds in schedules.overdue.items() if seconds > OVERDUE_SECONDS):
        names = _first(late, ", ")
        reasons.append(f"the scheduler stands still: {names} should have fired; look at its log")
    if faults := [f"schedule {name} cannot fire: {cause}" for name, cause in sorted(schedules.faults.items())]:
        reasons.append(_first(faults, "; "))
    return _check("scheduler", "; ".join(reasons), latency)


def _first(texts: Sequence[str], between: str) -> str:
    more = f" and {len(texts) - _NAMED} more" if len(texts) > _NAMED else ""
    return between.join(texts[:_NAMED]) + more


def of_storage(
    problems: Sequence[str], own: Mapping[str, str], workers: Sequence[Worker], shared: Container[str], latency: float
) -> HealthCheck:
    """`own` are the ids of the service's storage roots, by variable; `shared` the queues whose workers must see the same."""
    return _check("storage", "; ".join([*problems, *_unshared(own, workers, shared)]), latency)


def _unshared(own: Mapping[str, str], workers: Sequence[Worker], shared: Container[str]) -> list[str]:
    """The workers on other hosts that see other folders than the service."""
    problems = []
    for worker in workers:
        if not any(queue.queue_name in shared for queue in worker.queues):
            continue
        theirs = worker.storage_ids
        apart = [variable for variable, mark in own.items() if mark and variable in theirs and theirs[variable] != mark]
        if apart:
            problems.append(
                f"worker {worker.id} does not share {', '.join(apart)} with the service: mount the same volume on all hosts"
            )
    return problems


def _check(name: str, reason: str, latency: float) -> HealthCheck:
    return HealthCheck(name=name, status=DEGRADED if reason else HEALTHY, reason=reason, latency_ms=latency)


@dataclass(frozen=True, slots=True)
class Report:
    """What was found. `status` is the worst that matters; `reason` says why it is not healthy."""

    status: str
    reason: str
    checks: Sequence[HealthCheck]


class Health:
    """Checks on demand. What plugins found is remembered for a while."""

    def __init__(
        self, settings: Settings, store: Store, catalog: Catalog, registry: Registry, resources: Resources
    ) -> None:
        self._settings = settings
        self._store = store
        self._registry = registry
        self._storage = StorageRoots(settings)
        self._shared = {name for name, queue in catalog.queues.items() if queue.shared_storage}
        self._plugins = [Remembered(check, settings, resources) for check in checks(settings.job_plugins)]

    async def check(self) -> Report:
        """Everything. Without the store it is unhealthy; any other fault is a degradation."""
        (store, registered), others = await asyncio.gather(
            asyncio.gather(self._check_store(), self._registry.read()),
            asyncio.gather(*(plugin.brief_answer() for plugin in self._plugins)),
        )
        parts = (store, *self._check_processes(registered), *others, await self._check_storage(registered.workers))
        faults = [check for check in parts if check.status not in {HEALTHY, DISABLED}]
        reasons = [f"{check.name}: {check.reason}" for check in faults]
        status = UNHEALTHY if store in faults else DEGRADED if faults else HEALTHY
        if not self._settings.enable_queue_service:
            status = DEGRADED if status == HEALTHY else status
            reasons.insert(0, "no jobs are taken: ENABLE_QUEUE_SERVICE is false")
        return Report(status, "; ".join(reasons), parts)

    async def check_email(self) -> Report:
        """The mail server alone. Without it mail is unhealthy."""
        for plugin in self._plugins:
            if plugin.check.name == MAIL:
                mail = await plugin.answer()
                return Report(mail.status, mail.reason, (mail,))
        return Report(DISABLED, "no plugin of this service sends mail", ())

    async def _check_store(self) -> HealthCheck:
        try:
            return HealthCheck(name="store", status=HEALTHY, latency_ms=await self._store.check())
        except JobServiceError as error:
            return HealthCheck(name="store", status=UNHEALTHY, reason=error.message)

    def _check_processes(self, registered: Registered) -> tuple[HealthCheck, HealthCheck]:
        """Workers and schedulers."""
        names = ("workers", "scheduler")
        if not self._settings.enable_queue_service:
            off = "ENABLE_QUEUE_SERVICE is false"
            workers, scheduler = (HealthCheck(name=name, status=DISABLED, reason=off) for name in names)
        elif registered.problem:
            workers, scheduler = (HealthCheck(name=name, status=UNHEALTHY, reason=registered.problem) for name in names)
        else:
            workers = of_workers(registered.queues, registered.workers, registered.latency_ms)
            scheduler = of_schedulers(registered.schedulers, registered.schedules, registered.latency_ms)
        return workers, scheduler

    async def _check_storage(self, workers: Sequence[Worker]) -> HealthCheck:
        began = time.perf_counter()
        problems, own = await asyncio.to_thread(self._look_at_storage)
        return of_storage(problems, own, workers, self._shared, (time.perf_counter() - began) * 1000)

    def _look_at_storage(self) -> tuple[list[str], Mapping[str, str]]:
        return [*self._storage.check(), *self._storage.full()], self._storage.marks()
