"""Judges a history: one function for each promise, which answers what breaks it. Nothing here talks to anybody.

Order and time are the store's: its events in the order of its streams. What clients and handlers wrote down themselves is held
against them. Times of clients and of the store are those of one machine, so they can be compared, to the millisecond.
"""

import bisect
import heapq
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from engine.jobs import Cause

Line = dict[str, Any]
Job = tuple[str, str]
"""A queue and a job's id."""

ENDS = {"c": "COMPLETED", "f": "FAILED", "x": "CANCELLED"}
STATES = {"w": "waiting", "d": "delayed", "a": "active", "c": "completed", "f": "failed", "x": "cancelled"}
STEPS = {
    "": "wd",
    "w": "afx",  # f: expired before its start
    "d": "wx",
    "a": "cfxwd",
    "c": "",
    "f": "w",
    "x": "w",
}
"""From each state the ones that may follow it. Out of an end leads a retry alone."""
ATTEMPTS, BACKOFF_MS = 4, 100
"""As the types of chaosjobs.proto declare them."""
MINUTE_MS, LOOK_MS = 60_000, 5_000
"""Between two slots of the schedules, and the scheduler's looks at them."""
CALM_MS = 2 * LOOK_MS + 5_000
"""Within which a slot is fired where nothing befalls the store and the schedulers."""
LOST_MS = 10_000
"""What was acknowledged this long before a lossy store was hit has been kept."""
LATE_MS = 15_000
"""Within which a call that was given up may still be carried out."""
SLACK_MS = 250
"""What a busy machine adds to a bound in time, beside what was measured (`lag`)."""


@dataclass
class Story:
    """A history, sorted by what it tells of."""

    lines: list[Line]
    lease_ms: float
    lossy: bool = False
    """Whether the store may have lost what it had acknowledged. Then what it has kept is held to the promises."""
    events: dict[str, list[Line]] = field(default_factory=lambda: defaultdict(list))
    """The engine's, by queue, in the order of the stream."""
    runs: list[Line] = field(default_factory=list)
    calls: list[Line] = field(default_factory=list)
    samples: list[Line] = field(default_factory=list)
    watches: dict[int, list[Line]] = field(default_factory=lambda: defaultdict(list))
    faults: list[Line] = field(default_factory=list)
    thaws: list[Line] = field(default_factory=list)
    deaths: dict[int, float] = field(default_factory=dict)
    lags: list[Line] = field(default_factory=list)
    finals: dict[str, Line] = field(default_factory=dict)
    schedules: list[Line] = field(default_factory=list)

    def __post_init__(self) -> None:
        lists = {"run": self.runs, "call": self.calls, "fault": self.faults, "thaw": self.thaws, "lag": self.lags}
        for line in self.lines:
            match line["kind"]:
                case "event":
                    self.events[line["queue"]].append(line)
                case "watch":
                    self.watches[line["watch"]].append(line)
                case "sample" if line["what"] == "taken":
                    self.samples.append(line)
                case "process" if line["what"] == "ended":
                    self.deaths[line["pid"]] = line["at"]
                case "final":
                    self.finals[line["queue"]] = line
                case "schedule":
                    self.schedules.append(line)
                case kind if kind in lists:
                    lists[kind].append(line)

    def moves(self, queue: str) -> Iterator[Line]:
        """The changes of state of a queue's jobs."""
        return (event for event in self.events[queue] if event["what"] == "s" and event["job"])

    def answered(self, op: str) -> Iterator[Line]:
        return (call for call in self.calls if call["what"] == "answered" and call["op"] == op)

    def lag_ms(self, start: float, end: float) -> float:
        """By how much the machine held up everybody between two moments, all in all."""
        return float(sum(lag["ms"] for lag in self.lags if start <= lag["at"] <= end + lag["ms"]))

    def disturbed(self, victim: str, start: float, end: float) -> bool:
        """Whether another fault hit the victim, or the store, then."""
        under_way: dict[int, Line] = {}
        for fault in self.faults:
            if fault["victim"] not in {victim, "store"}:
                continue
            if fault["what"] == "begun":
                under_way[fault["number"]] = fault
            elif fault["what"] == "ended":
                begun = under_way.pop(fault["number"])
                if begun["at"] < end and fault["at"] > start:
                    return True
        return any(begun["at"] < end for begun in under_way.values())

    def calm(self, start: float, end: float) -> bool:
        """Whether for CALM_MS on end no fault hit the store or a scheduler."""
        last = start
        for fault in self.faults:
            near = fault["victim"] == "store" or fault["victim"].startswith("scheduler")
            if near and start <= fault["at"] <= end:
                if fault["at"] - last >= CALM_MS:
                    return True
                last = fault["at"]
        return end - last >= CALM_MS


