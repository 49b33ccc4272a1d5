"""Shows how far the sample jobs are: bars at a terminal, lines elsewhere."""

from typing import Protocol

from qcollector.jobs.v1.job_pb2 import JobState
from qcollector.jobs.v1.job_service_pb2 import WatchJobResponse
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
        self._progress.update(self._tasks[title], completed=event.progress, note=note(event))


class Lines:
    """A line for each change."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def show(self, title: str, event: WatchJobResponse) -> None:
        self._console.print(f"{title:<24} {event.progress:3.0f} %  {note(event)}", markup=False, highlight=False)


def bars(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description:<24}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[note]}"),
        console=console,
    )


def note(event: WatchJobResponse) -> str:
    """The event in words."""
    state = JobState.Name(event.state).removeprefix("JOB_STATE_").lower()
    return f"{state}: {event.message}" if event.message else state
