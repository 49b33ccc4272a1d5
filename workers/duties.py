"""What a plugin's `duties` module gives the scheduler to do, and the schedules with which a new store begins.

DUTIES = (tidy_exports,)                       coroutines that go on until their event is set
SCHEDULES = (Seed("file-cleanup", …),)         written once into a new store
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from base.plugins import hooks
from base.settings import Settings
from contract.admission import Admission
from contract.catalog import Catalog
from engine.inspection import Inspection
from engine.intake import Intake
from engine.store import Store


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
"""Goes on until the event is set, and then ends soon. What it raises ends the scheduler."""


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
    return [duty for module in hooks("duties", job_plugins) for duty in getattr(module, "DUTIES", ())]


def seeds(job_plugins: Sequence[str]) -> list[Seed]:
    return [seed for module in hooks("duties", job_plugins) for seed in getattr(module, "SCHEDULES", ())]
