"""A worker process: serves some queues, or all, until SIGTERM or SIGINT."""

import asyncio
import os
import secrets
import socket
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Final

import psutil
import structlog
from google.protobuf.timestamp_pb2 import Timestamp
from qcollector.jobs.v1.queue_pb2 import Worker, WorkerQueue

from base import logs
from base.release import release
from base.settings import Settings
from engine.admission import Admission
from engine.catalog import concurrency, load_catalog
from engine.claims import Claims
from engine.intake import Intake
from engine.store import Store
from workers.broker import JobBroker
from workers.handlers import load_handlers, providers, state_key
from workers.heartbeat import Heartbeat
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
    abandoned = await work(settings, stop_event(), queues)
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
        broker = JobBroker(
            catalog, load_handlers(settings.job_plugins), Admission(catalog, settings), Intake(store, settings)
        )
        broker.is_worker_process = True
        for kind, source in providers().items():
            broker.state[state_key(kind)] = await stack.enter_async_context(source(settings, store))
        await broker.startup()
        stack.push_async_callback(broker.shutdown)

        identity = Identity()
        claims = [Claims(store, catalog.queue(name), identity.id, settings) for name in slots]
        receiver = JobReceiver(broker, claims, slots, settings)
        heartbeat = Heartbeat(receiver.pumps, lambda: identity.describe(receiver), catalog, settings)
        _log.info("worker_started", worker=identity.id, queues=slots)
        async with asyncio.TaskGroup() as group:
            group.create_task(heartbeat.run())
            try:
                await receiver.listen(stopping)
            finally:
                heartbeat.stop()
        _log.info("worker_stopped", worker=identity.id, abandoned=receiver.abandoned)
        return receiver.abandoned


class Identity:
    """What a worker process says of itself."""

    def __init__(self) -> None:
        self.host = socket.gethostname()
        self.id = f"{self.host}-{os.getpid()}-{secrets.token_hex(3)}"
        self._process = psutil.Process()
        self._started = Timestamp()
        self._started.GetCurrentTime()

    def describe(self, receiver: JobReceiver) -> Worker:
        return Worker(
            id=self.id,
            host=self.host,
            pid=self._process.pid,
            version=release(),
            start_time=self._started,
            queues=[
                WorkerQueue(queue_name=pump.queue, concurrency=pump.concurrency, active=len(pump.slots))
                for pump in receiver.pumps
            ],
            memory_bytes=self._process.memory_info().rss,
            draining=receiver.draining,
        )
