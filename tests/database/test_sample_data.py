"""Sample data rich enough to look at, the same for everybody, and never twice."""

import hashlib
import json
from datetime import datetime, timedelta

from PIL import Image
from sqlalchemy import func, insert, select
from sqlalchemy.ext.asyncio import AsyncEngine

from base.settings import Settings
from families.database.connection import reading, writing
from families.database.encryption import UNREADABLE, AnswerCipher
from families.database.sample_data.ids import form_id
from families.database.sample_data.load import load_sample_data, sample_rows
from families.database.sample_data.people import ADMIN_ID, PEOPLE
from families.database.settings import DatabaseSettings
from families.database.tables import (
    ENCRYPTED_TYPES,
    FIELD_TYPE,
    ROLE,
    STATUS,
    fields,
    files,
    forms,
    sessions,
    submission_data,
    submissions,
    users,
)
from tests.postgres import SAMPLE_ENDS

ANSWERED = submission_data.join(fields, fields.c.id == submission_data.c.field_id)


async def test_every_field_type_is_answered_and_every_status_and_role_occurs(sample_engine: AsyncEngine) -> None:
    async with reading(sample_engine) as connection:
        answered = await connection.scalars(select(fields.c.type).distinct().select_from(ANSWERED))
        assert set(answered) == set(FIELD_TYPE.words)
        assert set(await connection.scalars(select(submissions.c.status).distinct())) == set(STATUS.words)
        assert set(await connection.scalars(select(users.c.role).distinct())) == set(ROLE.words)
        assert await connection.scalar(select(users.c.role).where(users.c.id == ADMIN_ID)) == "admin"


async def test_thousands_of_submissions_cover_two_years_up_to_the_last_day(sample_engine: AsyncEngine) -> None:
    of_forms = submissions.c.parent_id.is_(None)
    month = func.to_char(submissions.c.submitted_at, "YYYY-MM")
    async with reading(sample_engine) as connection:
        first, last, total = (
            await connection.execute(
                select(func.min(submissions.c.submitted_at), func.max(submissions.c.submitted_at), func.count()).where(
                    of_forms
                )
            )
        ).one()
        months = (await connection.scalars(select(month).distinct())).all()
    assert total == 6000
    assert timedelta(days=725) < SAMPLE_ENDS - first <= timedelta(days=733)
    assert timedelta() <= SAMPLE_ENDS - last < timedelta(days=1)
    assert len(months) == 25


async def test_rows_of_sub_forms_belong_to_a_submission_of_the_same_form(sample_engine: AsyncEngine) -> None:
    parent = submissions.alias("parent")
    rows = submissions.join(parent, submissions.c.parent_id == parent.c.id)
    async with reading(sample_engine) as connection:
        total = await connection.scalar(select(func.count()).select_from(rows))
        strays = await connection.scalar(
            select(func.count()).select_from(rows).where(submissions.c.form_id != parent.c.form_id)
        )
        misplaced = await connection.scalar(
            select(func.count())
            .select_from(ANSWERED.join(submissions, submissions.c.id == submission_data.c.submission_id))
            .where(submissions.c.parent_id.is_(None) != fields.c.sub_form_id.is_(None))
        )
    assert total is not None
    assert total > 2000
    assert (strays, misplaced) == (0, 0)


async def test_what_is_to_be_secret_is_encrypted_and_can_be_read_with_the_key(
    sample_engine: AsyncEngine, sample_database: Settings
) -> None:
    cipher = AnswerCipher(DatabaseSettings.of(sample_database).encryption_key)
    secret = fields.c.type.in_(sorted(ENCRYPTED_TYPES))
    async with reading(sample_engine) as connection:
        wrong = select(func.count()).select_from(ANSWERED).where(submission_data.c.is_encrypted != secret)
        assert await connection.scalar(wrong) == 0
        stored = (
            await connection.execute(
                select(fields.c.type, submission_data.c.value_encrypted, submission_data.c.value_text)
                .select_from(ANSWERED)
                .where(secret)
            )
        ).all()
    assert {row.value_text for row in stored} == {None}
    answers: dict[str, set[str]] = {row.type: set() for row in stored}
    for row in stored:
        answers[row.type].add(cipher.decrypt(row.value_encrypted))
    assert cipher.unreadable == 0
    assert all(UNREADABLE not in values for values in answers.values())
    assert all("@example." in value or "@mail.example" in value for value in answers["email"])
    assert any(value.startswith("+66") for value in answers["phone"])
    assert any(value.startswith("=") for value in answers["paragraph"])
    assert any("\n" in value for value in answers["paragraph"])
    assert "สมชาย ใจดี" in answers["short_answer"]