Promise = Callable[[Story], Iterable[str]]


def no_acknowledged_job_is_lost(story: Story) -> Iterator[str]:
    for call in story.answered("EnqueueJob"):
        record = story.finals[call["queue"]]["jobs"].get(call["job"])
        if record is None and not story.lossy:
            yield f"{call['job']} was acknowledged, and the store does not have it"
        elif record is not None and record["state"] not in ENDS:
            yield f"{call['job']} was acknowledged, and is still {STATES[record['state']]}"


def each_job_ends_once(story: Story) -> Iterator[str]:
    """And is claimed out of `waiting` alone, so never after its end."""
    for queue in story.finals:
        states: dict[str, str] = {}
        for event in story.moves(queue):
            before, after = states.get(event["job"], ""), event["state"]
            if after not in STEPS[before]:
                was, then = STATES.get(before, "unknown"), STATES.get(after, "gone")
                yield f"{event['job']} was {was} and became {then} at {event['place']}"
            elif before in ENDS and not event["text"].startswith("retried"):
                yield f"{event['job']} had ended and went on without a retry at {event['place']}"
            states[event["job"]] = after
        for job, record in story.finals[queue]["jobs"].items():
            if record["state"] != states.get(job):
                yield f"{job} is {record['state']} in the store, and by its events {states.get(job)}"


def no_claim_while_paused(story: Story) -> Iterator[str]:
    for queue in story.finals:
        claims = [event for event in story.moves(queue) if event["state"] == "a"]
        for since, until in _pauses(story, queue):
            if story.lossy and story.disturbed("store", since - LOST_MS, until):
                continue
            for event in claims:
                if since < event["store_ms"] < until:
                    yield f"{event['job']} was claimed {event['store_ms'] - since:.0f} ms after PauseQueue had answered"


def _pauses(story: Story, queue: str) -> Iterator[tuple[float, float]]:
    """From the answer to a PauseQueue to the moment at which somebody asks to resume. One caller does both."""
    since: float | None = None
    repeated = float("-inf")
    for call in story.calls:
        if call.get("queue") != queue:
            continue
        if call["op"] == "ResumeQueue" and call["what"] == "answered" and call.get("attempts", 1) > 1:
            repeated = call["at"]
        # A service that stands still may do later what a caller has asked of another one meanwhile.
        if call["op"] == "PauseQueue" and call["what"] == "answered" and call["at"] > repeated + LATE_MS:
            since = call["at"] + 1  # the store's times are whole milliseconds
        elif call["op"] == "ResumeQueue" and call["what"] == "invoked" and since is not None:
            yield since, call["at"] - 1
            since = None
    if since is not None:
        yield since, float("inf")


def no_claim_before_its_time(story: Story) -> Iterator[str]:
    """Neither of a delayed job, nor of one that waits for its next attempt or has snoozed."""
    asked = {call["job"]: call for call in story.answered("EnqueueJob")}
    for queue in story.finals:
        due: dict[str, float] = {}
        for event in story.moves(queue):
            job, at = event["job"], event["store_ms"]
            call = asked.get(job, {})
            if event["text"].startswith("retried"):
                due[job] = 0
            elif event["state"] == "d":
                due[job] = at + _wait_of(event, call, first=job not in due)
            elif event["state"] == "a" and at < due.get(job, 0):
                yield f"{job} was claimed {due[job] - at:.0f} ms before its time"


def _wait_of(event: Line, call: Line, *, first: bool) -> float:
    if "told to snooze" in event["text"]:
        return float(call.get("snooze_ms", 0))
    if "told to fail" in event["text"]:
        return BACKOFF_MS
    return float(call.get("delay", 0)) if first else 0


