"""Rows of a statement from a cursor of the database's, in chunks: however many there are, memory stays the same."""

from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

from sqlalchemy import Row, Select
from sqlalchemy.ext.asyncio import AsyncConnection

FIRST_ROWS: Final = 100
LETTERS: Final = 2_000_000
"""Of text that a chunk is meant to hold, by the rows of the one before."""


async def stream_chunks(
    connection: AsyncConnection, statement: Select[Any], most: int
) -> AsyncIterator[Sequence[Row[Any]]]:
    """The rows of a statement, `most` of them at a time, and fewer where they are long."""
    async with connection.stream(statement) as result:
        size = min(FIRST_ROWS, most)
        while rows := await result.fetchmany(size):
            yield rows
            letters = sum(len(value) for row in rows for value in row if type(value) is str)
            size = max(1, min(most, LETTERS * len(rows) // max(letters, 1)))
