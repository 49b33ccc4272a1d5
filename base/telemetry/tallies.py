"""Counters and histograms for places that are passed thousands of times a second, and gauges that are read when asked.

The instruments of prometheus_client take a lock for each number; these are plain ones of one event loop. The thread that
answers Prometheus only reads them, so that what it shows may be a few jobs old, but never wrong.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

Labels = tuple[str, ...]
"""The values of a metric's labels, in its order. Whoever gives them keeps them to a bounded set."""
Reading = tuple[Labels, float]

SHORT: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Seconds of calls and conversations."""
LONG: Final = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 21600.0)
"""Seconds of jobs: from one that does nothing to a backup of six hours."""


class Counts(Collector):
    """A counter with labels."""

    def __init__(self, name: str, documentation: str, labels: Sequence[str], begin: Iterable[Labels] = ()) -> None:
        """`begin` are the label values that are shown as 0 before they ever occurred."""
        self._name = name
        self._documentation = documentation
        self._labels = labels
        self.numbers: dict[Labels, int] = dict.fromkeys(begin, 0)

    def add(self, labels: Labels, number: int = 1) -> None:
        self.numbers[labels] = self.numbers.get(labels, 0) + number

    def collect(self) -> Iterable[Metric]:
        family = CounterMetricFamily(self._name, self._documentation, labels=self._labels)
        for labels, number in list(self.numbers.items()):
            family.add_metric(labels, number)
        yield family


class Distribution:
    """The durations of one kind."""

    __slots__ = ("_bounds", "_counts", "_total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._total = 0.0

    def observe(self, seconds: float) -> None:
        self._counts[bisect_left(self._bounds, seconds)] += 1
        self._total += seconds

    def observe_all(self, durations: Sequence[float]) -> None:
        """The same for many at once, which are mostly alike."""
        counts, bounds = self._counts, self._bounds
        first = bisect_left(bounds, min(durations))
        if first == bisect_left(bounds, max(durations)):
            counts[first] += len(durations)
        else:
            for seconds in durations:
                counts[bisect_left(bounds, seconds)] += 1
        self._total += sum(durations)

    def read(self) -> tuple[list[tuple[str, float]], float]:
        """Cumulative counts by upper bound, and the sum."""
        buckets, seen = [], 0
        for bound, count in zip((*map(repr, self._bounds), "+Inf"), list(self._counts), strict=True):
            seen += count
            buckets.append((bound, float(seen)))
        return buckets, self._total


class Durations(Collector):
    """A histogram of seconds with labels."""

    def __init__(self, name: str, documentation: str, labels: Sequence[str], bounds: Sequence[float] = SHORT) -> None:
        self._name = name
        self._documentation = documentation
        self._labels = labels
        self._bounds = bounds
        self._kinds: dict[Labels, Distribution] = {}

    def of(self, *labels: str) -> Distribution:
        """Where durations with these labels go. Whoever is in a hurry keeps it."""
        found = self._kinds.get(labels)
        if found is None:
            found = self._kinds[labels] = Distribution(self._bounds)
        return found

    def collect(self) -> Iterable[Metric]:
        family = HistogramMetricFamily(self._name, self._documentation, labels=self._labels)
        for labels, distribution in list(self._kinds.items()):
            buckets, total = distribution.read()
            family.add_metric(labels, buckets, total)
        yield family


class Readings(Collector):
    """A gauge with labels whose values are read when Prometheus asks."""

    def __init__(
        self, name: str, documentation: str, labels: Sequence[str], read: Callable[[], Iterable[Reading]]
    ) -> None:
        self._name = name
        self._documentation = documentation
        self._labels = labels
        self._read = read

    def collect(self) -> Iterable[Metric]:
        family = GaugeMetricFamily(self._name, self._documentation, labels=self._labels)
        for labels, value in self._read():
            family.add_metric(labels, value)
        yield family
