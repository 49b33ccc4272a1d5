"""What a process of the soaked stack tells of its inside. Python imports it at start, as its folder is on PYTHONPATH.

A thread answers each connection to a socket with one JSON object, once all garbage is collected and free memory has gone
back to the system: what is left is what the process holds.
"""

import collections
import contextlib
import ctypes
import gc
import json
import os
import socket
import sys
import threading

PLACE = "SOAK_PROBES"
PROGRAMS = {"stack.cli", "families.email.mailsink"}


class _Heap(ctypes.Structure):
    """What mallinfo2 answers."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    )


def held() -> dict[str, object]:
    libc = ctypes.CDLL(None)
    gc.collect()
    libc.malloc_trim(0)
    tasks: dict[str, str] = {}
    kinds: collections.Counter[str] = collections.Counter()
    for thing in gc.get_objects():
        kind = type(thing)
        kinds[f"{kind.__module__}.{kind.__qualname__}"] += 1
        if kind.__name__ == "Task" and kind.__module__ in {"_asyncio", "asyncio.tasks"} and not thing.done():
            tasks[f"{thing.get_name()} {id(thing)}"] = getattr(thing.get_coro(), "__qualname__", "?")
    libc.mallinfo2.restype = _Heap
    heap = libc.mallinfo2()
    return {
        "tasks": tasks,
        "kinds": kinds,
        "threads": [thread.name for thread in threading.enumerate()],
        "heap": heap.uordblks + heap.hblkhd,
    }


def answer(listener: socket.socket) -> None:
    while True:
        connection = listener.accept()[0]
        with contextlib.suppress(OSError), connection:
            connection.sendall(json.dumps(held()).encode())


def start(folder: str) -> None:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(os.path.join(folder, f"{os.getpid()}"))  # noqa: PTH118  (imported before anything else)
    listener.listen()
    threading.Thread(target=answer, args=(listener,), name="soak", daemon=True).start()


if PLACE in os.environ and PROGRAMS.intersection(sys.orig_argv):
    start(os.environ[PLACE])
