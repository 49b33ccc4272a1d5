"""Cron expressions: when they fire, in a zone, and what they say in words."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import islice, takewhile
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

from cron_descriptor import Options, get_description
from cronsim import CronSim, CronSimError

from contract.errors import FieldProblem, RequestInvalidError

_FIELDS: Final = 5
_SHOWN: Final = 64
_LOOK_BACK: Final = (timedelta(days=1), timedelta(days=40))


@dataclass(frozen=True, slots=True)
class Cron:
    """A checked expression of five fields in an IANA zone.

    Through a change of the clocks it does as Debian's cron: a time that is skipped fires right after the gap, one that
    comes twice fires once; an expression with a star in its hours goes by real time.
    """

    expression: str
    timezone: str

    def after(self, moment: datetime) -> Iterator[datetime]:
        """The slots after a moment, in UTC. Ends only for an expression that never fires again."""
        latest = moment
        for local in CronSim(self.expression, moment.astimezone(ZoneInfo(self.timezone))):
            # While the clocks show an hour for the second time, CronSim returns times of the first.
            if (slot := local.astimezone(UTC)) > latest:
                latest = slot
                yield slot

    def next_times(self, moment: datetime, count: int) -> list[datetime]:
        return list(islice(self.after(moment), count))

    def latest(self, after: datetime, until: datetime) -> datetime | None:
        """The last slot after one moment and up to another, however many lie between."""
        for window in _LOOK_BACK:
            begin = max(after, until - window)
            if found := self._last(begin, until):
                return found
            if begin == after:
                return None
        # It fires seldom, so that walking all the way is cheap.
        return self._last(after, until)

    def between(self, after: datetime, before: datetime, at_most: int) -> int:
        """How many slots lie between two moments; counts no further than `at_most`."""
        return sum(1 for _ in islice(takewhile(lambda slot: slot < before, self.after(after)), at_most))

    def _last(self, after: datetime, until: datetime) -> datetime | None:
        found = deque(takewhile(lambda slot: slot <= until, self.after(after)), maxlen=1)
        return found[0] if found else None

    @property
    def problem(self) -> str:
        """Why it has no slots here, though it had some where it was checked; empty where it has."""
        try:
            ZoneInfo(self.timezone)
        except (KeyError, ValueError, OSError):
            return f"the zone {self.timezone[:_SHOWN]!r} is unknown here: write another, or update tzdata"
        if wrong := _wrong_with(self):
            return f"the cron expression {self.expression[:_SHOWN]!r} cannot be used ({wrong}): write another"
        return ""

    @property
    def text(self) -> str:
        """In English words, such as "At 02:00"; empty for an expression that nobody can read."""
        return _words(self.expression)


@lru_cache(maxsize=1024)
def _words(expression: str) -> str:
    options = Options()
    options.use_24hour_time_format = True
    try:
        return str(get_description(expression, options))
    except Exception:  # noqa: BLE001  (it raises all sorts, and the expression is shown as well)
        return ""


def parse_cron(expression: str, timezone: str) -> Cron:
    """Checks an expression and its zone.

    Raises:
      RequestInvalidError: says which is wrong, and how to write it.
    """
    problems = []
    if timezone not in available_timezones():
        rule = f"{timezone!r} is no IANA zone; write one such as Europe/Berlin"
        problems.append(FieldProblem("timezone", "iana_zone", rule))
        timezone = "UTC"
    cron = Cron(" ".join(expression.split()), timezone)
    if wrong := _wrong_with(cron):
        rule = f"{wrong}; write for example 0 2 * * * for two in the morning"
        problems.append(FieldProblem("cron", "cron", rule))
    if problems:
        raise RequestInvalidError(problems)
    return cron


def _wrong_with(cron: Cron) -> str:
    if len(cron.expression.split(" ")) != _FIELDS:
        return "it needs five fields: minute, hour, day of month, month, day of week"
    try:
        if next(cron.after(datetime.now(UTC)), None) is None:
            return "it never fires"
    except CronSimError as error:
        return str(error)
    except Exception:  # noqa: BLE001  (no expression may hide from its readers the schedules beside it)
        return "its times cannot be calculated"
    return ""
