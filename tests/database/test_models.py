"""What may be exported goes by the application's names, in either spelling, and holds no secret."""

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from families.database import tables
from families.database.errors import ModelUnknownError
from families.database.models import MODELS, find_model

SECRETS = ("password", "token", "secret", "twofactor", "2fa", "_enc", "encrypted", "backupcodes")


def test_every_model_of_the_contract_is_there_and_sessions_are_not() -> None:
    assert set(MODELS) == {"Form", "Field", "Submission", "SubmissionData", "SubForm", "File", "User"}


def test_no_column_that_is_exported_has_a_name_like_a_secret() -> None:
    exported = {f"{model.name}.{name}" for model in MODELS.values() for name in model.columns}
    suspicious = {name for name in exported if any(word in name.lower() for word in SECRETS)}
    assert suspicious == {"SubmissionData.is_encrypted"}


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("User", "password_hash"),
        ("User", "passwordHash"),
        ("User", "twoFactorSecret"),
        ("User", "two_factor_secret"),
        ("User", "twoFactorBackupCodes"),
        ("User", "phone_enc"),
        ("SubmissionData", "value_encrypted"),
        ("SubmissionData", "valueEncrypted"),
        ("Form", "settings"),
        ("Field", "telegramConfig"),
    ],
)
def test_secret_columns_are_unknown_in_any_spelling(model: str, name: str) -> None:
    with pytest.raises(ModelUnknownError, match=f"{model} has no column '{name}'") as refused:
        find_model(model).column(name)
    assert name not in str(refused.value).partition("take one of")[2]


def test_columns_go_by_either_spelling() -> None:
    submission, user = find_model("Submission"), find_model("User")
    assert submission.column("created_at") is submission.column("createdAt") is tables.submissions.c.createdAt
    assert submission.column("formId") is submission.column("form_id") is tables.submissions.c.form_id
    assert user.column("telegram_user_id") is user.column("telegramUserId") is tables.users.c.telegramUserId


def test_no_spelling_stands_for_two_columns() -> None:
    for model in MODELS.values():
        for column in model.columns.values():
            assert model.column(column.name) is column


@pytest.mark.parametrize("name", ["Session", "session", "form", "pg_catalog.pg_user", "", "x" * 500])
def test_an_unknown_model_is_refused_with_those_that_there_are(name: str) -> None:
    with pytest.raises(ModelUnknownError, match="take one of Form, Field, Submission") as refused:
        find_model(name)
    assert len(str(refused.value)) < 300


def test_an_unknown_relation_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(ModelUnknownError, match=r"Submission that is called 'SubForm': take one of .*SubmissionData"):
        find_model("Submission").relation("SubForm")


async def test_every_relation_can_be_joined_and_is_the_inverse_of_another(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        for model in MODELS.values():
            for relation in model.relations.values():
                other = MODELS[relation.model]
                inverse = other.relations[model.name]
                assert (inverse.local, inverse.remote) == (relation.remote, relation.local)
                assert inverse.many is not relation.many
                join = model.table.join(other.table, relation.local == relation.remote)
                assert (await connection.execute(select(model.table.c.id).select_from(join))).all() == []