def stale_reports_are_fenced(story: Story) -> Iterator[str]:
    """What a start says, and what it answers, counts only while no later start exists."""
    for queue in story.finals:
        starts: Counter[str] = Counter()
        states: dict[str, str] = {}
        for event in story.events[queue]:
            job = event["job"]
            if event["what"] == "s" and job:
                states[job] = event["state"]
                starts[job] += event["state"] == "a"
            elif event["what"] == "l" and (states[job] != "a" or event["text"] != f"start {starts[job]}"):
                yield f"{job} is {STATES[states[job]]} in start {starts[job]}, and a line of {event['text']} was taken"
        for job, record in story.finals[queue]["jobs"].items():
            if record["starts"] != starts[job]:
                yield f"{job} has {record['starts']} starts in the store, and {starts[job]} claims"
            if record["state"] == "c" and record["result_of"] != starts[job]:
                yield f"{job} took the result of start {record['result_of']} in start {starts[job]}"


def thawed_handlers_are_cancelled_within_a_lease(story: Story) -> Iterator[str]:
    """Of a worker that stood still, those whose job went on without them."""
    moves: defaultdict[str, list[Line]] = defaultdict(list)
    for queue in story.finals:
        for event in story.moves(queue):
            moves[event["job"]].append(event)
    ends = {(run["job"], run["start"], run["pid"]): run["at"] for run in story.runs if run["what"] != "started"}
    for thaw in story.thaws:
        until = thaw["at"] + story.lease_ms + SLACK_MS
        until += story.lag_ms(thaw["at"], until)
        if story.deaths.get(thaw["pid"], until) < until or story.disturbed(thaw["victim"], thaw["at"] + 1, until):
            continue
        for job, start in (held for held in thaw["held"] if isinstance(held, list)):
            if not _taken_away(moves[job], start, thaw["at"]):
                continue
            ended = ends.get((job, start, thaw["pid"]))
            if ended is None or ended > until:
                late = "never" if ended is None else f"{ended - thaw['at']:.0f} ms after the thaw"
                yield f"start {start} of {job} was taken from {thaw['victim']} while that stood still, and ended {late}"


def _taken_away(moves: list[Line], start: int, at: float) -> bool:
    """Whether this start was over in the store at that moment."""
    begun = 0
    for event in moves:
        if event["store_ms"] >= at:
            break
        begun += event["state"] == "a"
        if begun == start and event["state"] != "a":
            return True
    return begun > start


def jobs_start_in_order(story: Story) -> Iterator[str]:
    """Higher priority first, then first in, first out; one that comes back takes its old place."""
    for queue, final in story.finals.items():
        priorities = {job: record["priority"] for job, record in final["jobs"].items()}
        places: dict[str, int] = {}
        waiting: dict[str, tuple[int, int]] = {}
        order: list[tuple[int, int, str]] = []
        for number, event in enumerate(story.moves(queue)):
            job = event["job"]
            if job not in places or event["text"].startswith("retried"):
                places[job] = number
            if event["state"] == "w":
                waiting[job] = (-priorities.get(job, 0), places[job])
                heapq.heappush(order, (*waiting[job], job))
            else:
                if event["state"] == "a" and job in waiting:
                    while waiting.get(order[0][2]) != order[0][:2]:
                        heapq.heappop(order)
                    if order[0][2] != job:
                        yield f"{job} started before {order[0][2]}, which comes first, at {event['place']}"
                waiting.pop(job, None)


def schedules_fire_each_slot_once(story: Story) -> Iterator[str]:
    """Each fires every slot that comes, and of those that were missed the latest alone."""
    created: dict[str, int] = {}
    for queue in story.finals:
        for event in story.moves(queue):
            created.setdefault(event["job"], event["store_ms"])
    for schedule in story.schedules:
        name, made = schedule["name"], schedule["made"]
        fired = Counter(run["slot"] for run in schedule["fired"])
        for run in schedule["fired"]:
            late = created.get(run["job"], 0) - run["slot"]
            if fired[run["slot"]] > 1:
                yield f"{name} fired {run['job']} {fired[run['slot']]} times"
            if late < 0:
                yield f"{name} fired {run['job']} {-late} ms before its slot, or not at all"
            # The moment at which it was found to be due may lie before the turn of the minute.
            if late > MINUTE_MS + story.lease_ms + story.lag_ms(run["slot"], run["slot"] + late) + LOOK_MS:
                yield f"{name} fired {run['job']} {late} ms after its slot, when a later one had come"
        first = made // MINUTE_MS * MINUTE_MS + (0 if schedule["missed"] else MINUTE_MS)
        for slot in range(first, schedule["stopped"], MINUTE_MS):
            if slot not in fired and story.calm(max(slot, made), min(slot + MINUTE_MS, schedule["stopped"])):
                yield f"{name} did not fire its slot {slot}"


