"""A worker process: serves some queues, or all, until SIGTERM or SIGINT."""

import asyncio
import os
from collections.abc import Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import Final

import structlog
from qcollector.jobs.v1.queue_pb2 import Worker, WorkerQueue

from base import logs
from base.garbage import look_seldom
from base.resources import open_resources
from base.settings import Settings
from base.telemetry import tracing
from base.telemetry.exposition import Probes, exposed
from base.telemetry.instruments import Instruments
from base.telemetry.pulse import Pulse
from contract.admission import Admission
from contract.catalog import concurrency, load_catalog
from engine.claims import Claims
from engine.intake import Intake
from engine.store import Store
from workers.broker import JobBroker
from workers.handlers import load_handlers
from workers.heartbeat import Heartbeat
from workers.identity import Identity
from workers.metrics import ReapMetrics
from workers.receiver import JobReceiver
from workers.signals import stop_event

NAME: Final = "worker"

_log = structlog.get_logger(__name__)


async def run(settings: Settings, queues: Sequence[str] | None = None) -> None:
    """Works until SIGTERM or SIGINT, then drains.

    Raises:
      CatalogError: the declared types and the handlers do not fit together.
      QueueUnknownError: one of `queues` is not declared.
    """
    logs.configure(settings, NAME)
    tracing.start(NAME)
    load_handlers(settings.job_plugins)
    look_seldom()
    abandoned = await work(settings, stop_event(), queues)
    tracing.stop()
    if abandoned:
        # Threads that nothing can end would hold up the process; what they worked on is handed back.
        logs.flush()
        os._exit(0)


async def work(settings: Settings, stopping: asyncio.Event, queues: Sequence[str] | None = None) -> int:
    """Works until the event is set; answers how many jobs did not end and were abandoned."""
    catalog = load_catalog(settings.job_plugins)
    slots = {name: concurrency(catalog.queue(name), settings) for name in queues or catalog.queues}
    async with AsyncExitStack() as stack:
        store = await Store.open(settings)
        stack.push_async_callback(store.close)
        intake = Intake(store, settings)
        broker = JobBroker(catalog, load_handlers(settings.job_plugins), Admission(catalog, settings), intake)
        broker.is_worker_process = True
        resources = await stack.enter_async_context(open_resources(settings, store))
        broker.add_dependency_context(dict(resources.by_source))
        await broker.startup()
        stack.push_async_callback(broker.shutdown)

        identity = Identity(settings)
        claims = [Claims(store, catalog.queue(name), identity.id, settings) for name in slots]
        receiver = JobReceiver(broker, claims, slots, settings)
        reaps = ReapMetrics(tuple(slots))
        heartbeat = Heartbeat(receiver.pumps, partial(_report, identity, receiver), catalog, settings, reaps)
        instruments, pulse = Instruments(NAME), Pulse()
        instruments.add(reaps.stalled, reaps.forgotten, intake.stored)
        receiver.metrics.expose(instruments, receiver.pumps)
        instruments.pools.add("store", store.pool)
        resources.expose(instruments)
        instruments.pools.add("heartbeat", heartbeat.connections)

        def unready() -> str:
            return "it is stopping" if receiver.draining else heartbeat.problem()

        await stack.enter_async_context(exposed(settings, instruments.registry, Probes(pulse.problem, unready)))
        await stack.enter_async_context(pulse.beating())
        _log.info("worker_started", worker=identity.id, queues=slots)
        async with asyncio.TaskGroup() as group:
            group.create_task(heartbeat.run())
            try:
                await receiver.listen(stopping)
            finally:
                heartbeat.stop()
        _log.info("worker_stopped", worker=identity.id, abandoned=receiver.abandoned)
        return receiver.abandoned


def _report(identity: Identity, receiver: JobReceiver) -> Worker:
    report = identity.report()
    report.queues.extend(
        WorkerQueue(queue_name=pump.queue, concurrency=pump.concurrency, active=len(pump.slots))
        for pump in receiver.pumps
    )
    report.draining = receiver.draining
    return report
