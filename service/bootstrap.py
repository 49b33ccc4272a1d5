"""One service process: its parts, its start, its end."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

import structlog
from grpc import aio
from grpc_health.v1 import health as grpc_health
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from qcollector.jobs.v1 import analytics_service_pb2, job_service_pb2, processor_service_pb2, schedule_service_pb2
from qcollector.jobs.v1.analytics_service_pb2_grpc import add_AnalyticsServiceServicer_to_server
from qcollector.jobs.v1.job_service_pb2_grpc import add_JobServiceServicer_to_server
from qcollector.jobs.v1.processor_service_pb2_grpc import add_ProcessorServiceServicer_to_server
from qcollector.jobs.v1.schedule_service_pb2_grpc import add_ScheduleServiceServicer_to_server
from sqlalchemy.ext.asyncio import AsyncEngine

from base.cancelling import cancel
from base.garbage import look_seldom
from base.release import release
from base.settings import Settings
from base.storage import StorageRoots
from base.telemetry import tracing
from base.telemetry.exposition import Probes, exposed
from base.telemetry.instruments import Instruments
from base.telemetry.pulse import Pulse
from contract.admission import Admission
from contract.catalog import load_catalog
from engine.events import EventHub
from engine.firing import Firing
from engine.inspection import Inspection
from engine.intake import Intake
from engine.links import DownloadLinks
from engine.presence import Presence
from engine.queue_feed import QueueFeed
from engine.schedules import Schedules
from engine.steering import Steering
from engine.store import Store
from families.analytics.checks import ANALYTICS_CHECKS
from families.analytics.servicer import AnalyticsServicer
from families.database.connection import open_database, pool_state
from families.database.needs import tell_missing
from families.email.checks import MAIL_CHECKS
from families.exports.checks import EXPORT_CHECKS
from families.files.checks import FILE_CHECKS
from service.auth import TokenVerifier
from service.boundary import Boundary
from service.enqueueing import Enqueuer
from service.gate import Gate
from service.health import Health
from service.job_servicer import JobServicer
from service.keys import signing_keys
from service.limits import StreamLimits
from service.parts import Parts
from service.payload_checks import PayloadChecks
from service.processor_servicer import ProcessorServicer
from service.queue_metrics import QueueMetrics
from service.roll import RollCall
from service.schedule_servicer import ScheduleServicer
from service.server import listen, new_server

log = structlog.get_logger()

SERVICES: Final = (
    job_service_pb2.DESCRIPTOR.services_by_name["JobService"].full_name,
    processor_service_pb2.DESCRIPTOR.services_by_name["ProcessorService"].full_name,
    schedule_service_pb2.DESCRIPTOR.services_by_name["ScheduleService"].full_name,
    analytics_service_pb2.DESCRIPTOR.services_by_name["AnalyticsService"].full_name,
)
STOP_SECONDS: Final = 5
"""How long calls that were taken may go on once the service stops."""
FLUSH_SECONDS: Final = 0.5
"""How long the last answers may take on their way. Streams of probes, which know no end, are cut then."""


class Service:
    """A service that listens."""

    def __init__(
        self, server: aio.Server, gate: Gate, probes: grpc_health.aio.HealthServicer, port: int, metrics_port: int
    ) -> None:
        self._server = server
        self._gate = gate
        self._probes = probes
        self.port = port
        self.metrics_port = metrics_port

    async def stop(self) -> None:
        """Takes no more calls, tells those that would last, and waits for the rest."""
        await self._probes.enter_graceful_shutdown()
        self.refuse_calls()
        await self._gate.wait_until_empty(STOP_SECONDS)
        await self._server.stop(FLUSH_SECONDS)

    def refuse_calls(self) -> None:
        """Answers every call from here on that the service stops."""
        self._gate.close()


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Service]:
    """A service process for as long as the block lasts. Starts without the store, which may come and go.

    Raises:
      SettingsError: no key for tokens is set, a port is taken, a storage root cannot be written, or another setting
        cannot be used.
      CatalogError: the declared job types cannot be served.
    """
    limits = StreamLimits()
    StorageRoots(settings).prepare()
    verifier = TokenVerifier.of(settings, signing_keys(settings))
    store = await Store.open(settings)
    gate = Gate(verifier, limits, DownloadLinks(store))
    database = open_database(settings)
    instruments, pulse = Instruments("service"), Pulse()
    gate.metrics.expose(instruments)
    instruments.pools.add("store", store.pool)
    instruments.pools.add("database", partial(pool_state, database))
    try:
        parts = _parts(settings, store, limits, database, instruments)
        server = new_server(settings, Boundary(gate))
        add_JobServiceServicer_to_server(JobServicer(parts), server)
        add_ProcessorServiceServicer_to_server(ProcessorServicer(parts), server)
        add_ScheduleServiceServicer_to_server(ScheduleServicer(parts), server)
        add_AnalyticsServiceServicer_to_server(AnalyticsServicer(parts), server)
        probes = await _add_probes(server)
        if settings.grpc_reflection:
            reflection.enable_server_reflection((*SERVICES, grpc_health.SERVICE_NAME, reflection.SERVICE_NAME), server)
        port = listen(server, settings)
        async with (
            pulse.beating(),
            exposed(settings, instruments.registry, Probes(pulse.problem, gate.problem)) as metrics,
        ):
            await server.start()
            service = Service(server, gate, probes, port, metrics)
            # Beside the calls: a database that does not answer is no reason not to serve.
            telling = asyncio.create_task(tell_missing(database, settings))
            try:
                yield service
            finally:
                await service.stop()
                await cancel(telling)
                await parts.events.close()
                await parts.queue_feed.close()
    finally:
        await database.dispose()
        await store.close()


async def serve(settings: Settings, *, ready: Callable[[int], None] | None = None) -> None:
    """Runs a service until SIGTERM or SIGINT. `ready` is called with the port once calls are taken.

    Raises:
      SettingsError, CatalogError: as `running`.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    tracing.start("service")
    async with running(settings) as service:
        look_seldom()
        log.info("service_started", port=service.port, release=release(), tls=settings.grpc_tls_cert is not None)
        if ready is not None:
            ready(service.port)
        await stop.wait()
        log.info("service_stopping")
    tracing.stop()
    log.info("service_stopped")