def every_watcher_saw_the_end(story: Story) -> Iterator[str]:
    """And was told nothing twice."""
    ends: defaultdict[str, set[str]] = defaultdict(set)
    for queue in story.finals:
        for event in story.moves(queue):
            if event["state"] in ENDS:
                ends[event["job"]].add(ENDS[event["state"]])
    for number, lines in story.watches.items():
        last = lines[-1]
        if story.lossy and last["what"] in {"ended", "gone"}:
            continue
        if last["what"] == "ended" and last["state"] not in ends[last["job"]]:
            yield f"watcher {number} saw {last['job']} end as {last['state']}, which it never was"
        if last["what"] not in {"ended", "abandoned"}:
            yield f"watcher {number} never saw the end of {last['job']}"
        place = (0, 0, 0)
        for line in lines:
            if line["what"] == "told" and line["told"] not in {"end", "snapshot", "reset"}:
                ms, entry, index = (int(part) for part in line["sequence"].split("-"))
                if (ms, entry, index) <= place:
                    yield f"watcher {number} was told {line['sequence']} of {line['job']} a second time"
                place = (ms, entry, index)


def counts_add_up(story: Story) -> Iterator[str]:
    """Each sample is what the queue held at one instant of the call, and no acknowledged job is missing in it."""
    instants = {queue: _counted(story, queue) for queue in story.finals}
    for sample in () if story.lossy else story.samples:
        counts, queue = sample["counts"], sample["queue"]
        if not sample["least"] <= sum(counts.values()) <= sample["most"]:
            yield f"{queue} held {counts}, and between {sample['least']} and {sample['most']} jobs were enqueued"
        seen = tuple(counts[state] for state in STATES.values())
        if not _held_then(instants[queue], seen, sample["began"] - 1, sample["at"] + 1):
            yield f"{queue} was never as {counts} says, from {sample['began']:.0f} to {sample['at']:.0f}"


Instants = list[tuple[float, tuple[int, ...]]]


def _counted(story: Story, queue: str) -> Instants:
    """The counts by state after each event."""
    counts: Counter[str] = Counter()
    states: dict[str, str] = {}
    found: Instants = [(0.0, (0,) * len(STATES))]
    for event in story.moves(queue):
        before = states.get(event["job"])
        if before is not None:
            counts[before] -= 1
        states[event["job"]] = event["state"]
        counts[event["state"]] += 1
        found.append((event["store_ms"], tuple(counts[state] for state in STATES)))
    return found


def _held_then(instants: Instants, seen: tuple[int, ...], start: float, end: float) -> bool:
    """Whether the queue was so at any instant between the two moments."""
    first = max(bisect.bisect_left(instants, start, key=lambda instant: instant[0]) - 1, 0)
    last = bisect.bisect_right(instants, end, key=lambda instant: instant[0])
    return any(counts == seen for _, counts in instants[first:last])


def cancelled_jobs_stay_cancelled(story: Story) -> Iterator[str]:
    """Once CancelJob has answered, the job has been cancelled; it may have been retried since, and stand as that left it.

    That it is nothing else that follows is for `each_job_ends_once`.
    """
    cancels: defaultdict[Job, list[float]] = defaultdict(list)
    for queue in story.finals:
        for event in story.moves(queue):
            if event["state"] == "x":
                cancels[queue, event["job"]].append(event["store_ms"])
    for call in story.answered("CancelJob"):
        kept = not story.lossy or not story.disturbed("store", call["at"] - LOST_MS, float("inf"))
        if kept and not any(at <= call["at"] + 1 for at in cancels[call["queue"], call["job"]]):
            yield f"CancelJob of {call['job']} answered {call['state']}, and it had not been cancelled"


def refusals_have_a_cause(story: Story) -> Iterator[str]:
    """What is away or full is tried again. Nothing else is refused but what the job's state does not allow."""
    causes = {"FAILED_PRECONDITION", "RESOURCE_EXHAUSTED"} | ({"NOT_FOUND"} if story.lossy else set())
    for call in story.calls:
        if call["what"] == "refused" and call["code"] not in causes:
            yield f"{call['op']} was refused with {call['code']}: {call.get('text', '')}"


