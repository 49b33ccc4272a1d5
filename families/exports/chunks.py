"""Rows of a statement from a cursor of the database's, in chunks: however many there are, memory stays the same."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar

import anyio
from sqlalchemy import Row, Select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncResult

T = TypeVar("T")

FIRST_ROWS: Final = 100
SAMPLED: Final = 16
"""One row in so many is measured."""
LETTERS: Final = 2_000_000
"""Of text that a chunk is meant to hold, by the rows of the one before."""


class Chunks:
    """An open cursor."""

    def __init__(self, result: AsyncResult[Any], most: int) -> None:
        self._result = result
        self._most = most
        self._size = min(FIRST_ROWS, most)

    async def next(self) -> Sequence[Row[Any]]:
        """The next rows: as many as there may be, and fewer where they are long. Empty at the end."""
        rows = await self._result.fetchmany(self._size)
        some = rows[::SAMPLED]
        letters = sum(len(value) for row in some for value in row if type(value) is str)
        self._size = max(1, min(self._most, LETTERS * len(some) // max(letters, 1)))
        return rows


@asynccontextmanager
async def open_chunks(connection: AsyncConnection, statement: Select[Any], most: int) -> AsyncIterator[Chunks]:
    """The rows of a statement, `most` at a time."""
    async with connection.stream(statement) as result:
        yield Chunks(result, most)


async def work_through(
    fetch: Callable[[], Coroutine[Any, Any, T | None]], work: Callable[[T], Awaitable[None]]
) -> None:
    """Works on what `fetch` answers, until it answers something empty. The next is fetched meanwhile."""
    current = await fetch()
    while current:
        coming = asyncio.create_task(fetch())
        try:
            await work(current)
        except BaseException:
            coming.cancel()
            with anyio.CancelScope(shield=True):
                await asyncio.gather(coming, return_exceptions=True)
            raise
        current = await coming
