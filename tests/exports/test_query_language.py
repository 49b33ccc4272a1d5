"""Queries are checked against the models, answer what they say, and can neither reach a secret nor say any SQL."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncEngine

from base.settings import Settings
from families.database.connection import open_database, reading
from families.database.models import MODELS, SECRET
from families.database.queries import Query, QueryError, compile_query
from tests.exports.conftest import LEAD, SATISFACTION
from tests.postgres import PostgresServer


@pytest.fixture
async def engine(postgres: PostgresServer, settings: Settings) -> AsyncIterator[AsyncEngine]:
    opened = open_database(settings.model_copy(update=await postgres.itself("sample")))
    yield opened
    await opened.dispose()


def compiled(model: str, fields: Sequence[str] = (), zone: str = "UTC", **options: Any) -> Query:
    return compile_query({"model": model, "options": options}, fields, zone)


def problems(model: str, fields: Sequence[str] = (), **options: Any) -> Mapping[str, str]:
    with pytest.raises(QueryError) as refused:
        compiled(model, fields, **options)
    return {problem.path: problem.description for problem in refused.value.problems}


async def answer(engine: AsyncEngine, query: Query) -> list[tuple[Any, ...]]:
    async with reading(engine) as connection:
        return [tuple(row) for row in (await connection.execute(query.statement)).all()]


async def ids(engine: AsyncEngine, where: Any, model: str = "Submission") -> set[str]:
    return {str(row[0]) for row in await answer(engine, compiled(model, ["id"], where=where))}


async def sql(engine: AsyncEngine, statement: str) -> set[str]:
    async with reading(engine) as connection:
        return {str(row[0]) for row in (await connection.execute(text(statement))).all()}


@pytest.mark.parametrize(
    ("where", "condition"),
    [
        ({"form_id": LEAD}, f"form_id = '{LEAD}'"),
        ({"formId": {"in": [LEAD, SATISFACTION]}}, f"form_id IN ('{LEAD}', '{SATISFACTION}')"),
        ({"form_id": {"notIn": [LEAD]}}, f"form_id <> '{LEAD}'"),
        ({"form_id": {"in": []}}, "false"),
        ({"status": ["draft", "rejected"]}, "status IN ('draft', 'rejected')"),
        ({"status": {"ne": "draft"}}, "status <> 'draft'"),
        ({"status": {"like": "%ed"}}, "status::text LIKE '%ed'"),
        ({"submitted_by": None}, "submitted_by IS NULL"),
        (
            {"submitted_by": {"isNull": False}, "parent_id": {"eq": None}},
            "submitted_by IS NOT NULL AND parent_id IS NULL",
        ),
        (
            {"submitted_at": {"gte": "2025-01-01", "lt": "2025-02-01"}},
            "submitted_at >= '2025-01-01Z' AND submitted_at < '2025-02-01Z'",
        ),
        (
            {"submitted_at": {"between": ["2025-01-01", "2025-01-31"]}},
            "submitted_at >= '2025-01-01Z' AND submitted_at < '2025-02-01Z'",
        ),
        ({"submitted_at": {"gt": "2025-06-30"}}, "submitted_at >= '2025-07-01Z'"),
        ({"submitted_at": {"lte": "2025-06-30"}}, "submitted_at < '2025-07-01Z'"),
        ({"submitted_at": "2026-03-03"}, "submitted_at >= '2026-03-03Z' AND submitted_at < '2026-03-04Z'"),
        (
            {"submitted_at": {"ne": "2026-03-03"}},
            "NOT (submitted_at >= '2026-03-03Z' AND submitted_at < '2026-03-04Z')",
        ),
        ({"user_agent": {"iLike": "%FIREFOX%"}}, "user_agent ILIKE '%firefox%'"),
        ({"ip_address": {"in": ["198.51.100.7", "198.51.100.9"]}}, "ip_address IN ('198.51.100.7', '198.51.100.9')"),
        (
            {"or": [{"status": "draft"}, {"and": [{"form_id": LEAD}, {"status": "approved"}]}]},
            f"status = 'draft' OR (form_id = '{LEAD}' AND status = 'approved')",
        ),
        ({"not": {"or": [{"status": "draft"}, {"parent_id": None}]}}, "NOT (status = 'draft' OR parent_id IS NULL)"),
        ({}, "true"),
    ],
)
async def test_conditions_mean_what_they_say(engine: AsyncEngine, where: Any, condition: str) -> None:
    assert await ids(engine, where) == await sql(engine, f"SELECT id FROM submissions WHERE {condition}")


async def test_other_columns_compare_by_their_types(engine: AsyncEngine) -> None:
    assert await ids(engine, {"version": {"gte": 2.0}, "is_active": True}, "Form") == await sql(
        engine, "SELECT id FROM forms WHERE version >= 2 AND is_active"
    )
    assert await ids(engine, {"size": {"between": [1000.0, 20000.0]}}, "File") == await sql(
        engine, "SELECT id FROM files WHERE size BETWEEN 1000 AND 20000"
    )


async def test_days_are_in_the_zone(engine: AsyncEngine) -> None:
    query = compiled("Submission", ["id"], zone="Asia/Bangkok", where={"submitted_at": "2026-03-03"})
    found = {str(row[0]) for row in await answer(engine, query)}
    expected = "submitted_at >= '2026-03-02T17:00Z' AND submitted_at < '2026-03-03T17:00Z'"
    assert found == await sql(engine, f"SELECT id FROM submissions WHERE {expected}")


async def test_order_and_limit_choose_the_rows_of_the_model_whatever_is_included(engine: AsyncEngine) -> None:
    order = [["submitted_at", "desc"], "id"]
    bare = await answer(engine, compiled("Submission", ["id"], order=order, limit=7))
    several = compiled(
        "Submission", ["id", "SubmissionData.id"], order=order, limit=7, include=[{"model": "SubmissionData"}]
    )
    assert several.many == "SubmissionData"
    assert list(dict.fromkeys(row[0] for row in await answer(engine, several))) == [row[0] for row in bare]
    assert len(bare) == 7


async def test_what_is_included_for_nothing_repeats_no_row(engine: AsyncEngine) -> None:
    query = compiled("Submission", ["id"], include=[{"model": "SubmissionData"}], where={"form_id": LEAD})
    rows = await answer(engine, query)
    assert len(rows) == len(set(rows))
    assert query.many == ""


async def test_a_row_without_what_is_included_is_there_all_the_same(engine: AsyncEngine) -> None:
    rows = await answer(engine, compiled("Submission", ["id", "User.username"], include=[{"model": "User"}]))
    assert None in {row[1] for row in rows}


def test_columns_go_by_either_name_and_keep_the_one_that_was_asked_for() -> None:
    query = compiled("Submission", ["id", "created_at", "createdAt", "submittedAt"])
    assert [column.name for column in query.columns] == ["id", "created_at", "createdAt", "submittedAt"]
    assert query.columns[1].column is query.columns[2].column


def test_no_secret_is_ever_among_the_columns() -> None:
    for name, model in MODELS.items():
        query = compiled(
            name, include=[{"model": other} for other in model.relations if not model.relations[other].many]
        )
        shown = {(each.column.table.name, each.column.name) for each in query.columns}
        assert not {(table, column) for table, column in shown if column in SECRET.get(table, ())}


@pytest.mark.parametrize(
    "secret", ["password_hash", "passwordHash", "twoFactorSecret", "two_factor_secret", "full_name_enc"]
)
def test_a_secret_is_an_unknown_column_wherever_it_is_named(secret: str) -> None:
    assert "no column" in problems("User", [secret])["fields[0]"]
    assert "no column" in problems("User", where={secret: {"like": "a%"}})[f"query.options.where.{secret}"]
    assert "no column" in problems("User", order=[[secret, "ASC"]])["query.options.order[0]"]
    included = problems("Form", [f"User.{secret}"], include=[{"model": "User"}])
    assert "no column" in included["fields[0]"]


def test_sealed_answers_cannot_be_named_either() -> None:
    assert "fields[0]" in problems("SubmissionData", ["value_encrypted"])
    assert "query.options.where.value_encrypted" in problems("SubmissionData", where={"value_encrypted": None})


@pytest.mark.parametrize(
    "model", ["Session", "sessions", "users", "form", "", "Form; DROP TABLE forms", "__class__", "F" * 10_000_000]
)
def test_only_models_can_be_named(model: str) -> None:
    described = problems(model)["query.model"]
    assert "take one of Form, Field" in described
    assert len(described) < 300


@pytest.mark.parametrize(
    ("where", "path", "said"),
    [
        ({"statuss": "x"}, "statuss", "no column 'statuss'"),
        ({"status": "aproved"}, "status", "is none of draft, submitted"),
        ({"status": {"gt": "a"}}, "status.gt", "take one of eq, ne"),
        ({"status": {}}, "status", "says no operator"),
        ({"status": {"$ne": "x"}}, "status.$ne", "no such operator"),
        ({"form_id": 123.0}, "form_id", "is no id"),
        ({"form_id": {"like": "a%"}}, "form_id.like", "no such operator"),
        ({"submitted_at": "soon"}, "submitted_at", "is no day"),
        ({"submitted_at": 5.0}, "submitted_at", "is no text"),
        ({"submitted_at": ""}, "submitted_at", "is empty"),
        ({"submitted_at": {"between": ["2025-01-01"]}}, "submitted_at.between", "list of 2"),
        ({"metadata": {"eq": {"a": 1}}}, "metadata.eq", "take one of isNull"),
        ({"metadata": {"startedAt": "x"}}, "metadata.startedAt", "no such operator"),
        ({"user_agent": {"like": "a\\"}}, "user_agent.like", "ends in a backslash"),
        ({"user_agent": "a\0b"}, "user_agent", "NUL"),
        ({"user_agent": {"in": "abc"}}, "user_agent.in", "is no list"),
        ({"user_agent": {"in": ["a", {"b": 1}]}}, "user_agent.in", "is no text"),
        ({"user_agent": {"isNull": "yes"}}, "user_agent.isNull", "neither true nor false"),
        ({"ip_address": "300.1.1.1"}, "ip_address", "no IP address"),
        ({"or": {"status": "draft"}}, "or", "no list"),
        ({"or": []}, "or", "an empty one"),
        ({"and": ["status"]}, "and[0]", "no object"),
        ({"not": None}, "not", "no object"),
        ("status = 'draft'", "", "no object"),
        ({"1=1; DROP TABLE forms; --": "x"}, "1=1; DROP TABLE forms; --", "no column"),
    ],
)
def test_conditions_that_make_no_sense_are_refused_by_their_place(where: Any, path: str, said: str) -> None:
    found = problems("Submission", where=where)
    assert said in found["query.options.where" + (f".{path}" if path else "")]


def test_numbers_are_held_to_their_columns() -> None:
    for value in (1.5, 2.0**31, float("inf"), float("nan"), True, "2"):
        assert problems("Form", where={"version": value})
    assert problems("File", where={"size": 2.0**63})


def test_all_that_is_wrong_is_told_at_once() -> None:
    found = problems(
        "Submission",
        ["id", "id", "nope", "User.username"],
        where={"statuss": 1.0},
        order=["nope", ["id", "UP"], 5.0],
        include=[{"model": "SubmissionData"}, {"model": "File"}, {"model": "Session"}, {"model": "SubmissionData"}],
    )
    assert set(found) == {
        *("fields[1]", "fields[2]", "fields[3]", "query.options.where.statuss"),
        *(f"query.options.order[{place}]" for place in range(3)),
        *(f"query.options.include[{place}].model" for place in (1, 2, 3)),
    }


def test_depth_and_number_of_conditions_are_bounded() -> None:
    deep: Any = {"status": "draft"}
    for _ in range(12):
        deep = {"not": deep}
    assert any("nested deeper than 10" in said for said in problems("Submission", where=deep).values())
    many = {"user_agent": ["x"] * 10_001}
    assert "more than 10000 values" in problems("Submission", where=many)["query.options.where.user_agent"]
    split = {"or": [{"user_agent": ["x"] * 600} for _ in range(20)]}
    assert any("more than 10000" in said for said in problems("Submission", where=split).values())


async def test_as_many_values_as_are_allowed_are_taken_by_the_database(engine: AsyncEngine) -> None:
    assert await ids(engine, {"user_agent": [f"agent {n}" for n in range(10_000)]}) == set()


HOSTILE = [
    "'; DROP TABLE forms; --",
    '" OR ""="',
    "%'",
    "\\'; SELECT pg_sleep(10); --",
    "$1",
    ":x",
    "{}",
    "%s",
    "\u2019 OR 1=1",
]


@pytest.mark.parametrize("hostile", HOSTILE)
async def test_hostile_text_is_a_value_and_nothing_else(engine: AsyncEngine, hostile: str) -> None:
    assert await ids(engine, {"user_agent": hostile}) == set()
    assert await ids(engine, {"user_agent": {"like": hostile}}) == set()
    assert await ids(engine, {"title": {"in": [hostile]}}, "Form") == set()
    assert len(await sql(engine, "SELECT id FROM forms")) == 7


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_names_never_reach_the_statement(hostile: str) -> None:
    assert problems("Submission", [hostile])
    assert problems("Submission", where={hostile: "x"})
    assert problems("Submission", where={"status": {hostile: "x"}})
    assert problems("Submission", order=[hostile])
    assert problems("Submission", order=[["id", hostile]])
    assert problems("Submission", include=[{"model": hostile}])


def test_ten_megabytes_of_text_are_one_parameter() -> None:
    query = compiled("Form", ["id"], where={"title": "x" * 10_000_000})
    assert len(str(query.statement.compile(dialect=postgresql.dialect()))) < 300


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["and", "or", "not", "status", "form_id", "submitted_at", "eq", "in", "gte", "isNull", "id"]
            )
            | st.text(max_size=5),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(where=JSON, order=st.lists(JSON, max_size=3), fields=st.lists(st.text(max_size=8), max_size=3))
@hypothesis_settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
def test_no_json_makes_the_compiler_fail_otherwise_than_by_refusing(where: Any, order: Any, fields: Any) -> None:
    try:
        query = compiled("Submission", fields, where=where, order=order)
    except QueryError as error:
        assert error.problems
        return
    assert str(query.statement.compile(dialect=postgresql.dialect())).startswith("SELECT")
