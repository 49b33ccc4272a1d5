"""The statistics once more, by hand: every row is fetched, and plain Python counts."""

import json
import statistics
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import select

from base.settings import Settings
from families.database.connection import open_database, reading
from families.database.tables import fields, forms, sessions, submission_data, submissions, users
from tests.postgres import database_address

Row = Mapping[str, Any]


COLUMNS: dict[str, tuple[Any, ...]] = {
    "users": (users,),
    "sessions": (sessions.c.user_id, sessions.c.createdAt),
    "forms": (forms,),
    "fields": (fields.c.id, fields.c.form_id),
    "submissions": (submissions,),
    "submission_data": (
        *(submission_data.c.submission_id, submission_data.c.field_id),
        *(submission_data.c.value_text, submission_data.c.value_encrypted),
    ),
}
_read: dict[str, "Everything"] = {}


@dataclass
class Everything:
    """All rows of the tables that analytics look at."""

    tables: Mapping[str, Sequence[Row]]

    @classmethod
    async def of(cls, settings: Settings) -> "Everything":
        """Of a database that changes no more."""
        address = database_address(settings)
        if address not in _read:
            engine = open_database(settings)
            async with reading(engine) as connection:
                tables = {
                    name: [dict(row) for row in (await connection.execute(select(*columns))).mappings()]
                    for name, columns in COLUMNS.items()
                }
            await engine.dispose()
            _read[address] = cls(tables)
        return _read[address]

    def whole(self, chosen: Callable[[Row], bool]) -> list[Row]:
        """Submissions that are no rows of sub-forms."""
        return [row for row in self.tables["submissions"] if row["parent_id"] is None and chosen(row)]

    def answered(self, chosen: Sequence[Row]) -> Counter[str]:
        """Submissions that answer each field."""
        wanted = {row["id"] for row in chosen}
        belongs = {row["id"]: row["parent_id"] or row["id"] for row in self.tables["submissions"]}
        pairs = {
            (str(answer["field_id"]), belongs[answer["submission_id"]])
            for answer in self.tables["submission_data"]
            if belongs[answer["submission_id"]] in wanted
            and (answer["value_encrypted"] or answer["value_text"] not in {None, "", "[]", "{}", "null"})
        }
        return Counter(field for field, _ in pairs)


def by_status(rows: Sequence[Row]) -> dict[str, int]:
    return dict(Counter(row["status"] for row in rows))


def by_day(rows: Sequence[Row], zone: str) -> list[tuple[str, int]]:
    days = Counter(row["submitted_at"].astimezone(ZoneInfo(zone)).date().isoformat() for row in rows)
    return sorted(days.items())


def minutes(rows: Sequence[Row]) -> list[float]:
    found = []
    for row in rows:
        metadata = row["metadata"] if isinstance(row["metadata"], dict) else json.loads(row["metadata"])
        if "startedAt" in metadata:
            took = row["submitted_at"] - datetime.fromisoformat(metadata["startedAt"])
            found.append(took.total_seconds() / 60)
    return found


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def latest(rows: Sequence[Row], column: str) -> datetime | None:
    return max((row[column].astimezone(UTC) for row in rows), default=None)
