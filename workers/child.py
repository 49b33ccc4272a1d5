"""What the process that works for a job does before and around the work. Light: it imports the standard library alone."""

import ctypes
import json
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

T = TypeVar("T")
Report = Callable[[float, str], None]
"""Tells how far the work is, 0 to 100, and its step. Never fails, never waits."""

_PR_SET_PDEATHSIG: Final = 1


@dataclass(frozen=True, slots=True)
class Terms:
    """How the process is to work."""

    parent: int
    """The process with which it ends."""
    memory: int
    """Bytes that it may take beyond what it has already."""
    address: str
    """The socket that takes its progress."""


def carry_out(terms: Terms, work: Callable[..., T], args: tuple[Any, ...]) -> T:
    """Answers `work(report, *args)`."""
    _end_with(terms.parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the worker, which decides
    with memory_bound(terms.memory), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as mouth:
        mouth.settimeout(0)

        def report(percent: float, step: str) -> None:
            with suppress(OSError):
                mouth.sendto(json.dumps([percent, step]).encode(), terms.address)

        return work(report, *args)


@contextmanager
def memory_bound(extra: int) -> Iterator[None]:
    """Bounds this process to `extra` more bytes while it lasts, where the system can; it does other work afterwards."""
    if sys.platform != "linux":
        yield
        return
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
    bound = pages * resource.getpagesize() + extra
    before = resource.getrlimit(resource.RLIMIT_AS)
    limits = [limit for limit in (bound, *before) if limit != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_AS, (min(limits), before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def _end_with(parent: int) -> None:
    """Has the kernel kill this process once its parent is gone, however that came about. Only Linux can."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
        if os.getppid() != parent:  # it died before the kernel knew
            os.kill(os.getpid(), signal.SIGKILL)
