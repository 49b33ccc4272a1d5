"""Ending tasks that catch what ends them."""

import asyncio
import contextlib

from base.cancelling import cancel


async def test_a_task_that_swallows_cancels_is_ended_all_the_same() -> None:
    swallowed = 0

    async def stubborn() -> None:
        nonlocal swallowed
        for _ in range(3):
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(60)
            swallowed += 1
        await asyncio.sleep(60)

    task = asyncio.create_task(stubborn())
    await asyncio.sleep(0)
    await cancel(task, again_seconds=0.01)
    assert (task.cancelled(), swallowed) == (True, 3)


async def test_what_ended_tasks_raised_is_dropped() -> None:
    async def fails() -> None:
        raise ValueError

    async def fails_when_cancelled() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            raise ValueError

    tasks = [asyncio.create_task(fails()), asyncio.create_task(fails_when_cancelled())]
    await asyncio.sleep(0)
    await cancel(*tasks)
    assert all(task.done() for task in tasks)
