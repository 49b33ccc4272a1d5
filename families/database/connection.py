"""The way into the application's database: an engine with a bounded pool, and transactions with a time limit."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, Final, cast
from weakref import WeakKeyDictionary

import asyncpg
from sqlalchemy import Engine, event, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import QueuePool

from base.certificates import certificate_refusal
from base.settings import Settings
from base.telemetry.pools import PoolState
from families.database.errors import (
    DatabaseError,
    DatabaseSetupError,
    DatabaseUnavailableError,
    StatementTimeoutError,
)
from families.database.settings import DatabaseSettings

CONNECT_SECONDS: Final = 10.0
POOL_SECONDS: Final = 30.0
"""How long one waits for a connection while all are in use."""
RECYCLE_SECONDS: Final = 1800
STATEMENT_SECONDS: Final = 300.0
"""The longest that a statement may take, unless its transaction says otherwise. Each fetch of a cursor is one."""

_TIMED_OUT: Final = "57014"
_NO_SUCH_THING: Final = {"42P01": "a table", "42703": "a column", "42501": "the right to a table", "3F000": "a schema"}
_CAUSES: Final[tuple[tuple[type[BaseException], str], ...]] = (
    (asyncpg.InvalidAuthorizationSpecificationError, "it does not take the login of DATABASE_URL"),
    (asyncpg.InvalidCatalogNameError, "it has no database of the name in DATABASE_URL"),
    (asyncpg.TooManyConnectionsError, "it has no connection left"),
    (TimeoutError, f"it did not answer within {CONNECT_SECONDS:.0f} s"),
)
_LIMIT: Final = text("""
    SELECT set_config('statement_timeout', :milliseconds, true),
        CASE WHEN current_setting('client_connection_check_interval', true) IS NOT NULL
            THEN set_config('client_connection_check_interval', '1000', true) END
""")
"""The second has the server look once a second whether anybody still waits: the statement of a job that was cancelled, or
whose worker was killed, ends then. Servers before version 14 do not know it."""


@dataclass
class _Opened:
    """The open connections of one engine."""

    number: int = 0


_opened: Final[WeakKeyDictionary[Engine, _Opened]] = WeakKeyDictionary()


def open_database(settings: Settings) -> AsyncEngine:
    """An engine for DATABASE_URL; the owner disposes of it.

    Nothing is connected yet: that the server is down, or that DATABASE_URL is not set, is said by the first transaction.
    """
    own = DatabaseSettings.of(settings)

    async def connect() -> Any:
        if own.database_url is None:
            raise DatabaseSetupError("there is no database: set DATABASE_URL")
        address = own.database_url.get_secret_value()
        # The driver reads the whole address itself, so that sslmode, sslrootcert and several hosts mean what they say.
        try:
            return await asyncpg.connect(
                address, timeout=CONNECT_SECONDS, server_settings={"application_name": "qjobs"}
            )
        except (OSError, TimeoutError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise DatabaseUnavailableError(f"the database cannot be reached: {_why(error)}") from error

    engine = create_async_engine(
        "postgresql+asyncpg://",
        async_creator=connect,
        pool_size=own.database_pool_size,
        max_overflow=0,
        pool_timeout=POOL_SECONDS,
        pool_recycle=RECYCLE_SECONDS,
        pool_pre_ping=True,
    )
    _count(engine)
    return engine


def _count(engine: AsyncEngine) -> None:
    """Counts the engine's open connections. The pool's own count includes some that were given up and not opened again."""
    opened = _opened[engine.sync_engine] = _Opened()

    def one_more(*_: Any) -> None:
        opened.number += 1

    def one_less(*_: Any) -> None:
        opened.number -= 1

    event.listen(engine.sync_engine, "connect", one_more)
    event.listen(engine.sync_engine, "close", one_less)


def pool_state(engine: AsyncEngine) -> PoolState:
    """The current connections of an engine that `open_database` made."""
    pool = cast("QueuePool", engine.pool)
    busy = pool.checkedout()
    return PoolState(busy, max(0, _opened[engine.sync_engine].number - busy), pool.size())


@asynccontextmanager
async def reading(
    engine: AsyncEngine, *, statement_seconds: float = STATEMENT_SECONDS
) -> AsyncIterator[AsyncConnection]:
    """A transaction that cannot write, and whose statements all see the rows as they were at its beginning.

    Raises:
      DatabaseUnavailableError, StatementTimeoutError, DatabaseSetupError: at its beginning, or for a statement in it.
    """
    with _in_plain_words():
        async with engine.connect() as connection:
            await connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            await _limit(connection, statement_seconds)
            yield connection


@asynccontextmanager
async def writing(
    engine: AsyncEngine, *, statement_seconds: float = STATEMENT_SECONDS
) -> AsyncIterator[AsyncConnection]:
    """A transaction that is committed at the end of its block, and rolled back when the block raises.

    Raises:
      DatabaseUnavailableError, StatementTimeoutError, DatabaseSetupError: as for `reading`.
    """
    with _in_plain_words():
        async with engine.begin() as connection:
            await _limit(connection, statement_seconds)
            yield connection


async def _limit(connection: AsyncConnection, seconds: float) -> None:
    """By a statement, since a pooler such as PgBouncer refuses connections that bring the setting along."""
    await connection.execute(_LIMIT, {"milliseconds": str(round(seconds * 1000))})


@contextmanager
def _in_plain_words() -> Iterator[None]:
    try:
        yield
    except PoolTimeoutError as error:
        raise DatabaseUnavailableError(
            f"all connections to the database were in use for {POOL_SECONDS:.0f} s: try later, or raise DATABASE_POOL_SIZE"
        ) from error
    except DBAPIError as error:
        plain = _plain(error)
        if plain is None:
            raise
        raise plain from error


def _plain(error: DBAPIError) -> DatabaseError | None:
    """What the driver's error means, where it is not this program's own fault."""
    state = getattr(error.orig, "sqlstate", None) or ""
    if state == _TIMED_OUT:
        return StatementTimeoutError("a statement was ended by the database, as it took longer than it may")
    if state in _NO_SUCH_THING:
        return DatabaseSetupError(
            f"the database lacks {_NO_SUCH_THING[state]} that this needs ({_first_line(error.orig)}): bring it up to date "
            "with Q-Collector's own migrations, and let the login of DATABASE_URL read it"
        )
    if error.connection_invalidated or state.startswith(("08", "53", "57")):
        return DatabaseUnavailableError("the connection to the database was lost: try again")
    return None


def _why(error: BaseException) -> str:
    if refused := certificate_refusal(error, "sslmode and sslrootcert in DATABASE_URL"):
        return f"it has {refused}"
    for kind, reason in _CAUSES:
        if isinstance(error, kind):
            return reason
    if isinstance(error, OSError):
        return error.strerror or "the connection failed; check DATABASE_URL"
    if isinstance(error, asyncpg.PostgresError):
        return _first_line(error)
    return "DATABASE_URL cannot be understood; it should look like postgresql://user:password@host:5432/database"


def _first_line(error: BaseException | None) -> str:
    lines = str(getattr(error, "driver_exception", error)).splitlines()
    return lines[0][:200] if lines else "no reason given"
