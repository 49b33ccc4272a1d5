"""Whether a database has what the service needs. It never changes a schema: it says what it misses."""

from collections.abc import Sequence
from typing import Final

import structlog
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from base.settings import Settings
from families.database.connection import reading
from families.database.errors import DatabaseError
from families.database.models import SECRET
from families.database.settings import DatabaseSettings
from families.database.tables import metadata

_NAMED: Final = 3

_COLUMNS: Final = text("""
    SELECT wanted.name, attribute.attname, has_column_privilege(attribute.attrelid, attribute.attnum, 'SELECT')
    FROM unnest(CAST(:tables AS text[])) AS wanted(name)
    JOIN pg_attribute AS attribute ON attribute.attrelid = to_regclass(quote_ident(wanted.name))
    WHERE attribute.attnum > 0 AND NOT attribute.attisdropped
""")
_log = structlog.get_logger(__name__)


async def tell_missing(engine: AsyncEngine, settings: Settings) -> None:
    """Says in the log, when a process starts, what the database lacks. Without DATABASE_URL its users say so one by one."""
    if DatabaseSettings.of(settings).database_url is None:
        return
    try:
        lacks = await missing(engine)
    except DatabaseError as error:
        _log.warning("database_unavailable", reason=str(error))
    else:
        if lacks:
            _log.warning("database_incomplete", reason=complaint(lacks), missing=lacks)


def complaint(lacks: Sequence[str]) -> str:
    """What `missing` has found, in a sentence with the remedy."""
    more = f" and {len(lacks) - _NAMED} more" if len(lacks) > _NAMED else ""
    return (
        f"the database at DATABASE_URL lacks {', '.join(lacks[:_NAMED])}{more}: bring it up to date with Q-Collector's own "
        "migrations, or name another one"
    )


async def missing(engine: AsyncEngine) -> list[str]:
    """What the database at DATABASE_URL lacks, one line each; empty when it has all.

    Raises:
      DatabaseError: it cannot be asked.
    """
    async with reading(engine, statement_seconds=30) as connection:
        rows = (await connection.execute(_COLUMNS, {"tables": list(metadata.tables)})).all()
    readable: dict[str, dict[str, bool]] = {}
    for table, column, may_read in rows:
        readable.setdefault(table, {})[column] = may_read
    problems = []
    for name, table in metadata.tables.items():
        needed = [column.name for column in table.columns if column.name not in SECRET.get(name, ())]
        if name not in readable:
            problems.append(f"the table {name}")
            continue
        problems += [f"the column {name}.{column}" for column in needed if column not in readable[name]]
        if closed := [column for column in needed if not readable[name].get(column, True)]:
            problems.append(f"the right to read {name} ({', '.join(closed)})")
    return problems
