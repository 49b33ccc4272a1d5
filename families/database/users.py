"""Who a caller is in the application's own table."""

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from families.database.access import uuid_of
from families.database.tables import users


@dataclass(frozen=True, slots=True)
class User:
    """A user as the application stores one."""

    email: str
    name: str
    """The given name, else the login name."""


async def user_of(connection: AsyncConnection, caller_id: str) -> User | None:
    """Returns the user with the id of a token's subject, None where no user has it."""
    number = uuid_of(caller_id)
    if number is None:
        return None
    wanted = select(users.c.email, users.c.firstName, users.c.username).where(users.c.id == number)
    row = (await connection.execute(wanted)).one_or_none()
    return None if row is None else User(row.email, row.firstName or row.username)
