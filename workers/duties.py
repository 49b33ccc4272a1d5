"""What a plugin's `duties` module gives the scheduler to do, and the schedules with which a new store begins.

`DUTIES = (tidy_exports,)` are coroutines that go on until their event is set; `SCHEDULES = (Seed("file-cleanup", …),)` are
written once into a new store.
"""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import structlog

from base.plugins import constants
from base.settings import Settings
from contract.admission import Admission
from contract.catalog import Catalog
from engine.inspection import Inspection
from engine.intake import Intake
from engine.store import Store

AGAIN_SECONDS: Final = 30.0
"""After which a duty that failed is begun anew."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class SchedulerContext:
    """What a duty works with: all of one scheduler."""

    settings: Settings
    store: Store
    catalog: Catalog
    admission: Admission
    intake: Intake
    inspection: Inspection

    @classmethod
    def of(cls, settings: Settings, store: Store, catalog: Catalog) -> Self:
        limits = {name: policy.max_active for name, policy in catalog.queues.items()}
        admission, intake = Admission(catalog, settings), Intake(store, settings)
        return cls(settings, store, catalog, admission, intake, Inspection(store, limits))


Duty = Callable[[SchedulerContext, asyncio.Event], Coroutine[Any, Any, None]]
"""Goes on until the event is set, and then ends soon. What it raises is logged, and it is begun anew after a while."""


@dataclass(frozen=True, slots=True)
class Seed:
    """A schedule that a new store begins with. It is the user's to change from then on."""

    name: str
    description: str
    cron: str
    queue: str
    type: str
    data: Mapping[str, Any]
    """The job's payload, as REST callers send it."""
    priority: int
    earlier: Sequence[Mapping[str, Any]] = ()
    """What older releases seeded in its place: replaced by `data`, unless somebody has changed it."""


def duties(job_plugins: Sequence[str]) -> list[Duty]:
    return [duty for each in constants("duties", "DUTIES", job_plugins, optional=True) for duty in each]


async def keep_doing(duty: Duty, context: SchedulerContext, stopping: asyncio.Event) -> None:
    """Does a plugin's duty until the event is set. Its faults are its own: schedules and other duties go on."""
    while not stopping.is_set():
        try:
            await duty(context, stopping)
        except Exception:  # noqa: BLE001  (logged with its traceback, and tried again)
            _log.exception("duty_failed", duty=f"{duty.__module__}.{duty.__qualname__}", again_seconds=AGAIN_SECONDS)
        else:
            return
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), AGAIN_SECONDS)


def seeds(job_plugins: Sequence[str]) -> list[Seed]:
    return [seed for each in constants("duties", "SCHEDULES", job_plugins, optional=True) for seed in each]
