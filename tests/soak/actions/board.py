"""The board: its files, what its pages ask for, and Prometheus beside it."""

import re

from tests.soak.callers import Caller, action


@action(1)
async def the_board(caller: Caller) -> None:
    """A page as a browser loads it."""
    page = await _file(caller, "/")
    for path in re.findall(r'(?:src|href)="(/[^"]+)"', page):
        await _file(caller, path)
    await _file(caller, "/api/openapi.json")
    for path in ("dashboard", "stats", "job-types", "workers"):
        await caller.call("GET", f"queue/{path}")
    await caller.call("GET", "schedules")


async def _file(caller: Caller, path: str) -> str:
    async with caller.rest.get(path) as answer:
        assert answer.status == 200, f"{path}: {answer.status}"
        return await answer.text()