async def test_every_row_of_a_file_leads_to_the_file(sample_engine: AsyncEngine, sample_database: Settings) -> None:
    root = sample_database.root("upload")
    async with reading(sample_engine) as connection:
        rows = (await connection.execute(select(files))).all()
        answers = await connection.scalars(
            select(submission_data.c.value_text).where(submission_data.c.value_type == "file")
        )
    named = set()
    for row in rows:
        content = (root / row.minio_path).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (row.size, row.checksum)
        assert abs((root / row.minio_path).stat().st_mtime - row.uploaded_at.timestamp()) < 1
        named.add(row.minio_path)
        if row.mime_type.startswith("image/"):
            with Image.open(root / row.minio_path) as image:
                assert Image.MIME[image.format or ""] == row.mime_type
            with Image.open(root / row.thumbnail_path) as image:
                assert max(image.size) == 160
            named.add(row.thumbnail_path)
        else:
            assert content.startswith(b"%PDF-")
    assert {str(row.id) for row in rows} == {file for answer in answers for file in json.loads(answer)}
    there = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
    there = {path for path in there if not path.startswith(".qjobs")}  # the service's own
    orphans = there - named
    assert len(orphans) == 3
    assert len(orphans) < len(there) / 10
    assert not any(path.endswith(".part") for path in there)


async def test_some_sessions_hold_and_some_expired_long_ago(sample_engine: AsyncEngine) -> None:
    async with reading(sample_engine) as connection:
        expiries = (await connection.scalars(select(sessions.c.expires_at))).all()
    assert sum(expiry > SAMPLE_ENDS for expiry in expiries) >= 10
    assert sum(expiry < SAMPLE_ENDS - timedelta(days=7) for expiry in expiries) >= 10


async def test_most_submissions_tell_when_they_were_begun(sample_engine: AsyncEngine) -> None:
    async with reading(sample_engine) as connection:
        rows = (
            await connection.execute(
                select(submissions.c.metadata["startedAt"].astext, submissions.c.submitted_at).where(
                    submissions.c.parent_id.is_(None)
                )
            )
        ).all()
    known = [(datetime.fromisoformat(started), submitted) for started, submitted in rows if started]
    assert 0.85 < len(known) / len(rows) < 0.97
    assert all(timedelta() < submitted - started < timedelta(hours=5) for started, submitted in known)


async def test_it_is_the_same_for_everybody(sample_engine: AsyncEngine, sample_database: Settings) -> None:
    again = sample_rows(sample_database, SAMPLE_ENDS)
    async with reading(sample_engine) as connection:
        for table in (users, sessions, submissions, submission_data, files):
            assert set(await connection.scalars(select(table.c.id))) == {row[0] for row in again.of(table)}
        answers = select(submission_data.c.id, submission_data.c.value_text, submission_data.c.value_encrypted)
        stored = {row.id: tuple(row)[1:] for row in await connection.execute(answers)}
        checksums = set(await connection.scalars(select(files.c.checksum)))
    names = again.columns(submission_data)
    text, encrypted = names.index("value_text"), names.index("value_encrypted")
    assert stored == {row[0]: (row[text], row[encrypted]) for row in again.of(submission_data)}
    assert checksums == {row[again.columns(files).index("checksum")] for row in again.of(files)}


async def test_it_is_not_loaded_twice(sample_engine: AsyncEngine, sample_database: Settings) -> None:
    async with writing(sample_engine) as connection:
        assert await load_sample_data(connection, sample_database) is False
        assert await connection.scalar(select(func.count()).select_from(users)) == len(PEOPLE)


async def test_it_is_never_loaded_beside_other_data(engine: AsyncEngine, database: Settings) -> None:
    async with writing(engine) as connection:
        await connection.execute(insert(forms).values(title="mine"))
        assert await load_sample_data(connection, database) is False
        assert (await connection.scalars(select(forms.c.title))).all() == ["mine"]
    assert not database.root("upload").exists()


async def test_documented_ids_stay_as_they_are(sample_engine: AsyncEngine) -> None:
    assert str(form_id(1)) == "f0000000-0000-4000-8000-000000000001"
    async with reading(sample_engine) as connection:
        title = await connection.scalar(select(forms.c.title).where(forms.c.id == form_id(1)))
    assert title == "แบบสำรวจความพึงพอใจลูกค้า"
