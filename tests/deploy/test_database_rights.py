"""Under the roles of deploy/postgres/grants.sql every job does its work, and what they do not have is refused."""

from collections.abc import AsyncIterator, Awaitable, Callable

import asyncpg
import pytest
from google.protobuf.message import Message
from pydantic import SecretStr
from qcollector.jobs.v1.analytics_pb2 import AnalyticsFormStats, AnalyticsSystemAnalytics, AnalyticsUserActivity
from qcollector.jobs.v1.export_pb2 import ExportCsv, ExportFormat, ExportFormSubmissions, ExportJson
from qcollector.jobs.v1.file_pb2 import FileCleanup
from qcollector.jobs.v1.system_pb2 import (
    SystemBackup,
    SystemBackupTarget,
    SystemBackupTargetType,
    SystemCleanup,
    SystemCleanupTask,
    SystemCleanupTaskType,
    SystemHealthCheck,
)
from sqlalchemy import make_url

from base.settings import Settings
from contract.catalog import Catalog
from engine.store import Store
from families.database.connection import open_database
from families.database.models import MODELS, SECRET
from families.database.needs import missing
from families.database.sample_data.ids import form_id, user_id
from families.database.tables import metadata
from tests.deploy.files import DEPLOY
from tests.desk import working
from tests.postgres import database_address

GRANTS = (DEPLOY / "postgres" / "grants.sql").read_text("utf-8")
READER, CLEANER, DUMPER = "qjobs_reader", "qjobs_cleaner", "qjobs_dumper"
PASSWORD = "a-password-of-the-tests"
QUEUES = ("export:data", "analytics:calculate", "file:cleanup", "system:cleanup", "system:backup")
RIGHTS = """
    SELECT pg_class.relname, pg_attribute.attname, right_ FROM pg_class
    JOIN pg_attribute ON attrelid = pg_class.oid AND attnum > 0 AND NOT attisdropped,
    unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'REFERENCES']) AS right_
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
        AND has_column_privilege($1, pg_class.oid, attnum, right_)
    UNION ALL
    SELECT relname, '', right_ FROM pg_class, unnest(ARRAY['DELETE', 'TRUNCATE', 'TRIGGER']) AS right_
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND has_table_privilege($1, oid, right_)
"""
OLD_SESSIONS = SystemCleanup(
    tasks=[SystemCleanupTask(type=SystemCleanupTaskType.SYSTEM_CLEANUP_TASK_TYPE_OLD_SESSIONS, max_age=0)]
)
BACKUP = SystemBackup(targets=[SystemBackupTarget(type=SystemBackupTargetType.SYSTEM_BACKUP_TARGET_TYPE_DATABASE)])

LoginAs = Callable[..., Awaitable[Settings]]
Right = tuple[str, str, str]


@pytest.fixture
async def owner(sample_database: Settings) -> AsyncIterator[asyncpg.Connection]:
    """The owner of the tables, once the file has been run, and run again."""
    connection = await asyncpg.connect(_address(sample_database))
    await connection.execute(GRANTS)
    await connection.execute(GRANTS)
    yield connection
    await connection.close()


@pytest.fixture
def login_as(sample_database: Settings, owner: asyncpg.Connection) -> LoginAs:
    """Makes a login that is a member of these roles; the settings that use it."""

    async def make(*roles: str) -> Settings:
        login = "_".join(("test", *roles))
        await owner.execute(f"DROP ROLE IF EXISTS {login}")
        await owner.execute(f"CREATE ROLE {login} LOGIN PASSWORD '{PASSWORD}' IN ROLE {', '.join(roles)}")
        url = make_url(_address(sample_database)).set(username=login, password=PASSWORD)
        address = SecretStr(url.render_as_string(hide_password=False))
        return sample_database.model_copy(update={"database_url": address})

    return make


def _address(settings: Settings) -> str:
    return database_address(settings)


async def rights_of(role: str, owner: asyncpg.Connection) -> set[Right]:
    return {tuple(row) for row in await owner.fetch(RIGHTS, role)}


