"""Recurring jobs: what is due is fired, over and over."""

import asyncio
import contextlib
from datetime import UTC, datetime
from typing import Final

import structlog

from base.settings import Settings
from contract.catalog import Catalog
from contract.errors import JobServiceError
from engine.firing import Fault, Firing
from engine.schedules import Schedules
from workers import seeded
from workers.schedule_metrics import ScheduleMetrics

LOOK_SECONDS: Final = 5.0
"""How long a change of the schedules goes unnoticed at most."""

_log = structlog.get_logger(__name__)


async def fire_schedules(
    schedules: Schedules,
    firing: Firing,
    catalog: Catalog,
    settings: Settings,
    stopping: asyncio.Event,
    metrics: ScheduleMetrics | None = None,
    *,
    look: float = LOOK_SECONDS,
) -> None:
    """Fires each slot as it comes, until the event is set. Any number of processes may do so.

    Nothing ends it: what goes wrong is logged, and it looks again.
    """
    metrics = metrics or ScheduleMetrics()
    prepared = False
    trouble = ""
    while not stopping.is_set():
        pause = look
        try:
            if not prepared:
                await _prepare(schedules, catalog, settings)
                prepared = True
            coming, trouble = await _fire(firing, metrics, trouble)
            if coming is not None:
                pause = min(look, max((coming - datetime.now(UTC)).total_seconds(), 0.01))
        except JobServiceError as error:
            trouble = _told(error.message, trouble)
        except Exception:  # noqa: BLE001  (logged with its traceback, and tried again)
            _log.exception("schedules_not_fired")
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), pause)


async def _prepare(schedules: Schedules, catalog: Catalog, settings: Settings) -> None:
    """Seeds the store. Only its absence keeps the schedules from firing afterwards."""
    try:
        if written := await seeded.seed(schedules, catalog, settings):
            _log.info("schedules_seeded", schedules=written)
        if changed := await seeded.bring_up_to_date(schedules, catalog, settings):
            _log.info("schedules_follow_timezone", schedules=changed, timezone=settings.schedule_timezone)
    except JobServiceError:
        raise
    except Exception:  # noqa: BLE001  (logged with its traceback)
        _log.exception("schedules_not_seeded")


async def _fire(firing: Firing, metrics: ScheduleMetrics, trouble: str) -> tuple[datetime | None, str]:
    """One round; when the next slot comes, and what the store could not do."""
    done = await firing.fire_due(metrics.fired)
    metrics.looked()
    if done.fired:
        _log.info("schedules_fired", jobs=done.fired)
    for fault in done.faults:
        _tell(fault)
    return done.coming, _told(done.away.message, trouble) if done.away else ""


def _told(reason: str, before: str) -> str:
    """Logs a trouble once, for as long as it lasts."""
    if reason != before:
        _log.warning("schedules_not_fired", reason=reason)
    return reason


def _tell(fault: Fault) -> None:
    unexpected = None if isinstance(fault.error, JobServiceError) else fault.error
    _log.warning("schedule_cannot_fire", schedule=fault.schedule, reason=fault.cause, exc_info=unexpected)
