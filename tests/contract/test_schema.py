"""The JSON Schema of a type's `data` agrees with what decoding and the rules take and refuse."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from qcollector.jobs.v1.email_pb2 import EmailPasswordReset

from contract.catalog import Catalog
from contract.checking import check
from contract.declarations import JobType
from contract.decoding import decode_data
from contract.errors import RequestInvalidError
from contract.schema import json_schema
from tests.contract.conftest import DONE, queue, serve, work

WELCOME = {"user": {"id": 1, "email": "user@example.com"}}
BATCH = {
    "emails": [
        {"to": "user1@example.com", "template": "welcome", "data": {"name": "Ann"}},
        {"to": "user2@example.com", "template": "welcome", "data": {"name": "Bob"}},
    ],
    "options": {"batchSize": 10, "delay": 1000},
}
RESET = {"user": {"email": "a@b.c"}, "resetToken": "t", "expiresAt": "2025-01-01T00:00:00Z"}
NOTIFICATION = {
    "submission": {"id": 7, "createdAt": "2025-01-01", "hasAttachments": True},
    "form": {"id": 3, "title": "Leave"},
    "recipients": [{"email": "a@b.c"}],
}
EXPORT = {
    "user": {"email": "a@b.c"},
    "exportInfo": {"type": "Form submissions", "format": "CSV", "recordsCount": 3, "fileSize": 2048},
}
SEND = {
    "to": ["Ann <a@b.c>", "d@e.f"],
    "subject": "Hi",
    "html": "<p>Hi</p>",
    "replyTo": "g@h.i",
    "headers": {"X-Team": "forms"},
    "attachments": [{"path": "uploads/a.png"}, {"filename": "b.txt", "content": "AAA="}],
}
DOCUMENTED = [
    ("email:send/welcome", WELCOME),
    ("email:batch/batch", BATCH),
    ("email:send/password-reset", RESET),
    ("email:send/submission-notification", NOTIFICATION),
    ("email:send/export-notification", EXPORT),
    ("email:send/send", SEND),
]
BROKEN: list[tuple[str, dict[str, Any]]] = [
    ("email:send/welcome", {}),
    ("email:send/welcome", {"user": {}}),
    ("email:send/welcome", {"user": {"email": "nobody"}}),
    ("email:send/welcome", {"user": {"email": "a@b.c", "id": 1.5}}),
    ("email:send/welcome", {"user": {"email": "a@b.c", "id": "x" * 129}}),
    ("email:send/welcome", {"user": {"email": "a@b.c"}, "extra": 1}),
    ("email:send/welcome", {"user": {"email": "a@b.c", "age": 1}}),
    ("email:batch/batch", {"emails": []}),
    ("email:batch/batch", {"emails": [1]}),
    ("email:batch/batch", BATCH | {"options": {"batchSize": 101}}),
    ("email:batch/batch", BATCH | {"options": {"delay": 1.5}}),
    ("email:send/password-reset", RESET | {"resetToken": ""}),
    ("email:send/password-reset", RESET | {"expiresAt": "tomorrow"}),
    ("email:send/submission-notification", NOTIFICATION | {"form": {"id": 3}}),
    ("email:send/export-notification", EXPORT | {"exportInfo": {"recordsCount": -1}}),
    ("email:send/export-notification", EXPORT | {"exportInfo": {"downloadUrl": "javascript:x"}}),
    ("email:send/send", SEND | {"subject": "two\nlines"}),
    ("email:send/send", SEND | {"to": []}),
    ("email:send/send", SEND | {"headers": {"1": "x"}}),
    ("email:send/send", SEND | {"headers": {"X": "a\nb"}}),
    ("test:work/script", {"steps": [{"sleep": 1, "log": "x"}]}),
]


def judge(job_type: JobType) -> Draft202012Validator:
    schema = json_schema(job_type)
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def taken(job_type: JobType, data: Any) -> bool:
    """Whether the service takes it, by decoding and by the rules."""
    try:
        return not check(decode_data(job_type, data), "data")
    except RequestInvalidError:
        return False


def test_the_schema_of_every_type_is_a_valid_one(catalog: Catalog, kinds: JobType) -> None:
    for job_type in (*catalog.types.values(), kinds):
        schema = judge(job_type).schema
        assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
        assert schema["type"] == "object"


@pytest.mark.families
@pytest.mark.parametrize(("key", "data"), DOCUMENTED)
def test_documented_examples_are_valid_and_taken(catalog: Catalog, key: str, data: dict[str, Any]) -> None:
    judge(catalog.types[key]).validate(data)
    assert taken(catalog.types[key], data)


@pytest.mark.families
@pytest.mark.parametrize(("key", "data"), BROKEN)
def test_broken_ones_are_invalid_and_refused(catalog: Catalog, key: str, data: dict[str, Any]) -> None:
    assert not judge(catalog.types[key]).is_valid(data)
    if "emails" not in data or data["emails"] != [1]:
        assert not taken(catalog.types[key], data)


def test_every_field_of_every_kind_is_described(kinds: JobType) -> None:
    good = {
        "someText": 5,
        "small": 1,
        "large": "9223372036854775807",
        "ratio": 1.5,
        "yes": True,
        "octets": "AA==",
        "format": "temp_files",
        "createdAt": "2025-01-01",
        "timeSpan": "1.5s",
        "free": {"a": [1, {"b": None}]},
        "anything": None,
        "items": [1, "a"],
        "wrapped": 5,
        "texts": "a",
        "formats": ["csv"],
        "inner": {"inner": {"small": 1}},
        "byName": {"a": {"small": 1}},
        "byNumber": {"1": "a"},
        "either": "a",
        "maybe": 0,
    }
    wrong = {
        "someText": True,
        "small": 2**31,
        "large": "x",
        "ratio": "1",
        "yes": 1,
        "octets": 1,
        "format": "xls",
        "createdAt": "2025",
        "timeSpan": 3,
        "free": [],
        "items": {},
        "wrapped": {"value": 5},
        "texts": [None],
        "formats": "x",
        "inner": {"inner": {"small": "x"}},
        "byName": {"a": 1},
        "byNumber": [],
        "either": [],
    }
    validator = judge(kinds)

    validator.validate(good)
    assert taken(kinds, good)
    for name, value in wrong.items():
        assert not validator.is_valid({name: value}), name
        assert not taken(kinds, {name: value}), name
    assert not validator.is_valid({"either": "a", "orThis": 1})


@pytest.mark.families
def test_what_the_schema_admits_of_a_users_fields_is_what_the_service_takes(catalog: Catalog) -> None:
    """Both are asked about the same values, and agree."""
    values = st.booleans() | st.integers(-5, 5) | st.floats(-2, 2) | st.text(max_size=3) | st.just("x" * 300)
    names = st.sampled_from(["id", "username", "firstName", "lastName", "department", "role"])
    welcome = catalog.types["email:send/welcome"]
    validator = judge(welcome)

    @limits(max_examples=200, deadline=None, database=None)
    @given(st.dictionaries(names, values, max_size=2), st.sampled_from(["a@b.c", "A <a@b.c>", "a", "", " a@b", 5]))
    def agree(fields: dict[str, Any], email: Any) -> None:
        data = {"user": fields | {"email": email}}
        assert validator.is_valid(data) == taken(welcome, data)

    agree()


def test_rules_become_keywords() -> None:
    fields = [
        ("code", "type: TYPE_STRING", 'string { min_len: 2 max_len: 4 pattern: "^[a-z]+$" }'),
        ("word", "type: TYPE_STRING", 'string { in: ["a", "b"] }'),
        ("mail", "type: TYPE_STRING", "string { email: true }"),
        ("flagged", "type: TYPE_STRING", 'string { pattern: "(?i)^x$" }'),
        ("share", "type: TYPE_DOUBLE", "double { gt: 0 lt: 1 }"),
        ("level", "type: TYPE_INT32", "int32 { in: [1, 2] }"),
        ("names", "label: LABEL_REPEATED type: TYPE_STRING", "repeated { min_items: 2 max_items: 3 unique: true }"),
    ]
    declared = " ".join(
        f'field {{ name: "{name}" number: {number} {kind} options {{ [buf.validate.field] {{ {rules} }} }} }}'
        for number, (name, kind, rules) in enumerate(fields, 1)
    )
    properties = json_schema(serve(queue() + DONE + work(fields=declared)).type("declared:work", "work"))["properties"]

    assert properties["code"] == {"type": "string", "minLength": 2, "maxLength": 4, "pattern": "^[a-z]+$"}
    assert properties["word"] == {"type": "string", "enum": ["a", "b"]}
    assert properties["mail"] == {"type": "string", "format": "email"}
    assert properties["flagged"] == {"type": "string"}
    assert properties["share"] == {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}
    assert properties["level"]["enum"] == [1, 2]
    assert properties["names"] == {
        "type": "array",
        "items": {"type": ["string", "integer"]},
        "minItems": 2,
        "maxItems": 3,
        "uniqueItems": True,
    }


@pytest.mark.families
def test_secrets_are_marked_and_what_must_be_set_is_required(catalog: Catalog) -> None:
    schema = json_schema(catalog.by_message(EmailPasswordReset.DESCRIPTOR.full_name))

    assert schema["properties"]["resetToken"]["writeOnly"] is True
    assert "writeOnly" not in schema["properties"]["user"]
    assert schema["required"] == ["user", "resetToken", "expiresAt"]
    assert schema["additionalProperties"] is False
    assert schema["properties"]["user"] == {"$ref": "#/$defs/qcollector.jobs.v1.EmailUser"}
    assert schema["$defs"]["qcollector.jobs.v1.EmailUser"]["required"] == ["email"]


@pytest.mark.families
def test_examples_are_the_contracts_own_and_for_paths_one_within_the_storage_roots(catalog: Catalog) -> None:
    schema = json_schema(catalog.types["export:data/csv"])
    assert schema["$defs"]["qcollector.jobs.v1.ExportQuery"]["properties"]["model"]["examples"] == ["Form"]
    assert schema["properties"]["outputPath"]["examples"] == ["exports/example.csv"]
    target = json_schema(catalog.types["system:backup/backup"])["$defs"]["qcollector.jobs.v1.SystemBackupTarget"]
    assert target["properties"]["source"]["examples"] == ["temp/example"]
    assert target["properties"]["type"]["examples"] == ["files"]


@pytest.mark.families
def test_rules_over_several_fields_are_told_in_words(catalog: Catalog) -> None:
    assert json_schema(catalog.types["email:send/send"])["description"] == (
        "set template, text or html; set subject; only a template's <title> can take its place"
    )
