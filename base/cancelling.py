"""Ends tasks for certain."""

import asyncio
from typing import Any


async def cancel(*tasks: "asyncio.Future[Any]", again_seconds: float = 0.1) -> None:
    """Cancels tasks until each has ended, anew every `again_seconds`. What they raise is dropped.

    One cancel may not be enough: whoever awaits may catch it, as Python 3.11's `asyncio.wait_for` does where what it
    waited for has ended at the same moment.
    """
    while left := [task for task in tasks if not task.done()]:
        for task in left:
            task.cancel()
        await asyncio.wait(left, timeout=again_seconds)
    await asyncio.gather(*tasks, return_exceptions=True)
