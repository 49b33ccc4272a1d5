"""What time brings: the end of retention, and the slots of schedules."""

import asyncio
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule
from qcollector.jobs.storage.v1.storage_pb2 import ScheduleRecord
from qcollector.jobs.v1.job_pb2 import Caller, JobOptions
from testjobs.v1.testjobs_pb2 import Noop

from contract.admission import Admission
from contract.errors import ScheduleNotFoundError
from engine.firing import Firing
from engine.jobs import State
from engine.schedules import SCOPE, Schedules
from tests.engine.conftest import QUEUE, job
from tests.engine.model.jobs import ATTEMPTS, JobsMachine

YEAR = 366 * 86_400_000
"""Milliseconds. Slots come once a year, so that none comes by itself."""
OWNER = "a"


class TimesMachine(JobsMachine):
    @rule(state=st.sampled_from([State.COMPLETED, State.FAILED]))
    def retention_ends(self, state: State) -> None:
        """Of completed jobs, or of failed and cancelled ones; those with a stay of their own stay."""
        states = [State.COMPLETED] if state is State.COMPLETED else [State.FAILED, State.CANCELLED]
        ages = {"retention_completed_hours": 0} if state is State.COMPLETED else {"retention_failed_days": 0}
        ended = self.in_state(*states)
        reaped = self.reaped(queue_min_retention=0, **ages)
        those = [job_id for job_id in ended if not self.jobs[job_id].stays]
        assert (reaped.stalled, reaped.forgotten) == ((), len(those))
        self.forget(*those)

    def begin_schedules(self) -> None:
        if not hasattr(self, "schedules"):
            self.schedules = Schedules(self.store)
            admission = Admission(self.catalog, self.settings)
            parts = (self.store, self.schedules, self.catalog, admission, self.engine.intake)
            self.schedulers = [Firing(*parts), Firing(*parts)]
            self.scheduled: dict[str, bool] = {}
            """Each schedule, and whether it is paused."""
            self.due: set[str] = set()
            self.fired: set[str] = set()
            """The ids of jobs whose slot was fired."""

    @rule(priority=st.integers(0, 2), paused=st.booleans())
    def make_schedule(self, priority: int, paused: bool) -> None:
        self.begin_schedules()
        name = f"s{self.number}"
        self.number += 1
        record = ScheduleRecord(
            name=name,
            cron="0 0 1 1 *",
            timezone="UTC",
            queue_name=QUEUE,
            job_type="noop",
            payload=Noop().SerializeToString(),
            options=JobOptions(priority=priority, attempts=ATTEMPTS),
            created_by=Caller(id=OWNER),
            paused=paused,
        )
        self.run(self.schedules.create(record))
        self.scheduled[name] = paused

    @precondition(lambda self: bool(getattr(self, "scheduled", None)))
    @rule(data=st.data(), paused=st.booleans())
    def pause_schedule(self, data: st.DataObject, paused: bool) -> None:
        name = data.draw(st.sampled_from(sorted(self.scheduled)))

        def edit(record: ScheduleRecord) -> None:
            record.paused = paused

        self.run(self.schedules.change(name, edit))
        if self.scheduled[name] and not paused:
            self.due.discard(name)  # it counts anew from now on
        self.scheduled[name] = paused

    @precondition(lambda self: bool(getattr(self, "scheduled", None)))
    @rule(data=st.data())
    def delete_schedule(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.scheduled)))
        self.run(self.schedules.delete(name))
        del self.scheduled[name]
        self.due.discard(name)
        with pytest.raises(ScheduleNotFoundError):
            self.run(self.schedules.get(name))

    @precondition(lambda self: bool(getattr(self, "scheduled", None)))
    @rule(data=st.data())
    def slot_comes(self, data: st.DataObject) -> None:
        """As if the schedule had fired last a year ago."""
        name = data.draw(st.sampled_from(sorted(self.scheduled)))
        if name not in self.due:
            self.run(self.store.client.hincrby(self.store.keys(SCOPE)["slots"], name, -YEAR))
            self.due.add(name)

    @precondition(lambda self: hasattr(self, "schedulers"))
    @rule()
    def fire(self) -> None:
        """By two schedulers at once: each slot once, even where it was fired before and that was forgotten."""

        async def both() -> list[Any]:
            return await asyncio.gather(*(scheduler.fire_due() for scheduler in self.schedulers))

        rounds = self.run(both())
        assert [each.faults for each in rounds] == [[], []]
        fired = sorted(job_id for each in rounds for job_id in each.fired)
        ready = {name for name in self.due if not self.scheduled[name]}
        assert sorted(job_id.split("-")[1] for job_id in fired) == sorted(ready)
        for job_id in fired:
            if job_id not in self.fired:
                self._scheduled(job_id)
        self.fired.update(fired)
        self.due -= ready

    @precondition(lambda self: bool(getattr(self, "scheduled", None)))
    @rule(data=st.data())
    def trigger(self, data: st.DataObject) -> None:
        """Apart from its slots, and also while it is paused."""
        name = data.draw(st.sampled_from(sorted(self.scheduled)))
        _, enqueued = self.run(self.schedulers[0].trigger(name))
        assert not enqueued.duplicate
        self._scheduled(enqueued.id)
        assert any(run.job_id == enqueued.id and run.triggered for run in self.run(self.schedules.runs(name)))

    def _scheduled(self, job_id: str) -> None:
        """A job that a schedule has enqueued."""
        record = self.run(self.engine.inspection.get(QUEUE, job_id))
        assert record is not None, job_id
        new = job(job_id, owner=OWNER, priority=record.priority)
        self.add(new, record, State.WAITING, text="")
