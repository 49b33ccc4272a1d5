"""SIGTERM and SIGINT as an event to wait for."""

import asyncio
import signal


def stop_event() -> asyncio.Event:
    """Set by the first signal. Further ones change nothing: a supervisor and a terminal may both send one."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    return stopping