def _parts(
    settings: Settings, store: Store, limits: StreamLimits, database: AsyncEngine, instruments: Instruments
) -> Parts:
    catalog = load_catalog(settings.job_plugins)
    inspection = Inspection(store, {queue.name: queue.max_active for queue in catalog.queues.values()})
    admission, intake = Admission(catalog, settings), Intake(store, settings)
    checks = PayloadChecks(settings, database, {**EXPORT_CHECKS, **FILE_CHECKS, **ANALYTICS_CHECKS, **MAIL_CHECKS})
    schedules = Schedules(store)
    roll = RollCall(tuple(catalog.queues), store, inspection, schedules)
    instruments.add(intake.stored, QueueMetrics(roll, settings.queue_max_backlog))
    return Parts(
        settings=settings,
        catalog=catalog,
        store=store,
        inspection=inspection,
        steering=Steering(store, inspection),
        events=EventHub(store, inspection),
        queue_feed=QueueFeed(inspection, tuple(catalog.queues)),
        presence=Presence(store),
        checks=checks,
        enqueuer=Enqueuer(admission, intake, checks),
        schedules=schedules,
        firing=Firing(store, schedules, catalog, admission, intake),
        health=Health(settings, store, roll, database),
        limits=limits,
    )


async def _add_probes(server: aio.Server) -> grpc_health.aio.HealthServicer:
    """grpc.health.v1: SERVING for as long as the process serves. The store's absence is no reason to restart it."""
    probes = grpc_health.aio.HealthServicer()
    for name in ("", *SERVICES):
        await probes.set(name, health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(probes, server)
    return probes
