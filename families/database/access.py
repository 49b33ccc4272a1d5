"""Who may see a form, with all that was submitted to it: the application's own rule."""

import uuid
from dataclasses import dataclass
from typing import Final

from qcollector.jobs.v1.job_pb2 import Caller
from sqlalchemy import ColumnElement, false, or_, select, true
from sqlalchemy.ext.asyncio import AsyncConnection

from families.database.errors import FormUnknownError
from families.database.tables import forms

SEE_ALL: Final = frozenset({"super_admin", "admin", "service"})
"""Roles that see every form. `service` is the application's own back end, which decides for its users."""

_SHOWN: Final = 64


@dataclass(frozen=True, slots=True)
class VisibleForm:
    """A form that the caller may see."""

    id: uuid.UUID
    title: str
    version: int
    description: str | None
    is_active: bool


_COLUMNS: Final = tuple(forms.c[name] for name in VisibleForm.__slots__)


def may_see(caller: Caller) -> ColumnElement[bool]:
    """The condition on `forms` for what the caller may see: made by it, or open to its role."""
    if caller.role in SEE_ALL:
        return true()
    own = uuid_of(caller.id)
    return or_(
        forms.c.roles_allowed.contains([caller.role]) if caller.role else false(),
        forms.c.created_by == own if own else false(),
    )


async def visible_form(connection: AsyncConnection, form_id: str, caller: Caller) -> VisibleForm:
    """The form of that id.

    Raises:
      FormUnknownError: there is none, or the caller may not see it.
    """
    number = uuid_of(form_id)
    row = None
    if number is not None:
        row = (await connection.execute(select(*_COLUMNS).where(forms.c.id == number, may_see(caller)))).one_or_none()
    if row is None:
        raise FormUnknownError(
            f"no form that you may see has the id {form_id[:_SHOWN]!r}: name one by its id, as the application shows it"
        )
    return VisibleForm(*row)


def uuid_of(word: str) -> uuid.UUID | None:
    """The id that a word spells, None where it spells none."""
    try:
        return uuid.UUID(word)
    except ValueError:
        return None
