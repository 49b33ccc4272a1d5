"""The checker finds each promise broken in a history that breaks it, and nothing in one that does not."""

from collections.abc import Callable
from typing import Any

import pytest

from engine.jobs import Cause
from tests.chaos.checker import PROMISES, Line, Story, judge

WORK = "chaos:work"
LEASE = 2000.0
SIZES = dict.fromkeys(
    ("waiting", "delayed", "active", "ready", "parked", "completed", "failed", "cancelled", "secrets", "checkpoints"), 0
)


class Tale:
    """A history in the making. Times are milliseconds from its beginning."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self._jobs: dict[str, dict[str, Any]] = {}

    def say(self, kind: str, what: str, at: float, **fields: Any) -> None:
        self.lines.append({"kind": kind, "what": what, "at": at, **fields})

    def event(self, job: str, state: str, at: int, text: str = "", told: str = "s") -> None:
        place = f"{at}-{len(self.lines)}-0"
        self.say("event", told, at, store_ms=at, place=place, queue=WORK, job=job, state=state, progress=0, text=text)

    def enqueued(self, job: str, at: int, **asked: Any) -> None:
        delay = asked.get("delay", 0)
        self.event(job, "d" if delay else "w", at)
        self.say("call", "answered", at, op="EnqueueJob", queue=WORK, job=job, call=at, **asked)

    def run(self, job: str, start: int, at: float, end: float, what: str = "returned", pid: int = 7) -> None:
        self.say("run", "started", at, queue=WORK, job=job, start=start, pid=pid)
        self.say("run", what, end, queue=WORK, job=job, start=start, pid=pid)

    def completed(self, job: str, at: int) -> None:
        """Claimed, run and completed."""
        self.event(job, "a", at)
        self.run(job, 1, at + 1, at + 9)
        self.event(job, "c", at + 10)

    def record(self, job: str, state: str = "c", **fields: Any) -> None:
        known = {"state": state, "starts": 1, "stalls": 0, "priority": 0, "cause": 0, "reason": "", "result_of": 1}
        self._jobs[job] = {**known, **fields}

    def broken(self, **sizes: int) -> dict[str, list[str]]:
        """What the checker finds, once the store's end is told. `sizes` are those that are wrong."""
        words = {"c": "completed", "f": "failed", "x": "cancelled"}
        told = {**SIZES, "jobs": len(self._jobs)}
        for record in self._jobs.values():
            if record["state"] in words:
                told[words[record["state"]]] += 1
        self.say("final", "", 9e6, queue=WORK, jobs=self._jobs, sizes={**told, **sizes}, problems=[])
        return judge(Story(self.lines, LEASE))


@pytest.fixture
def tale() -> Tale:
    """Three jobs that came, ran and ended as they should."""
    tale = Tale()
    for number in range(3):
        tale.enqueued(f"job{number}", 1000 * number)
        tale.completed(f"job{number}", 1000 * number + 100)
        tale.record(f"job{number}")
    return tale


def test_a_history_that_keeps_every_promise_is_found_to(tale: Tale) -> None:
    tale.say("call", "answered", 2500, op="CancelJob", queue=WORK, job="late", state="CANCELLED")
    tale.enqueued("late", 2400)
    tale.event("late", "x", 2450)
    tale.record("late", "x", starts=0)
    counts = dict.fromkeys(("waiting", "delayed", "active", "failed", "cancelled", "blocked"), 0) | {"completed": 3}
    tale.say("sample", "taken", 2300, queue=WORK, began=2290, least=3, most=4, counts=counts)
    tale.say("watch", "ended", 2110, watch=1, queue=WORK, job="job2", state="COMPLETED")
    assert tale.broken() == {}


def _lost(tale: Tale) -> None:
    tale.say("call", "answered", 3000, op="EnqueueJob", queue=WORK, job="gone")


def _undone(tale: Tale) -> None:
    tale.enqueued("undone", 3000)
    tale.record("undone", "w", starts=0)


def _ends_twice(tale: Tale) -> None:
    tale.event("job0", "c", 3000)


def _claimed_after_its_end(tale: Tale) -> None:
    tale.event("job0", "a", 3000)
    tale.event("job0", "c", 3010)
    tale.record("job0", starts=2, result_of=2)


