"""Fills an empty database with the sample data."""

from datetime import UTC, datetime
from random import Random
from typing import Final

from sqlalchemy import exists, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from base.settings import Settings
from families.database import tables
from families.database.encryption import AnswerCipher
from families.database.sample_data.definitions import add_forms
from families.database.sample_data.people import add_sessions, add_users
from families.database.sample_data.rows import Rows
from families.database.sample_data.submissions import Submissions
from families.database.sample_data.uploads import UploadFolder
from families.database.settings import DatabaseSettings

SEED: Final = 20250930


async def load_sample_data(connection: AsyncConnection, settings: Settings, until: datetime | None = None) -> bool:
    """Writes two years of sample data that end at `until` (now), and files to UPLOAD_DIR; the same at every call.

    A database that has any user or form is left alone.

    Returns:
      Whether it was filled.

    Raises:
      ValueError: ENCRYPTION_KEY is not set.
    """
    if await _is_used(connection):
        return False
    await sample_rows(settings, until or datetime.now(UTC)).copy(connection)
    return True


def sample_rows(settings: Settings, until: datetime) -> Rows:
    """All rows. Their files are written on the way: a file without a row can be written again, a row cannot wait."""
    chance = Random(SEED)  # noqa: S311  (the same for everybody)
    cipher = AnswerCipher(DatabaseSettings.of(settings).encryption_key)
    folder = UploadFolder(settings.root("upload"))
    rows = Rows()
    add_users(rows, chance, cipher, until)
    add_sessions(rows, chance, until)
    add_forms(rows, until)
    Submissions(rows, folder, cipher, chance).add(until)
    folder.add_orphans(chance, until)
    return rows


async def _is_used(connection: AsyncConnection) -> bool:
    used = or_(exists(select(tables.users.c.id)), exists(select(tables.forms.c.id)))
    return bool(await connection.scalar(select(used)))
