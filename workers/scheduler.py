"""The housekeeping process: what must happen to every queue also while no worker serves it."""

import asyncio
import contextlib
from typing import Final

import structlog

from base import logs
from base.settings import Settings
from base.telemetry import tracing
from base.telemetry.exposition import Probes, exposed
from base.telemetry.instruments import Instruments
from base.telemetry.pulse import Pulse
from contract.catalog import load_catalog
from contract.errors import JobServiceError
from engine.claims import Claims
from engine.firing import Firing
from engine.presence import SCHEDULERS, Presence
from engine.schedules import Schedules
from engine.store import Store
from workers.duties import SchedulerContext, duties, keep_doing
from workers.heartbeat import PRESENCE_SECONDS, until_reap
from workers.identity import Identity
from workers.metrics import ReapMetrics
from workers.recurring import fire_schedules
from workers.schedule_metrics import ScheduleMetrics
from workers.signals import stop_event

NAME: Final = "scheduler"

_log = structlog.get_logger(__name__)


async def run(settings: Settings) -> None:
    """Does its duties until SIGTERM or SIGINT. Any number of these processes may run."""
    logs.configure(settings, NAME)
    tracing.start(NAME)
    await run_until(settings, stop_event())
    tracing.stop()


async def run_until(settings: Settings, stopping: asyncio.Event) -> None:
    """The same until the event is set."""
    store = await Store.open(settings)
    try:
        catalog = load_catalog(settings.job_plugins)
        reapers = [Claims(store, policy, NAME, settings) for policy in catalog.queues.values()]
        context = SchedulerContext.of(settings, store, catalog)
        schedules = Schedules(store)
        firing = Firing(store, schedules, catalog, context.admission, context.intake)
        metrics, reaps = ScheduleMetrics(), ReapMetrics(tuple(catalog.queues))
        own = [
            reap_queues(reapers, stopping, metrics=reaps),
            fire_schedules(schedules, firing, catalog, settings, stopping, metrics),
            report_itself(settings, Presence(store, SCHEDULERS), metrics, stopping),
        ]
        instruments, pulse = Instruments(NAME), Pulse()
        instruments.add(reaps.stalled, reaps.forgotten, context.intake.stored)
        instruments.pools.add("store", store.pool)
        metrics.expose(instruments)

        def unready() -> str:
            return "it is stopping" if stopping.is_set() else metrics.problem()

        async with pulse.beating(), exposed(settings, instruments.registry, Probes(pulse.problem, unready)):
            _log.info("scheduler_started", queues=list(catalog.queues))
            async with asyncio.TaskGroup() as group:
                for duty in (*own, *(keep_doing(duty, context, stopping) for duty in duties(settings.job_plugins))):
                    group.create_task(duty)
    finally:
        await store.close()
    _log.info("scheduler_stopped")


async def report_itself(
    settings: Settings, presence: Presence, metrics: ScheduleMetrics, stopping: asyncio.Event
) -> None:
    """Stands on the roll of schedulers for as long as it fires what is due, so that health can tell when none does."""
    identity = Identity(settings)
    async with asyncio.TaskGroup() as group:
        awaited = [group.create_task(event.wait()) for event in (metrics.first_look, stopping)]
        await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
        for waiting in awaited:
            waiting.cancel()
    while not stopping.is_set():
        with contextlib.suppress(JobServiceError):  # whoever reaps says that the store is away
            if not metrics.problem():
                await presence.report(identity.report())
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), PRESENCE_SECONDS)
    with contextlib.suppress(JobServiceError):
        await presence.leave(identity.id)


async def reap_queues(reapers: list[Claims], stopping: asyncio.Event, *, metrics: ReapMetrics) -> None:
    """Starts stalled jobs again, makes due ones ready and applies retention, every third of a lease."""
    away = False
    while not stopping.is_set():
        try:
            for claims in reapers:
                reaped = await claims.reap()
                metrics.reaped(claims.queue, reaped)
                if reaped.stalled or reaped.forgotten:
                    _log.info("queue_reaped", queue=claims.queue, stalled=reaped.stalled, forgotten=reaped.forgotten)
            if away:
                _log.info("store_back")
            away = False
        except JobServiceError as error:
            if not away:
                _log.warning("store_away", reason=error.message)
            away = True
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), until_reap(reapers[0].lease_ms / 1000))