def _back_without_a_retry(tale: Tale) -> None:
    tale.enqueued("back", 3000)
    for state, at in (("x", 3001), ("w", 3002), ("x", 3003)):
        tale.event("back", state, at)
    tale.record("back", "x", starts=0)


def _claimed_while_paused(tale: Tale) -> None:
    tale.say("call", "answered", 50, op="PauseQueue", queue=WORK, call=90)
    tale.say("call", "invoked", 150, op="ResumeQueue", queue=WORK, call=91)


def _claimed_before_its_time(tale: Tale) -> None:
    tale.enqueued("early", 3000, delay=500)
    tale.event("early", "w", 3400)
    tale.completed("early", 3450)
    tale.record("early")


def _retried_before_its_backoff(tale: Tale) -> None:
    tale.enqueued("hasty", 3000, fail_times=1)
    tale.event("hasty", "a", 3001)
    tale.event("hasty", "d", 3100, "RuntimeError: attempt 1 was told to fail")
    tale.event("hasty", "w", 3150)
    tale.event("hasty", "a", 3150)
    tale.event("hasty", "c", 3160)
    tale.record("hasty", starts=2, result_of=2)


def _stale_result(tale: Tale) -> None:
    tale.enqueued("stale", 3000)
    tale.event("stale", "a", 3001)
    tale.event("stale", "w", 5100, "stalled: worker w stopped renewing its lease")
    tale.event("stale", "a", 5101)
    tale.event("stale", "c", 5102)
    tale.record("stale", starts=2, stalls=1, result_of=1)


def _stale_line(tale: Tale) -> None:
    tale.event("job0", "a", 3000, "start 1", "l")


def _handler_goes_on(tale: Tale) -> None:
    tale.enqueued("taken", 3000)
    for state, at in (("a", 3001), ("w", 5100), ("a", 5101), ("c", 5200)):
        tale.event("taken", state, at)
    tale.record("taken", starts=2, stalls=1, result_of=2)
    tale.run("taken", 1, 3002, 9000)
    tale.run("taken", 2, 5102, 5200, pid=8)
    tale.say("thaw", "", 6000, victim="worker-1", pid=7, held=[["taken", 1]], seconds=3)


def _out_of_order(tale: Tale) -> None:
    for job, priority in (("low", 0), ("high", 5)):
        tale.enqueued(job, 3000)
        tale.record(job, priority=priority)
    tale.completed("low", 3010)
    tale.completed("high", 3030)


def _later_first(tale: Tale) -> None:
    for job in ("first", "second"):
        tale.enqueued(job, 3000)
        tale.record(job)
    tale.completed("second", 3010)
    tale.completed("first", 3030)


def _slot(tale: Tale, job: str, slot: int, at: int) -> dict[str, Any]:
    tale.event(job, "w", at)
    tale.completed(job, at + 1)
    tale.record(job)
    return {"slot": slot, "job": job}


def _slot_twice(tale: Tale) -> None:
    fired = [_slot(tale, "slot", 60_000, 60_100)] * 2
    tale.say("schedule", "", 90_000, stopped=90_000, name="s", made=30_000, fired=fired, missed=False)


def _slot_not_fired(tale: Tale) -> None:
    tale.say("schedule", "", 90_000, stopped=90_000, name="s", made=30_000, fired=[], missed=False)


def _missed_slot_made_up(tale: Tale) -> None:
    fired = [_slot(tale, "old", 0, 125_000), _slot(tale, "latest", 120_000, 125_100)]
    tale.say("schedule", "", 130_000, stopped=130_000, name="s", made=124_000, fired=fired, missed=True)


def _watcher_without_end(tale: Tale) -> None:
    tale.say("watch", "told", 3000, watch=1, queue=WORK, job="job0", told="state_change", sequence="3000-0-0")
    tale.say("watch", "given_up", 9000, watch=1, queue=WORK, job="job0")


def _watcher_told_twice(tale: Tale) -> None:
    for at in (3000, 3001):
        tale.say("watch", "told", at, watch=1, queue=WORK, job="job0", told="state_change", sequence="3000-0-0")
    tale.say("watch", "ended", 3002, watch=1, queue=WORK, job="job0", state="COMPLETED")


