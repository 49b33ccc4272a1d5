"""What a scheduler process measures of the schedules that it fires."""

import asyncio
import time
from typing import Final

from base.telemetry.instruments import Instruments
from base.telemetry.tallies import Counts, Durations, Readings
from engine.firing import Fired

LATE: Final = (0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 21600.0, 86400.0)
"""Seconds: a slot is fired late by as long as no scheduler ran."""
STANDSTILL_SECONDS: Final = 60.0
"""After so long without a look at the schedules, the process is at fault or cut off."""


class ScheduleMetrics:
    """The process's own part: slots that another one fired are not in it."""

    def __init__(self) -> None:
        self._fires = Counts("qjobs_schedule_fires", "Slots that this process fired.", ("queue", "type"))
        self._missed = Counts(
            "qjobs_schedule_slots_missed",
            "Slots that nobody had fired when a later one was, and that are not made up.",
            ("queue", "type"),
        )
        self._lag = Durations("qjobs_schedule_lag_seconds", "From a slot to when it was fired.", (), LATE)
        self.first_look = asyncio.Event()
        """Set once the schedules were read, and what was due is fired."""
        self._looked = 0.0
        self._looked_at = 0.0

    def fired(self, fired: Fired) -> None:
        self._fires.add((fired.queue, fired.job_type))
        self._missed.add((fired.queue, fired.job_type), fired.missed)
        self._lag.of().observe(fired.late)

    def looked(self) -> None:
        """The schedules were read, and what was due is fired."""
        self._looked = time.monotonic()
        self._looked_at = time.time()
        self.first_look.set()

    def problem(self) -> str:
        """Why nothing is fired now; empty if it is."""
        if not self._looked:
            return "the schedules have not been read yet"
        silent = time.monotonic() - self._looked
        return f"the schedules have not been read for {silent:.0f} s" if silent > STANDSTILL_SECONDS else ""

    def expose(self, instruments: Instruments) -> None:
        instruments.add(
            *(self._fires, self._missed, self._lag),
            Readings(
                "qjobs_scheduler_last_look_timestamp_seconds",
                "When the schedules were read last and what was due was fired, in Unix time; 0 for never.",
                (),
                lambda: (((), self._looked_at),),
            ),
        )
