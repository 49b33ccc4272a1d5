"""What a census finds, and how two of them are compared."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from statistics import median_low

SHARE = 0.05
"""How much more memory, or how many more bytes, may be there afterwards."""


class Measure(Enum):
    """How a reading is compared with the baseline."""

    COUNT = "count"
    """The least of all samples is no more than at the baseline."""
    USUAL = "usual"
    """The median of all samples is no more than at the baseline: what is there nearly always, but for moments."""
    BYTES = "bytes"
    """The least of all samples is at most 5 % more."""
    EMPTY = "empty"
    """Nothing, whatever there was before: what may still be there was subtracted."""


LATEST = 5
"""Objects of a type that may be there now and not before: of some, the latest stays in somebody's hands."""
OBJECTS = "objects "
"""What the readings of objects begin with, which are shown only where some are left."""

Name = tuple[str, str]
"""Whose, and what."""


@dataclass
class Census:
    """Everything that was counted, in one sample or in several."""

    samples: int = 1
    values: dict[Name, tuple[Measure, list[float]]] = field(default_factory=dict)
    """What the samples found; those that found nothing are left out."""
    lasting: dict[Name, str] = field(default_factory=dict)
    """What is told apart from others of its kind, by whose it is and its identity: only what is there all the time counts."""
    kinds: dict[str, Mapping[str, int]] = field(default_factory=dict)
    """Of each Python process its objects by type, to find out what a leak consists of."""
    held: dict[str, float] = field(default_factory=dict)
    """What was subtracted, and why it may be there."""

    def count(self, whose: str, what: str, value: float) -> None:
        self._add(Measure.COUNT, whose, what, value)

    def usual(self, whose: str, what: str, value: float) -> None:
        self._add(Measure.USUAL, whose, what, value)

    def bytes(self, whose: str, what: str, value: float) -> None:
        self._add(Measure.BYTES, whose, what, value)

    def empty(self, whose: str, what: str, value: float) -> None:
        self._add(Measure.EMPTY, whose, what, value)

    def _add(self, measure: Measure, whose: str, what: str, value: float) -> None:
        """Several of one name are added up."""
        before = self.values.get((whose, what), (measure, [0.0]))[1][0]
        self.values[whose, what] = (measure, [before + value])

    def readings(self) -> dict[Name, tuple[Measure, float]]:
        """What the samples come to."""
        found = {name: (measure, self._together(measure, values)) for name, (measure, values) in self.values.items()}
        lasting = Counter((whose, what) for (whose, _), what in self.lasting.items())
        return found | {name: (Measure.COUNT, number) for name, number in lasting.items()}

    def _together(self, measure: Measure, values: list[float]) -> float:
        whole = values + [0.0] * (self.samples - len(values))
        return median_low(whole) if measure is Measure.USUAL else min(whole)


def together(earlier: Census, later: Census) -> Census:
    """The samples of both; what comes and goes from one to the next is no leak."""
    values = {name: (measure, [*found]) for name, (measure, found) in earlier.values.items()}
    for name, (measure, found) in later.values.items():
        values.setdefault(name, (measure, []))[1].extend(found)
    lasting = {name: what for name, what in earlier.lasting.items() if name in later.lasting}
    return Census(earlier.samples + later.samples, values, lasting, later.kinds, later.held)


@dataclass(frozen=True)
class Row:
    """One reading before and after the load."""

    whose: str
    what: str
    measure: Measure
    before: float
    after: float

    @property
    def allowed(self) -> float:
        if self.measure is Measure.EMPTY:
            return 0
        if self.what.startswith(OBJECTS):
            return self.before + LATEST
        return self.before * (1 + SHARE) if self.measure is Measure.BYTES else self.before

    @property
    def kept(self) -> bool:
        return self.after <= self.allowed


def compared(before: Census, after: Census) -> list[Row]:
    """A row for each reading of either; what only one of them has was 0 in the other."""
    earlier, later = before.readings(), after.readings()
    rows = []
    for name in sorted({*earlier, *later}):
        measure = (later.get(name) or earlier[name])[0]
        rows.append(Row(*name, measure, *(found.get(name, (measure, 0.0))[1] for found in (earlier, later))))
    return rows


def leaks(rows: Iterable[Row]) -> list[Row]:
    return [row for row in rows if not row.kept]


def grown(before: Mapping[str, int], after: Mapping[str, int], most: int = 8) -> list[str]:
    """The types of which there are most more objects."""
    more = {kind: count - before.get(kind, 0) for kind, count in after.items()}
    ranked = sorted(more, key=lambda kind: -more[kind])[:most]
    return [f"{kind} {before.get(kind, 0)} → {after[kind]}" for kind in ranked if more[kind] > 0]


def table(rows: Iterable[Row]) -> str:
    rows = list(rows)
    lines = [f"{'':3}{'whose':<12}{'what':<52}{'baseline':>14}{'afterwards':>14}{'allowed':>14}"]
    for row in rows:
        if row.kept and (row.before == row.after == 0 or row.what.startswith(OBJECTS)):
            continue
        values = "".join(f"{value:>14,.0f}" for value in (row.before, row.after, row.allowed))
        lines.append(f"{'' if row.kept else '!!':3}{row.whose:<12}{row.what:<52}{values}")
    objects = sum(row.what.startswith(OBJECTS) for row in rows)
    return "\n".join([*lines, f"   and {objects} types of objects"])
