"""All that one process measures."""

import asyncio
import platform
from typing import Protocol, runtime_checkable

from prometheus_client import Info
from prometheus_client.gc_collector import GCCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector, CollectorRegistry

from base.release import release
from base.telemetry.pools import Pools
from base.telemetry.tallies import Readings


class Instruments:
    """The registry of one process, with what every process tells of itself; made in its event loop. `component` is its kind."""

    def __init__(self, component: str) -> None:
        self.registry = CollectorRegistry()
        self.pools = Pools()
        ProcessCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        build = Info("qjobs_build", "The release that runs.", registry=self.registry)
        build.info({"component": component, "version": release(), "python": platform.python_version()})
        loop = asyncio.get_running_loop()
        self.add(
            self.pools,
            Readings(
                "qjobs_event_loop_tasks",
                "Tasks of the event loop that have not ended.",
                (),
                lambda: [((), len(asyncio.all_tasks(loop)))],
            ),
        )

    def add(self, *collectors: Collector) -> None:
        for collector in collectors:
            self.registry.register(collector)


@runtime_checkable
class Measured(Protocol):
    """Something that a process keeps, and that measures what it does."""

    def expose(self, instruments: Instruments) -> None: ...
