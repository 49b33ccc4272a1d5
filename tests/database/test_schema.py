"""Migrations make what the tables say, and a database of somebody else's is told what it lacks."""

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from pydantic import SecretStr
from sqlalchemy import Connection, func, insert, make_url, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from base.settings import Settings
from families.database.columns import Words
from families.database.connection import open_database, reading, writing
from families.database.embedded import MIGRATIONS
from families.database.errors import DatabaseSetupError
from families.database.needs import missing
from families.database.prepare import prepare
from families.database.sample_data.people import PEOPLE
from families.database.tables import ENUMS, forms, metadata, users
from tests.postgres import database_address


def same_type(_context, _inspected, _column, inspected_type, metadata_type) -> bool | None:
    if isinstance(metadata_type, Words):
        return (inspected_type.name, tuple(inspected_type.enums)) != (metadata_type.name, metadata_type.words)
    return None


async def test_migrations_make_exactly_the_declared_tables(engine: AsyncEngine) -> None:
    def differences(connection: Connection) -> list[object]:
        return compare_metadata(MigrationContext.configure(connection, opts={"compare_type": same_type}), metadata)

    async with engine.connect() as connection:
        found = await connection.run_sync(differences)
    assert [difference for difference in found if "alembic_version" not in str(difference)] == []


async def test_every_enum_has_its_words_in_their_order(engine: AsyncEngine) -> None:
    words = text("SELECT enumlabel FROM pg_enum WHERE enumtypid = CAST(:name AS regtype) ORDER BY enumsortorder")
    async with engine.connect() as connection:
        for enum in ENUMS:
            assert tuple(await connection.scalars(words, {"name": enum.name})) == enum.words


async def test_columns_have_the_declared_defaults(engine: AsyncEngine) -> None:
    """What an INSERT may leave out here, it may leave out there."""
    defaults = text("""
        SELECT table_name, column_name FROM information_schema.columns
        WHERE table_schema = 'public' AND table_name <> 'alembic_version' AND column_default IS NOT NULL
    """)
    async with engine.connect() as connection:
        found = {tuple(row) for row in await connection.execute(defaults)}
    assert found == {
        (table.name, column.name) for table in metadata.tables.values() for column in table.c if column.server_default
    }


async def test_preparing_it_again_keeps_all_that_is_there(engine: AsyncEngine, database: Settings) -> None:
    async with writing(engine) as connection:
        await connection.execute(insert(forms).values(title="mine"))
    await prepare(database)
    async with reading(engine) as connection:
        assert (await connection.scalars(select(forms.c.title))).all() == ["mine"]
    assert not database.root("upload").exists()


async def test_a_preparation_that_failed_halfway_leaves_nothing_and_is_begun_anew(database: Settings) -> None:
    anew = SecretStr(f"{database_address(database)}_anew")
    settings = database.model_copy(update={"database_url": anew})
    opened = open_database(settings)
    try:
        with pytest.raises(ValueError, match="ENCRYPTION_KEY"):  # once the tables are there
            await prepare(settings.model_copy(update={"encryption_key": None}))
        assert len(await missing(opened)) == len(metadata.tables)
        await prepare(settings)
        assert await missing(opened) == []
        async with reading(opened) as connection:
            assert await connection.scalar(select(func.count()).select_from(users)) == len(PEOPLE)
    finally:
        await opened.dispose()


def test_migrations_are_named_after_their_revisions() -> None:
    """By which a start knows whether there is anything to do."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS.parent))
    revisions = list(ScriptDirectory.from_config(config).walk_revisions())
    assert {revision.revision for revision in revisions} == {path.name[1:5] for path in MIGRATIONS.glob("v*.py")}
    assert revisions[0].revision == max(revision.revision for revision in revisions)


async def test_a_whole_database_lacks_nothing(engine: AsyncEngine) -> None:
    assert await missing(engine) == []


async def test_a_missing_table_and_a_missing_column_are_named(engine: AsyncEngine) -> None:
    async with writing(engine) as connection:
        await connection.execute(text("DROP TABLE sessions"))
        await connection.execute(text('ALTER TABLE submissions DROP COLUMN metadata, DROP COLUMN "createdAt"'))
    assert sorted(await missing(engine)) == [
        "the column submissions.createdAt",
        "the column submissions.metadata",
        "the table sessions",
    ]


async def test_what_the_login_may_not_read_is_named_unless_no_job_reads_it(
    engine: AsyncEngine, database: Settings
) -> None:
    address = make_url(database_address(database))
    reader = f"reader_of_{address.database}"
    columns = ", ".join(f'"{c.name}"' for c in users.c if c.name not in {"password_hash", "email", "department"})
    async with writing(engine) as connection:
        await connection.execute(text(f"CREATE ROLE {reader} LOGIN PASSWORD 'word'"))
        await connection.execute(text(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {reader}"))
        await connection.execute(text(f"REVOKE SELECT ON users FROM {reader}"))
        await connection.execute(text(f"GRANT SELECT ({columns}) ON users TO {reader}"))
    own = address.set(username=reader, password="word").render_as_string(hide_password=False)
    limited = open_database(database.model_copy(update={"database_url": SecretStr(own)}))
    try:
        assert await missing(limited) == ["the right to read users (email, department)"]
        with pytest.raises(DatabaseSetupError, match="the right to a table"):
            async with reading(limited) as connection:
                await connection.execute(select(users.c.email))
    finally:
        await limited.dispose()