def _watcher_told_another_end(tale: Tale) -> None:
    tale.say("watch", "ended", 3002, watch=1, queue=WORK, job="job0", state="FAILED")


def _sampled(tale: Tale, least: int = 3, **counts: int) -> None:
    known = dict.fromkeys(("waiting", "delayed", "active", "completed", "failed", "cancelled", "blocked"), 0)
    tale.say("sample", "taken", 2300, queue=WORK, began=2290, least=least, most=4, counts={**known, **counts})


def _sample_without_a_job(tale: Tale) -> None:
    _sampled(tale, completed=2)


def _sample_that_never_was(tale: Tale) -> None:
    _sampled(tale, completed=2, active=1)


def _cancelled_in_word_alone(tale: Tale) -> None:
    tale.say("call", "answered", 2000, op="CancelJob", queue=WORK, job="job0", state="CANCELLED")


def _refused_inside(tale: Tale) -> None:
    tale.say("call", "refused", 2000, op="EnqueueJob", queue=WORK, code="INTERNAL", text="An unexpected error.")


def _start_runs_twice(tale: Tale) -> None:
    tale.run("job0", 1, 3000, 3010, pid=8)


def _runs_unclaimed(tale: Tale) -> None:
    tale.run("job0", 2, 3000, 3010)


def _failed_for_nothing(tale: Tale) -> None:
    tale.enqueued("failed", 3000)
    tale.event("failed", "a", 3001)
    tale.event("failed", "f", 3002)
    tale.record("failed", "f", reason="KeyError: 'x'")


def _failed_after_one_stall(tale: Tale) -> None:
    tale.enqueued("failed", 3000)
    tale.event("failed", "a", 3001)
    tale.event("failed", "f", 3002)
    tale.record("failed", "f", stalls=1, cause=Cause.STALLED.value)


BREAKS: dict[str, list[Callable[[Tale], None]]] = {
    "no_acknowledged_job_is_lost": [_lost, _undone],
    "each_job_ends_once": [_ends_twice, _claimed_after_its_end, _back_without_a_retry],
    "no_claim_while_paused": [_claimed_while_paused],
    "no_claim_before_its_time": [_claimed_before_its_time, _retried_before_its_backoff],
    "stale_reports_are_fenced": [_stale_result, _stale_line],
    "thawed_handlers_are_cancelled_within_a_lease": [_handler_goes_on],
    "jobs_start_in_order": [_out_of_order, _later_first],
    "schedules_fire_each_slot_once": [_slot_twice, _slot_not_fired, _missed_slot_made_up],
    "every_watcher_saw_the_end": [_watcher_without_end, _watcher_told_twice, _watcher_told_another_end],
    "counts_add_up": [_sample_without_a_job, _sample_that_never_was],
    "cancelled_jobs_stay_cancelled": [_cancelled_in_word_alone],
    "refusals_have_a_cause": [_refused_inside],
    "each_start_runs_once": [_start_runs_twice, _runs_unclaimed],
    "jobs_end_as_they_should": [_failed_for_nothing, _failed_after_one_stall],
}


@pytest.mark.parametrize(
    ("promise", "break_it"), [(promise, each) for promise, breaks in BREAKS.items() for each in breaks]
)
def test_a_broken_promise_is_found(tale: Tale, promise: str, break_it: Callable[[Tale], None]) -> None:
    break_it(tale)
    assert promise in tale.broken()


@pytest.mark.parametrize("left", ["waiting", "active", "secrets", "checkpoints", "completed", "jobs"])
def test_what_is_left_behind_is_found(tale: Tale, left: str) -> None:
    assert "all_is_idle_and_clean" in tale.broken(**{left: 99})


def test_every_promise_is_broken_in_some_test() -> None:
    assert {promise.__name__ for promise in PROMISES} == {*BREAKS, "all_is_idle_and_clean"}


def test_a_thawed_handler_may_take_longer_where_its_worker_dies_or_is_hit_again(tale: Tale) -> None:
    _handler_goes_on(tale)
    tale.say("fault", "begun", 6500, fault="cut", victim="worker-1", number=1)
    tale.say("fault", "ended", 6600, fault="cut", victim="worker-1", number=1)
    assert tale.broken() == {}
