"""One service process: its parts, its start, its end."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

import structlog
from grpc import aio
from grpc_health.v1 import health as grpc_health
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from qcollector.jobs.v1 import job_service_pb2, processor_service_pb2, schedule_service_pb2

from base.garbage import look_seldom
from base.plugins import constants
from base.release import release
from base.resources import Resources, open_resources
from base.settings import Settings
from base.storage import StorageRoots
from base.telemetry import tracing
from base.telemetry.exposition import Probes, exposed
from base.telemetry.instruments import Instruments
from base.telemetry.pulse import Pulse
from contract.admission import Admission
from contract.catalog import load_catalog
from contract.checks import payload_checks
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
from service.auth import TokenVerifier
from service.dependencies import Dependencies
from service.enqueueing import Enqueuer
from service.health import Health
from service.interceptor.admission_control import AdmissionControl, StreamLimits
from service.interceptor.interceptor import CallInterceptor
from service.keys import signing_keys
from service.payload_checks import PayloadChecks
from service.permissions import JOB_SERVICE, SCHEDULE_SERVICE
from service.queue_metrics import QueueMetrics
from service.registry import Registry
from service.server import listen, new_server
from service.servicers.job_service import JobServicer
from service.servicers.schedules import ScheduleServicer
from service.serving import Serving, add_service, of_plugins, rules_by_path

log = structlog.get_logger()

PLATFORM: Final = (
    Serving(
        service=job_service_pb2.DESCRIPTOR.services_by_name["JobService"],
        servicer=JobServicer,
        rules=JOB_SERVICE,
    ),
    Serving(processor_service_pb2.DESCRIPTOR.services_by_name["ProcessorService"]),
    Serving(
        service=schedule_service_pb2.DESCRIPTOR.services_by_name["ScheduleService"],
        servicer=ScheduleServicer,
        rules=SCHEDULE_SERVICE,
    ),
)
"""The services that are served whatever the plugins."""
STOP_SECONDS: Final = 5
"""How long calls that were taken may go on once the service stops."""
FLUSH_SECONDS: Final = 0.5
"""How long the last answers may take on their way. Streams of probes, which know no end, are cut then."""


class Service:
    """A service that listens."""

    def __init__(
        self,
        server: aio.Server,
        control: AdmissionControl,
        probes: grpc_health.aio.HealthServicer,
        port: int,
        metrics_port: int,
    ) -> None:
        self._server = server
        self._control = control
        self._probes = probes
        self.port = port
        self.metrics_port = metrics_port

    async def stop(self) -> None:
        """Takes no more calls, tells those that would last, and waits for the rest."""
        await self._probes.enter_graceful_shutdown()
        self.refuse_calls()
        await self._control.wait_until_empty(STOP_SECONDS)
        await self._server.stop(FLUSH_SECONDS)

    def refuse_calls(self) -> None:
        """Answers every call from here on that the service stops."""
        self._control.close()


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
    control = AdmissionControl(verifier, limits, DownloadLinks(store))
    instruments, pulse = Instruments("service"), Pulse()
    control.metrics.expose(instruments)
    instruments.pools.add("store", store.pool)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(store.close)
        resources = await stack.enter_async_context(open_resources(settings, store, _needed(settings)))
        resources.expose(instruments)
        deps = _dependencies(settings, store, limits, resources, instruments)
        stack.push_async_callback(deps.queue_feed.close)
        stack.push_async_callback(deps.events.close)
        server, probes = await _server(settings, control, deps)
        port = listen(server, settings)
        await stack.enter_async_context(pulse.beating())
        metrics = await stack.enter_async_context(
            exposed(settings, instruments.registry, Probes(pulse.problem, control.problem))
        )
        await server.start()
        service = Service(server, control, probes, port, metrics)
        stack.push_async_callback(service.stop)
        yield service


def _needed(settings: Settings) -> Sequence[type]:
    """What the plugins' checks work with (`RESOURCES` of their modules)."""
    named = [
        each
        for hook in ("checks", "health")
        for each in constants(hook, "RESOURCES", settings.job_plugins, optional=True)
    ]
    return tuple(dict.fromkeys(kind for kinds in named for kind in kinds))


async def _server(
    settings: Settings, control: AdmissionControl, deps: Dependencies
) -> tuple[aio.Server, grpc_health.aio.HealthServicer]:
    """A server with all services, and its probes."""
    served = [*PLATFORM, *of_plugins(settings.job_plugins)]
    server = new_server(settings, CallInterceptor(control, rules_by_path(served)))
    for serving in served:
        add_service(serving, deps, server)
    names = [serving.service.full_name for serving in served]
    probes = await _add_probes(server, names)
    if settings.grpc_reflection:
        reflection.enable_server_reflection((*names, grpc_health.SERVICE_NAME, reflection.SERVICE_NAME), server)
    return server, probes


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


def _dependencies(
    settings: Settings, store: Store, limits: StreamLimits, resources: Resources, instruments: Instruments
) -> Dependencies:
    catalog = load_catalog(settings.job_plugins)
    inspection = Inspection(store, {queue.name: queue.max_active for queue in catalog.queues.values()})
    admission, intake = Admission(catalog, settings), Intake(store, settings)
    checks = PayloadChecks(settings, resources, payload_checks(settings.job_plugins))
    schedules = Schedules(store)
    registry = Registry(tuple(catalog.queues), store, inspection, schedules)
    instruments.add(intake.stored, QueueMetrics(registry, settings.queue_max_backlog))
    return Dependencies(
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
        health=Health(settings, store, catalog, registry, resources),
        limits=limits,
    )


async def _add_probes(server: aio.Server, names: Sequence[str]) -> grpc_health.aio.HealthServicer:
    """grpc.health.v1: SERVING for as long as the process serves. The store's absence is no reason to restart it."""
    probes = grpc_health.aio.HealthServicer()
    for name in ("", *names):
        await probes.set(name, health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(probes, server)
    return probes
