"""Who may see a form, and that nobody learns of one that it may not see."""

import uuid

import pytest
from qcollector.jobs.v1.job_pb2 import Caller
from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncEngine

from families.database.access import may_see, visible_form
from families.database.connection import reading, writing
from families.database.errors import FormUnknownError
from families.database.tables import forms, users

OWNER, OTHER = uuid.uuid4(), uuid.uuid4()
SALES, OWNED, CLOSED, EVERYBODY = (uuid.uuid4() for _ in range(4))


@pytest.fixture
async def filled(engine: AsyncEngine) -> AsyncEngine:
    async with writing(engine) as connection:
        people = [
            {"id": person, "username": f"u{number}", "email": f"u{number}@example.com", "password_hash": "!"}
            for number, person in enumerate((OWNER, OTHER))
        ]
        await connection.execute(insert(users), people)
        rows = [
            {"id": SALES, "title": "Sales", "roles_allowed": ["sales", "marketing"], "created_by": None, "version": 7},
            {"id": OWNED, "title": "Owned", "roles_allowed": ["admin"], "created_by": OWNER, "version": 1},
            {"id": CLOSED, "title": "Closed", "roles_allowed": [], "created_by": None, "version": 1},
            {
                "id": EVERYBODY,
                "title": "Open",
                "roles_allowed": ["general_user", "sales"],
                "created_by": OTHER,
                "version": 1,
            },
        ]
        await connection.execute(insert(forms), rows)
    return engine


EVERY_FORM = {SALES, OWNED, CLOSED, EVERYBODY}


@pytest.mark.parametrize(
    ("caller", "visible"),
    [
        (Caller(id="x", role="super_admin"), EVERY_FORM),
        (Caller(id="x", role="admin"), EVERY_FORM),
        (Caller(id="x", role="service"), EVERY_FORM),
        (Caller(id=str(OTHER), role="sales"), {SALES, EVERYBODY}),
        (Caller(id=str(uuid.uuid4()), role="general_user"), {EVERYBODY}),
        (Caller(id=str(OWNER), role="general_user"), {OWNED, EVERYBODY}),
        (Caller(id=str(OWNER).upper(), role="technic"), {OWNED}),
        (Caller(id="7", role="technic"), set()),
        (Caller(id="", role=""), set()),
        (Caller(id="x", role="sale"), set()),
        (Caller(id="x", role="Admin"), set()),
        (Caller(id="' OR true --", role='["sales"]'), set()),
    ],
)
async def test_the_role_or_having_made_it_opens_a_form(
    filled: AsyncEngine, caller: Caller, visible: set[uuid.UUID]
) -> None:
    async with reading(filled) as connection:
        assert set(await connection.scalars(select(forms.c.id).where(may_see(caller)))) == visible
        for form in EVERY_FORM:
            if form in visible:
                assert (await visible_form(connection, str(form), caller)).id == form
            else:
                with pytest.raises(FormUnknownError):
                    await visible_form(connection, str(form), caller)


async def test_a_form_comes_with_what_one_wants_to_know_of_it(filled: AsyncEngine) -> None:
    async with reading(filled) as connection:
        form = await visible_form(connection, str(SALES), Caller(id="x", role="sales"))
    assert (form.title, form.version, form.is_active) == ("Sales", 7, True)


async def test_a_foreign_form_and_none_at_all_are_told_alike(filled: AsyncEngine) -> None:
    caller = Caller(id="x", role="general_user")
    nowhere = str(uuid.uuid4())
    async with reading(filled) as connection:
        with pytest.raises(FormUnknownError) as foreign:
            await visible_form(connection, str(SALES), caller)
        with pytest.raises(FormUnknownError) as unknown:
            await visible_form(connection, nowhere, caller)
    assert str(foreign.value).replace(str(SALES), "ID") == str(unknown.value).replace(nowhere, "ID")


@pytest.mark.parametrize("form_id", ["123", "", "form", "\0", "'; DROP TABLE forms", "x" * 10_000, "\uff11"])
async def test_what_is_no_identifier_names_no_form(filled: AsyncEngine, form_id: str) -> None:
    async with reading(filled) as connection:
        with pytest.raises(FormUnknownError, match="no form that you may see has the id") as refused:
            await visible_form(connection, form_id, Caller(id="x", role="admin"))
    assert len(str(refused.value)) < 300