def each_start_runs_once(story: Story) -> Iterator[str]:
    """A handler runs for a claim, after it, and for no claim twice."""
    claims: dict[tuple[str, int], int] = {}
    for queue in story.finals:
        starts: Counter[str] = Counter()
        for event in story.moves(queue):
            if event["state"] == "a":
                starts[event["job"]] += 1
                claims[event["job"], starts[event["job"]]] = event["store_ms"]
    started: Counter[tuple[str, int]] = Counter()
    for run in story.runs:
        if run["what"] != "started":
            continue
        start = (run["job"], run["start"])
        started[start] += 1
        if story.lossy:
            continue  # claims may be lost, and made again
        if start not in claims:
            yield f"start {run['start']} of {run['job']} ran, and was never claimed"
        elif run["at"] < claims[start] - 1:
            yield f"start {run['start']} of {run['job']} ran {claims[start] - run['at']:.0f} ms before its claim"
        if started[start] > 1:
            yield f"start {run['start']} of {run['job']} ran {started[start]} times"


def jobs_end_as_they_should(story: Story) -> Iterator[str]:
    """Completed, unless its handler failed it, somebody cancelled it, or its worker was lost three times."""
    asked = {call["job"]: call for call in story.answered("EnqueueJob")}
    for final in story.finals.values():
        for job, record in final["jobs"].items():
            fails = asked.get(job, {}).get("fail_times", 0)
            if record["state"] == "c" and fails >= ATTEMPTS:
                yield f"{job} completed, and should have failed"
            if record["state"] != "f":
                continue
            if record["cause"] == Cause.STALLED:
                if record["stalls"] < 3:
                    yield f"{job} failed for its third stall after {record['stalls']}"
            elif fails < ATTEMPTS:
                yield f"{job} failed: {record['reason']}"


def all_is_idle_and_clean(story: Story) -> Iterator[str]:
    """Afterwards nothing waits or runs, every set agrees with the jobs' records, and what belongs to jobs under way is gone."""
    for queue, final in story.finals.items():
        records = Counter(record["state"] for record in final["jobs"].values())
        for state, word in STATES.items():
            if final["sizes"][word] != records[state]:
                yield f"{queue}: {final['sizes'][word]} jobs lie in {word}, and {records[state]} are so by their records"
        for name in ("waiting", "delayed", "active", "ready", "parked", "secrets", "checkpoints"):
            if final["sizes"][name]:
                yield f"{queue}: {name} still has {final['sizes'][name]}"
        if final["sizes"]["jobs"] != len(final["jobs"]):
            yield f"{queue}: {final['sizes']['jobs']} envelopes for {len(final['jobs'])} jobs"
        for problem in final["problems"]:
            yield f"{queue}: {problem}"


PROMISES: tuple[Promise, ...] = (
    no_acknowledged_job_is_lost,
    each_job_ends_once,
    no_claim_while_paused,
    no_claim_before_its_time,
    stale_reports_are_fenced,
    thawed_handlers_are_cancelled_within_a_lease,
    jobs_start_in_order,
    schedules_fire_each_slot_once,
    every_watcher_saw_the_end,
    counts_add_up,
    cancelled_jobs_stay_cancelled,
    refusals_have_a_cause,
    each_start_runs_once,
    jobs_end_as_they_should,
    all_is_idle_and_clean,
)


def judge(story: Story) -> dict[str, list[str]]:
    """What breaks each promise; empty where all hold."""
    return {promise.__name__: broken for promise in PROMISES if (broken := list(promise(story)))}


def measured(story: Story) -> dict[str, float]:
    """What is no promise: what a lossy store lost, and by how much slots were late (milliseconds)."""
    acknowledged = list(story.answered("EnqueueJob"))
    lost = [call for call in acknowledged if call["job"] not in story.finals[call["queue"]]["jobs"]]
    created: dict[str, int] = {}
    for queue in story.finals:
        for event in story.moves(queue):
            created.setdefault(event["job"], event["store_ms"])
    late = [
        created[run["job"]] - run["slot"]
        for schedule in story.schedules
        for run in schedule["fired"]
        if run["job"] in created and run["slot"] > schedule["made"]
    ]
    repeated = Counter((run["job"], run["start"]) for run in story.runs if run["what"] == "started")
    return {
        "acknowledged": len(acknowledged),
        "lost": len(lost),
        "starts repeated": sum(count - 1 for count in repeated.values()),
        "latest slot": max(late, default=0),
    }
