"""Rows on their way into the database, by COPY."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Table
from sqlalchemy.ext.asyncio import AsyncConnection

from families.database.tables import metadata


class Rows:
    """Collects rows. Those of one table all have the same columns."""

    def __init__(self) -> None:
        self._columns: dict[str, tuple[str, ...]] = {}
        self._rows: dict[str, list[tuple[Any, ...]]] = {}

    def add(self, table: Table, **values: Any) -> None:
        """Adds one row. JSON is given as text."""
        self._columns.setdefault(table.name, tuple(values))
        self._rows.setdefault(table.name, []).append(tuple(values.values()))

    def columns(self, table: Table) -> Sequence[str]:
        """The names of what `of` answers."""
        return self._columns[table.name]

    def of(self, table: Table) -> Sequence[tuple[Any, ...]]:
        return self._rows.get(table.name, ())

    async def copy(self, connection: AsyncConnection) -> None:
        """Writes all of them, in the connection's transaction, what others refer to first."""
        driver = (await connection.get_raw_connection()).driver_connection
        assert driver is not None
        for table in metadata.sorted_tables:
            if columns := self._columns.get(table.name):
                await driver.copy_records_to_table(table.name, records=self._rows[table.name], columns=columns)
