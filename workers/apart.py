"""Runs what blocks, or may be hostile, in a process that ends with its job: by cancelling, timeout or a worker's death."""

import asyncio
import json
import math
import os
import socket
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final, TypeVar

from anyio import BrokenWorkerProcess, CapacityLimiter, to_process

from workers.child import Terms, carry_out
from workers.context import JobContext

T = TypeVar("T")

_DATAGRAM: Final = 4096


class ProcessEndedError(Exception):
    """The process ended before its work did: by the system, for want of memory, or by a fault in a library."""


async def apart(job: JobContext, work: Callable[..., T], *args: Any, memory: int) -> T:
    """Answers `work(report, *args)`, called in another process.

    `work` is a function of a module, its arguments and its answer can be pickled. `report(percent, step)` is the job's
    progress. `memory` is what it may take in bytes beyond what the process has already.

    Raises:
      ProcessEndedError: the process ended by itself.
      MemoryError: it would have taken more than `memory`.
      Exception: whatever `work` raised.
    """
    async with _listening(job) as address:
        terms = Terms(parent=os.getpid(), memory=memory, address=address)
        try:
            return await to_process.run_sync(
                carry_out, terms, work, args, cancellable=True, limiter=CapacityLimiter(math.inf)
            )
        except BrokenWorkerProcess:
            raise ProcessEndedError(
                "the process that did the work ended by itself; it may have lacked memory"
            ) from None


@asynccontextmanager
async def _listening(job: JobContext) -> AsyncIterator[str]:
    """The address of a socket whose datagrams become the job's progress while this lasts."""
    with (
        tempfile.TemporaryDirectory(prefix="qjobs-") as folder,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear,
    ):
        address = str(Path(folder, "progress"))
        ear.settimeout(0)
        ear.bind(address)
        listener = asyncio.create_task(_pass_on(ear, job))
        try:
            yield address
        finally:
            listener.cancel()
            with suppress(asyncio.CancelledError):
                await listener


async def _pass_on(ear: socket.socket, job: JobContext) -> None:
    loop = asyncio.get_running_loop()
    while True:
        percent, step = json.loads(await loop.sock_recv(ear, _DATAGRAM))
        await job.progress(percent, step)
