"""The submissions of a form, newest first, with their answers and the rows of their sub-forms, chunk by chunk."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ARRAY, ColumnElement, Row, Select, Uuid, any_, cast, func, literal, select
from sqlalchemy.dialects.postgresql import TEXT
from sqlalchemy.ext.asyncio import AsyncConnection

from families.database.date_ranges import DateRange
from families.database.encryption import AnswerCipher
from families.database.tables import files, submission_data, submissions, users
from families.exports.answers import UploadedFile, answer_value
from families.exports.chunks import open_chunks, work_through
from families.exports.form_layout import FormLayout

CHUNK: Final = 500
"""Submissions that are fetched, and written, at a time."""
FINISHED: Final = ("submitted", "approved", "rejected", "archived")
"""What is exported unless the caller says otherwise: all but drafts."""

Answers = Mapping[UUID, Any]
"""Values by the ids of fields."""


@dataclass(frozen=True, slots=True)
class Submission:
    base: Sequence[Any]
    """By form_layout.BASE_COLUMNS."""
    answers: Answers
    rows: Mapping[UUID, Sequence[Answers]]
    """By the ids of sub-forms."""


@dataclass(slots=True)
class Chunk:
    """What the database answered of some submissions, before anything is made of it."""

    submissions: Sequence[Row[Any]]
    rows: Sequence[Row[Any]] = ()
    answers: Sequence[Row[Any]] = ()
    files: dict[str, UploadedFile] = field(default_factory=dict)


class FormSubmissions:
    """Reads the submissions of one form within a range."""

    def __init__(
        self, connection: AsyncConnection, form_id: UUID, layout: FormLayout, within: DateRange, statuses: Sequence[str]
    ) -> None:
        self._connection = connection
        self._layout = layout
        self._conditions = _conditions(form_id, within, statuses or FINISHED)

    async def count(self) -> int:
        counted = select(func.count()).select_from(submissions).where(*self._conditions)
        return int(await self._connection.scalar(counted) or 0)

    async def work_through(self, work: Callable[[Chunk], Awaitable[None]]) -> None:
        """Works on all of them, chunk by chunk."""
        async with open_chunks(self._connection, self._statement(), CHUNK) as chunks:

            async def fetch() -> Chunk | None:
                rows = await chunks.next()
                return await self._complete(Chunk(rows)) if rows else None

            await work_through(fetch, work)

    def _statement(self) -> Select[Any]:
        return (
            select(submissions.c.id, submissions.c.submitted_at, users.c.username, submissions.c.status)
            .select_from(submissions.outerjoin(users, submissions.c.submitted_by == users.c.id))
            .where(*self._conditions)
            .order_by(submissions.c.submitted_at.desc(), submissions.c.id.desc())
        )

    async def _complete(self, chunk: Chunk) -> Chunk:
        """Fetches what belongs to the submissions."""
        ids = [row.id for row in chunk.submissions]
        if self._layout.sub_forms:
            chunk.rows = await self._fetch(
                select(submissions.c.id, submissions.c.parent_id)
                .where(_among(submissions.c.parent_id, ids))
                .order_by(submissions.c.submitted_at, submissions.c.createdAt, submissions.c.id)
            )
            ids += [row.id for row in chunk.rows]
        chunk.answers = await self._fetch(
            select(
                submission_data.c.submission_id,
                submission_data.c.field_id,
                submission_data.c.value_text,
                submission_data.c.value_encrypted,
                submission_data.c.value_type,
            ).where(_among(submission_data.c.submission_id, ids))
        )
        if self._layout.has_uploads:
            uploaded = select(files.c.id, files.c.original_name, files.c.mime_type, files.c.size)
            chunk.files = {
                str(row.id): UploadedFile(row.original_name, row.mime_type, row.size)
                for row in await self._fetch(uploaded.where(_among(files.c.submission_id, ids)))
            }
        return chunk

    async def _fetch(self, statement: Select[Any]) -> Sequence[Row[Any]]:
        rows: Sequence[Row[Any]] = (await self._connection.execute(statement)).all()
        return rows


class Reader:
    """Makes submissions of what the database answered. Decrypting takes time: not for the event loop."""

    def __init__(self, layout: FormLayout, cipher: AnswerCipher) -> None:
        self._cipher = cipher
        self._types = {each.id: each.type for each in layout.fields}
        self._sub_form: dict[UUID, UUID] = {}
        for sub_form in layout.sub_forms:
            for each in sub_form.fields:
                self._types[each.id] = each.type
                self._sub_form[each.id] = sub_form.id

    def read(self, chunk: Chunk) -> Sequence[Submission]:
        answers: dict[UUID, dict[UUID, Any]] = defaultdict(dict)
        for row in chunk.answers:
            text = row.value_text if row.value_encrypted is None else self._cipher.decrypt(row.value_encrypted)
            kind = self._types.get(row.field_id)
            if kind is not None:  # the field was there when the columns were read
                answers[row.submission_id][row.field_id] = answer_value(kind, text, row.value_type, chunk.files)
        rows: dict[UUID, dict[UUID, list[Answers]]] = defaultdict(lambda: defaultdict(list))
        for row in chunk.rows:
            # A row does not say of which sub-form it is: its answers do.
            if found := answers.get(row.id):
                sub_form = next((self._sub_form[each] for each in found if each in self._sub_form), None)
                if sub_form is not None:
                    rows[row.parent_id][sub_form].append(found)
        return [Submission(tuple(row), answers.get(row.id, {}), rows.get(row.id, {})) for row in chunk.submissions]


def _conditions(form_id: UUID, within: DateRange, statuses: Sequence[str]) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = [
        submissions.c.form_id == form_id,
        submissions.c.parent_id.is_(None),
        cast(submissions.c.status, TEXT).in_(statuses),
    ]
    if within.start is not None:
        conditions.append(submissions.c.submitted_at >= within.start)
    if within.end is not None:
        conditions.append(submissions.c.submitted_at < within.end)
    return conditions


def _among(column: ColumnElement[Any], ids: Sequence[UUID]) -> ColumnElement[bool]:
    """One parameter, however many ids there are."""
    return column == any_(literal(ids, ARRAY(Uuid)))
