"""The connections that a process holds: to the store, to the database, to the mail server."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from base.telemetry.tallies import Reading, Readings


@dataclass(frozen=True, slots=True)
class PoolState:
    """A pool at one instant."""

    busy: int
    idle: int
    limit: int
    """The most connections that it opens."""


class Pools(Collector):
    """The pools of a process, by name."""

    def __init__(self) -> None:
        self._pools: dict[str, Callable[[], PoolState]] = {}

    def add(self, name: str, state: Callable[[], PoolState]) -> None:
        self._pools[name] = state

    def collect(self) -> Iterable[Metric]:
        states = {name: state() for name, state in list(self._pools.items())}

        def connections() -> Iterator[Reading]:
            for name, state in states.items():
                yield (name, "busy"), state.busy
                yield (name, "idle"), state.idle

        yield from Readings(
            "qjobs_pool_connections", "Open connections, by pool and state.", ("pool", "state"), connections
        ).collect()
        yield from Readings(
            "qjobs_pool_connections_max",
            "The most connections that the pool opens.",
            ("pool",),
            lambda: (((name,), state.limit) for name, state in states.items()),
        ).collect()
