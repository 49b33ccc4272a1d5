"""What a measurement says of the machine: CPU time of processes, and how busy anybody else kept it."""

import os
import platform
import time
from collections.abc import Sequence
from pathlib import Path

import psutil


def cpu_seconds(pids: Sequence[int]) -> float:
    """CPU time that these processes have used so far, all threads together."""
    return sum(times.user + times.system for times in (psutil.Process(pid).cpu_times() for pid in pids))


def rss_megabytes(pid: int) -> float:
    return psutil.Process(pid).memory_info().rss / 1e6


def peak_megabytes(pid: int) -> float:
    """The most memory that a process ever had."""
    lines = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(lines["VmHWM"].split()[0]) * 1024 / 1e6


class ForeignLoad:
    """Counts from its creation on what neither this process nor those that it started had of the machine."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._foreign = _all_seconds() - _own_seconds()

    def cores(self) -> float:
        """The processors that others kept busy on average. Above about 0.3, distrust the round."""
        foreign = _all_seconds() - _own_seconds() - self._foreign
        return max(foreign, 0.0) / (time.monotonic() - self._began)


def description() -> str:
    """The machine, in one line."""
    memory = psutil.virtual_memory().total / 2**30
    return (
        f"{os.cpu_count()} processors ({_processor()}), {memory:.0f} GiB, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}"
    )


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:  # noqa: PTH123  (not a file to have a path)
            return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _all_seconds() -> float:
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system)


def _own_seconds() -> float:
    """This process, the children that it has waited for, and those that still run."""
    this = psutil.Process()
    total = 0.0
    for process in (this, *this.children(recursive=True)):
        try:
            times = process.cpu_times()
        except psutil.Error:  # it has just ended
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return total