async def test_the_roles_have_the_rights_that_the_tables_declare_and_no_other(owner: asyncpg.Connection) -> None:
    columns = {
        (table.name, column.name, "SELECT")
        for table in metadata.tables.values()
        for column in table.columns
        if column.name not in SECRET.get(table.name, ())
    }
    assert await rights_of(READER, owner) == columns
    assert await rights_of(CLEANER, owner) == {
        ("sessions", "id", "SELECT"),
        ("sessions", "expires_at", "SELECT"),
        ("sessions", "", "DELETE"),
    }
    assert {right for _, _, right in await rights_of(DUMPER, owner)} == {"SELECT"}


async def test_the_reader_has_all_that_health_asks_for(login_as: LoginAs) -> None:
    engine = open_database(await login_as(READER))
    assert await missing(engine) == []
    await engine.dispose()


EXPORTS: list[Message] = [
    ExportFormSubmissions(form_id=str(form_id(1)), format=ExportFormat.EXPORT_FORMAT_XLSX),
    *(ExportCsv(query={"model": model}) for model in MODELS),
    ExportJson(query={"model": "Submission", "options": {"include": [{"model": "SubmissionData"}, {"model": "User"}]}}),
]
STATISTICS: list[Message] = [
    AnalyticsFormStats(form_id=str(form_id(1))),
    AnalyticsSystemAnalytics(),
    AnalyticsUserActivity(user_id=str(user_id(1))),
]


async def test_a_reader_does_all_jobs_but_two(login_as: LoginAs, store: Store, catalog: Catalog) -> None:
    async with working(await login_as(READER), store, catalog, QUEUES) as desk:
        for payload in EXPORTS:
            assert (await desk.run(payload)).metadata.record_count > 0
        for payload in STATISTICS:
            await desk.run(payload)
        assert (await desk.run(FileCleanup())).orphans_skipped == ""
        assert (await desk.run(OLD_SESSIONS)).results.details[0].result.reported > 0
        result = await desk.run(SystemHealthCheck(services=["database"]))
        assert result.results.services["database"].status == "healthy"


async def test_sessions_are_deleted_by_a_cleaner_alone(
    login_as: LoginAs, owner: asyncpg.Connection, store: Store, catalog: Catalog
) -> None:
    before = await owner.fetchval("SELECT count(*) FROM sessions")
    async with working(await login_as(READER), store, catalog, QUEUES, cleanup_delete=True) as desk:
        assert "permission denied for table sessions" in await desk.fail(OLD_SESSIONS)
    assert await owner.fetchval("SELECT count(*) FROM sessions") == before
    async with working(await login_as(READER, CLEANER), store, catalog, QUEUES, cleanup_delete=True) as desk:
        result = await desk.run(OLD_SESSIONS)
    assert result.results.details[0].result.deleted > 0
    assert await owner.fetchval("SELECT count(*) FROM sessions") == before - result.results.details[0].result.deleted


async def test_a_backup_is_made_by_a_dumper_alone(
    login_as: LoginAs, owner: asyncpg.Connection, store: Store, catalog: Catalog
) -> None:
    async with working(await login_as(READER), store, catalog, QUEUES) as desk:
        assert "permission denied for table" in await desk.fail(BACKUP, attempts=1)
    await owner.execute("CREATE TABLE later (id serial PRIMARY KEY)")
    async with working(await login_as(DUMPER), store, catalog, QUEUES) as desk:
        result = await desk.run(BACKUP)
    assert [entry.target for entry in result.results.backups] == ["database"]


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT password_hash FROM users",
        "SELECT token FROM sessions",
        "SELECT settings FROM forms",
        "SELECT * FROM users",
        "UPDATE users SET role = 'super_admin'",
        "DELETE FROM submissions",
        "INSERT INTO forms (title) VALUES ('mine')",
        "CREATE TABLE mine (id int)",
        "SELECT pg_read_file('PG_VERSION')",
        "COPY forms (title) TO PROGRAM 'cat'",
    ],
)
async def test_what_no_job_needs_is_refused(login_as: LoginAs, statement: str) -> None:
    connection = await asyncpg.connect(_address(await login_as(READER, CLEANER)))
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement)
    finally:
        await connection.close()
