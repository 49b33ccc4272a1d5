"""Whether a database has what the service needs. It never changes a schema: it says what it misses."""

from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from base.database.connection import reading
from base.database.models import SECRET
from base.database.tables import metadata

_COLUMNS: Final = text("""
    SELECT wanted.name, attribute.attname, has_column_privilege(attribute.attrelid, attribute.attnum, 'SELECT')
    FROM unnest(CAST(:tables AS text[])) AS wanted(name)
    JOIN pg_attribute AS attribute ON attribute.attrelid = to_regclass(quote_ident(wanted.name))
    WHERE attribute.attnum > 0 AND NOT attribute.attisdropped
""")


async def missing(engine: AsyncEngine) -> list[str]:
    """What the database at DATABASE_URL lacks, one line each; empty when it has all.

    Raises:
      DatabaseUnavailableError: it cannot be asked.
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
