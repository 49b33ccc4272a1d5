"""A form as a table: which columns its submissions have, each by the title of its field."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from families.database.tables import fields, sub_forms

BASE_COLUMNS: Final = ("submission_id", "submitted_at", "submitted_by", "status")
UPLOADS: Final = frozenset({"file_upload", "image_upload"})


@dataclass(frozen=True, slots=True)
class FormField:
    """A column."""

    id: UUID
    type: str
    name: str
    """The field's title, told apart from equal ones before it."""


@dataclass(frozen=True, slots=True)
class SubForm:
    """A table within each submission."""

    id: UUID
    name: str
    fields: Sequence[FormField]


@dataclass(frozen=True, slots=True)
class FormLayout:
    fields: Sequence[FormField]
    sub_forms: Sequence[SubForm]

    @property
    def has_uploads(self) -> bool:
        every = (*self.fields, *(field for sub_form in self.sub_forms for field in sub_form.fields))
        return any(field.type in UPLOADS for field in every)


class _Names:
    """Gives each title a name of its own."""

    def __init__(self, taken: Iterable[str]) -> None:
        self._taken = set(taken)

    def free(self, title: str) -> str:
        title = title.strip() or "Untitled"
        name, number = title, 1
        while name in self._taken:
            number += 1
            name = f"{title} ({number})"
        self._taken.add(name)
        return name


async def form_layout(connection: AsyncConnection, form_id: UUID) -> FormLayout:
    """The columns of a form's submissions, in the form's own order."""
    found = (
        await connection.execute(
            select(fields.c.id, fields.c.sub_form_id, fields.c.type, fields.c.title)
            .where(fields.c.form_id == form_id)
            .order_by(fields.c.order, fields.c.createdAt, fields.c.id)
        )
    ).all()
    below = (
        await connection.execute(
            select(sub_forms.c.id, sub_forms.c.title)
            .where(sub_forms.c.form_id == form_id)
            .order_by(sub_forms.c.order, sub_forms.c.createdAt, sub_forms.c.id)
        )
    ).all()

    def of(sub_form: UUID | None, names: _Names) -> Sequence[FormField]:
        return [FormField(row.id, row.type, names.free(row.title)) for row in found if row.sub_form_id == sub_form]

    names = _Names(BASE_COLUMNS)
    return FormLayout(
        fields=of(None, names),
        sub_forms=[SubForm(row.id, names.free(row.title), of(row.id, _Names(BASE_COLUMNS))) for row in below],
    )
