"""Shows how far the sample jobs are: bars at a terminal, lines elsewhere."""

from typing import Protocol

from qcollector.jobs.v1.job_pb2 import JobState
from qcollector.jobs.v1.job_queries_pb2 import WatchJobResponse
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn


class Display(Protocol):
    """Takes the events of one job at a time."""

    def show(self, title: str, event: WatchJobResponse) -> None: ...


class Bars:
    """A bar for each job."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}

    def show(self, title: str, event: WatchJobResponse) -> None:
        if title not in self._tasks:
            self._tasks[title] = self._progress.add_task(title, total=100, note="")
        if event.HasField("end"):
            self._progress.update(self._tasks[title], completed=event.end.job.progress)
        elif event.HasField("progress"):
            self._progress.update(self._tasks[title], completed=event.progress.percent)
        if words := note(event):
            self._progress.update(self._tasks[title], note=words)


class Lines:
    """A line for each change."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def show(self, title: str, event: WatchJobResponse) -> None:
        if words := note(event):
            self._console.print(f"{title:<24} {words}", markup=False, highlight=False)


def bars(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description:<24}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[note]}"),
        console=console,
    )


def note(event: WatchJobResponse) -> str:
    """The event in words; none where there is nothing to say."""
    match event.WhichOneof("event"):
        case "snapshot":
            return _state(event.snapshot.job.state)
        case "state":
            return _state(event.state.state, event.state.reason)
        case "progress":
            return f"{event.progress.percent:.0f} % {event.progress.step}".rstrip()
        case "log":
            return event.log.message
        case "end":
            return _state(event.end.state, event.end.reason)
        case _:
            return ""


def _state(state: JobState.ValueType, reason: str = "") -> str:
    word = JobState.Name(state).removeprefix("JOB_STATE_").lower()
    return f"{word}: {reason}" if reason else word
