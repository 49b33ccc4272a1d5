"""What a service process measures of its calls."""

from collections.abc import Iterator

from base.telemetry.instruments import Instruments
from base.telemetry.tallies import Counts, Distribution, Durations, Reading, Readings


class MethodMetrics:
    """One method's share, which its passage keeps at hand."""

    __slots__ = ("_calls", "_durations", "_method", "open")

    def __init__(self, calls: Counts, durations: Distribution, method: str) -> None:
        self._calls = calls
        self._durations = durations
        self._method = method
        self.open = 0
        """Calls that have come and were not answered yet: for a stream, its watchers."""

    def ended(self, code: str, seconds: float) -> None:
        self._calls.add((self._method, code))
        self._durations.observe(seconds)


class CallMetrics:
    """All methods together."""

    def __init__(self) -> None:
        self._calls = Counts("qjobs_grpc_calls", "Calls that were answered, by gRPC code.", ("method", "code"))
        self._durations = Durations(
            "qjobs_grpc_call_duration_seconds",
            "From a call's arrival to its answer; of streams, to their end.",
            ("method",),
        )
        self._refusals = Counts(
            "qjobs_grpc_refusals", "Calls that were refused, by the contract's reason.", ("reason",)
        )
        self._methods: dict[str, MethodMetrics] = {}

    def of(self, method: str) -> MethodMetrics:
        found = self._methods.get(method)
        if found is None:
            found = self._methods[method] = MethodMetrics(self._calls, self._durations.of(method), method)
        return found

    def refused(self, reason: str) -> None:
        self._refusals.add((reason,))

    def expose(self, instruments: Instruments) -> None:
        instruments.add(
            self._calls,
            self._durations,
            self._refusals,
            Readings(
                "qjobs_grpc_calls_open",
                "Calls that wait for their answer; watchers are the open calls of WatchJob and WatchQueues.",
                ("method",),
                self._open,
            ),
        )

    def _open(self) -> Iterator[Reading]:
        for name, method in list(self._methods.items()):
            yield (name,), method.open
