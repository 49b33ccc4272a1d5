"""The rows of a custom query, and what each kind of file makes of them."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import cached_property
from itertools import groupby
from operator import itemgetter
from typing import Any, Final

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from families.database.encryption import AnswerCipher
from families.database.queries import Query, QueryColumn
from families.exports.chunks import open_chunks, work_through

CHUNK: Final = 2000
"""Rows that are fetched, and written, at a time, at most."""

Rows = Sequence[Sequence[Any]]


async def count_rows(connection: AsyncConnection, query: Query) -> int:
    """How many rows of its model the query answers."""
    total = int(await connection.scalar(query.count) or 0)
    return min(total, query.limit) if query.limit else total


async def work_through_rows(connection: AsyncConnection, query: Query, work: Callable[[Rows], Awaitable[None]]) -> None:
    """Works on its rows in chunks, as the statement has them."""
    async with open_chunks(connection, query.statement, CHUNK) as chunks:
        await work_through(chunks.next, work)


class Shape:
    """From a query's rows to those of a file. Encrypted answers are decrypted, which takes time: not for the event loop."""

    def __init__(self, query: Query, cipher: AnswerCipher) -> None:
        self._query = query
        self._cipher = cipher
        self._width = len(query.columns)
        own = [place for place, column in enumerate(query.columns) if column.model != query.many or not query.many]
        self._own = [(place, query.columns[place]) for place in own]
        self._child = [(p, c.key) for p, c in enumerate(query.columns) if query.many and c.model == query.many]
        self._last_key: object = None
        self.seen = 0
        """Rows of the model that have come so far."""

    @property
    def header(self) -> Sequence[str]:
        return [column.name for column in self._query.columns]

    def flat(self, rows: Rows) -> Rows:
        """A list of values for each row, by the columns."""
        self._count(rows)
        if not self._query.sealed and not self._query.many:
            return rows
        return [self._opened(row)[: self._width] for row in rows]

    def records(self, rows: Rows) -> Sequence[Any]:
        """An object for each row of a query that includes nothing of which there may be several."""
        self._count(rows)
        opened = map(self._opened, rows) if self._query.sealed else rows
        if any(column.model for column in self._query.columns):
            return [_record(self._own, row) for row in opened]
        make = self._flat_record
        return [make(*row[: self._width]) for row in opened]

    @cached_property
    def _flat_record(self) -> type[msgspec.Struct]:
        """A class for objects that have the columns alone: made in a seventh of the time that a dictionary takes."""
        names = {f"column{place}": str(column.key) for place, column in enumerate(self._query.columns)}
        return msgspec.defstruct("Record", [(name, Any) for name in names], rename=names, gc=False)

    def families(self, rows: Rows) -> Sequence[tuple[Mapping[str, Any] | None, Sequence[Mapping[str, Any]]]]:
        """Objects, each with those that it has several of; None for one that began in the chunk before."""
        families = []
        for key, several in groupby(rows, itemgetter(self._query.row_key)):
            opened = [self._opened(row) for row in several]
            begun = key == self._last_key
            children = [
                {name: row[place] for place, name in self._child}
                for row in opened
                if row[self._query.child_key] is not None
            ]
            families.append((None if begun else _record(self._own, opened[0]), children))
            self.seen += not begun
            self._last_key = key
        return families

    def _count(self, rows: Rows) -> None:
        if not self._query.many:
            self.seen += len(rows)
            return
        for key, _ in groupby(rows, itemgetter(self._query.row_key)):
            self.seen += key != self._last_key
            self._last_key = key

    def _opened(self, row: Sequence[Any]) -> Sequence[Any]:
        if not self._query.sealed:
            return row
        values = list(row)
        for place, sealed in self._query.sealed:
            if values[sealed] is not None:
                values[place] = self._cipher.decrypt(values[sealed])
        return values


def _record(columns: Sequence[tuple[int, QueryColumn]], row: Sequence[Any]) -> dict[str, Any]:
    """An included model's columns are an object of their own."""
    record: dict[str, Any] = {}
    for place, column in columns:
        target = record.setdefault(column.model, {}) if column.model else record
        target[column.key] = row[place]
    return record
