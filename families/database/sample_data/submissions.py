"""The sample submissions: two years of them, with answers, rows of sub-forms and files."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Final
from uuid import UUID

from families.database import tables
from families.database.encryption import AnswerCipher
from families.database.sample_data import words
from families.database.sample_data.answers import answer
from families.database.sample_data.forms import FORMS
from families.database.sample_data.ids import any_id, field_id, form_id, user_id
from families.database.sample_data.people import PEOPLE
from families.database.sample_data.rows import Rows
from families.database.sample_data.specs import UPLOADS, FieldSpec, FormSpec
from families.database.sample_data.uploads import UploadFolder, paper, picture

DAYS: Final = 730
WITH_FILES: Final = 8
"""How many of a form's latest submissions bring files."""
SATURDAY: Final = 5
STATUSES: Final = ("submitted", "approved", "rejected", "archived", "draft")
WEIGHTS: Final = (55, 25, 7, 8, 5)


@dataclass(frozen=True)
class _Submission:
    id: UUID
    form: int
    by: UUID | None
    status: str
    when: datetime


class Submissions:
    """Adds submissions to rows and files to a folder."""

    def __init__(self, rows: Rows, folder: UploadFolder, cipher: AnswerCipher, chance: Random) -> None:
        self._rows = rows
        self._folder = folder
        self._cipher = cipher
        self._chance = chance

    def add(self, until: datetime) -> None:
        """To every form, up to the time `until`."""
        for number, form in enumerate(FORMS, start=1):
            users: list[UUID | None] = [
                user_id(place) for place, person in enumerate(PEOPLE, start=1) if person.role in form.roles
            ]
            moments = sorted(self._moment(until) for _ in range(form.submissions))
            for left, when in zip(range(form.submissions, 0, -1), moments, strict=True):
                by = self._chance.choice([*users, None]) if "general_user" in form.roles else self._chance.choice(users)
                status = self._chance.choices(STATUSES, WEIGHTS)[0]
                submission = _Submission(any_id(self._chance), number, by, status, when)
                self._add_one(submission, form, with_files=left <= WITH_FILES)

    def _moment(self, until: datetime) -> datetime:
        """More of them lately than at the beginning, fewer on weekends, most by day."""
        when = until - timedelta(days=DAYS * self._chance.random() ** 1.3)
        if when.weekday() >= SATURDAY and self._chance.random() < 0.6:  # noqa: PLR2004
            when -= timedelta(days=2)
        by_day = when.replace(hour=self._chance.randint(0, 12))  # UTC: seven hours later in Bangkok
        return when if by_day > until else by_day

    def _add_one(self, submission: _Submission, form: FormSpec, *, with_files: bool) -> None:
        self._add_submission(submission, None, self._metadata(submission.when, form.minutes))
        order = 0
        for order, field in enumerate(form.fields, start=1):
            if field.type in UPLOADS:
                if with_files:
                    self._add_file(submission, order, field)
            elif self._chance.random() < field.answered:
                self._add_answer(submission, order, field)
        for sub_form in form.sub_forms:
            for _ in range(self._chance.randint(0, sub_form.rows)):
                self._add_row(submission, order, sub_form.fields)
            order += len(sub_form.fields)

    def _add_row(self, parent: _Submission, order: int, fields: Sequence[FieldSpec]) -> None:
        """A row of a sub-form, whose fields' numbers come after `order`."""
        row = _Submission(any_id(self._chance), parent.form, parent.by, parent.status, parent.when)
        self._add_submission(row, parent.id, {})
        for place, field in enumerate(fields, start=order + 1):
            if self._chance.random() < field.answered:
                self._add_answer(row, place, field)

    def _metadata(self, when: datetime, minutes: float) -> dict[str, str]:
        """Some browsers did not tell when their user began."""
        if self._chance.random() < 0.08:  # noqa: PLR2004
            return {}
        started = when - timedelta(minutes=minutes * self._chance.lognormvariate(0, 0.5))
        return {"startedAt": started.isoformat(timespec="milliseconds").replace("+00:00", "Z")}

    def _add_submission(self, submission: _Submission, parent: UUID | None, metadata: dict[str, str]) -> None:
        self._rows.add(
            tables.submissions,
            id=submission.id,
            form_id=form_id(submission.form),
            submitted_by=submission.by,
            status=submission.status,
            ip_address=None if parent else f"198.51.100.{self._chance.randrange(1, 255)}",
            user_agent=None if parent else self._chance.choice(words.BROWSERS),
            metadata=json.dumps(metadata),
            submitted_at=submission.when,
            parent_id=parent,
            createdAt=submission.when,
            updatedAt=submission.when,
        )

    def _add_answer(self, submission: _Submission, order: int, field: FieldSpec) -> None:
        text, value_type = answer(self._chance, field, submission.when)
        self._add_data(submission, order, field, text, value_type)

    def _add_data(self, submission: _Submission, order: int, field: FieldSpec, text: str, value_type: str) -> None:
        secret = field.type in tables.ENCRYPTED_TYPES
        self._rows.add(
            tables.submission_data,
            id=any_id(self._chance),
            submission_id=submission.id,
            field_id=field_id(submission.form, order),
            value_text=None if secret else text,
            value_encrypted=self._cipher.encrypt(text, self._chance.randbytes(16)) if secret else None,
            value_type=value_type,
            is_encrypted=secret,
            createdAt=submission.when,
            updatedAt=submission.when,
        )

    def _add_file(self, submission: _Submission, order: int, field: FieldSpec) -> None:
        upload = (picture if field.type == "image_upload" else paper)(self._chance)
        file = any_id(self._chance)
        place = f"forms/{form_id(submission.form)}/{file}"
        small = f"{place}.thumbnail.jpg" if upload.thumbnail else None
        self._folder.write(f"{place}{upload.suffix}", upload.content, submission.when)
        if upload.thumbnail and small:
            self._folder.write(small, upload.thumbnail, submission.when)
        self._rows.add(
            tables.files,
            id=file,
            submission_id=submission.id,
            field_id=field_id(submission.form, order),
            filename=f"{file}{upload.suffix}",
            original_name=upload.name,
            mime_type=upload.mime_type,
            size=len(upload.content),
            minio_path=f"{place}{upload.suffix}",
            checksum=upload.checksum,
            uploaded_by=submission.by,
            uploaded_at=submission.when,
            thumbnail_path=small,
            createdAt=submission.when,
            updatedAt=submission.when,
        )
        self._add_data(submission, order, field, json.dumps([str(file)]), "file")
