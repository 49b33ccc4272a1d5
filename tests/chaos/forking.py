"""The other side of a nursery: a process that has imported the project, and forks what it is told to.

It takes one JSON object a line: a name, the command line, variables and a log file. It answers `started` with the process id,
and `ended` when the process is gone. All that it started die with it.
"""

import gc
import json
import os
import select
import signal
import sys
import traceback
from collections.abc import Sequence
from typing import Any

# What the processes need is imported here, once, and made once where it is the same for all of them.
import chaosjobs.contract
import chaosjobs.handlers  # noqa: F401

import workers.command
import workers.scheduler  # noqa: F401
from contract.catalog import load_catalog
from engine.scripts import load_scripts
from stack.cli import main


def _serve() -> None:
    """Reads orders until its input ends."""

    load_scripts()
    load_catalog(("chaosjobs",))
    gc.collect()
    gc.freeze()  # the pages of what is imported stay shared
    children: dict[int, str] = {}
    wake_reading, wake_writing = os.pipe()
    os.set_blocking(wake_writing, False)
    signal.set_wakeup_fd(wake_writing, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    os.write(1, b"ready\n")
    buffer = b""
    while True:
        readable, _, _ = select.select([0, wake_reading], [], [])
        if wake_reading in readable:
            os.read(wake_reading, 4096)
            _reap(children)
        if 0 in readable:
            got = os.read(0, 65536)
            if not got:
                break
            *lines, buffer = (buffer + got).split(b"\n")
            for line in lines:
                order = json.loads(line)
                pid = _fork(order, (wake_reading, wake_writing))
                children[pid] = order["name"]
                _tell("started", order["name"], pid)
    for pid in children:
        os.kill(pid, signal.SIGKILL)
    for pid in children:
        os.waitpid(pid, 0)


def _reap(children: dict[int, str]) -> None:
    for pid in list(children):
        if os.waitpid(pid, os.WNOHANG)[0]:
            _tell("ended", children.pop(pid), pid)


def _tell(what: str, name: str, pid: int) -> None:
    os.write(1, json.dumps({"what": what, "name": name, "pid": pid}).encode() + b"\n")


def _fork(order: dict[str, Any], unneeded: Sequence[int]) -> int:
    if pid := os.fork():
        return pid
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for each in unneeded:
        os.close(each)
    os.setsid()
    log = os.open(order["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.environ.update(order["variables"])
    code = 1
    try:
        _run(order["command"])
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    except BaseException:  # noqa: BLE001  (the log has it, and the process ends)
        traceback.print_exc()
    finally:
        os._exit(code)


def _run(command: Sequence[str]) -> None:
    sys.argv = ["qjobs", *command]
    main()


if __name__ == "__main__":
    _serve()
