"""What `data` may say, and that everything else is refused by its path, with what would be right."""

import json
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.struct_pb2 import Struct
from google.protobuf.timestamp_pb2 import Timestamp
from qcollector.jobs.v1.email_pb2 import EmailBatch, EmailUser, EmailWelcome

from contract.catalog import Catalog
from contract.declarations import JobType
from contract.decoding import MAX_PROBLEMS, decode_data
from contract.errors import RequestInvalidError


def struct(data: dict[str, Any]) -> Struct:
    message = Struct()
    message.update(data)
    return message


def problems(job_type: JobType, data: Any) -> dict[str, str]:
    """What is wrong with `data`, by field."""
    with pytest.raises(RequestInvalidError) as error:
        decode_data(job_type, data)
    return {problem.field: problem.description for problem in error.value.problems}


def rules(job_type: JobType, data: Any) -> dict[str, str]:
    with pytest.raises(RequestInvalidError) as error:
        decode_data(job_type, data)
    return {problem.field: problem.rule for problem in error.value.problems}


@pytest.mark.families
def test_the_documented_welcome_example_decodes(catalog: Catalog) -> None:
    data = struct({"user": {"id": 1, "email": "user@example.com"}})

    assert decode_data(catalog.type("email:send", "welcome"), data) == EmailWelcome(
        user=EmailUser(id="1", email="user@example.com")
    )


@pytest.mark.families
def test_the_documented_batch_example_decodes(catalog: Catalog) -> None:
    mail = {"to": "user1@example.com", "template": "welcome", "data": {"name": "Ann", "n": 1.5, "tags": ["a", None]}}
    data = struct({"emails": [mail, mail], "options": {"batchSize": 10, "delay": 1000}})

    batch = decode_data(catalog.type("email:batch", "batch"), data)

    assert isinstance(batch, EmailBatch)
    assert (batch.options.batch_size, batch.options.delay) == (10, 1000)
    assert list(batch.emails[1].to) == ["user1@example.com"]
    assert batch.emails[1].data == struct(mail["data"])


@pytest.mark.parametrize("name", ["someText", "some_text"])
@pytest.mark.parametrize("make", [struct, dict])
def test_names_may_be_in_snake_case_or_camel_case(kinds: JobType, name: str, make: Any) -> None:
    assert decode_data(kinds, make({name: "x"})) == kinds.payload(some_text="x")


def test_one_field_under_both_its_names_is_refused(kinds: JobType) -> None:
    assert problems(kinds, {"some_text": "a", "someText": "a"}) == {
        "data.someText": "cannot be set together with some_text; remove one of the two"
    }


@pytest.mark.families
def test_a_field_at_the_wrong_level_is_told_where_it_belongs(catalog: Catalog) -> None:
    query = {"query": {"model": "Form"}}
    notify = {"email": "a@example.com"}
    assert problems(catalog.types["export:data/csv"], {**query, "options": {"notify": notify}}) == {
        "data.options.notify": "unknown field; it belongs to the payload itself: write notify at its top"
    }
    form = {"formId": "f", "format": "csv", "notify": notify}
    assert problems(catalog.types["export:data/form-submissions"], form) == {
        "data.notify": "unknown field; it belongs into options: write options.notify"
    }


@pytest.mark.families
def test_an_unknown_field_is_named_by_its_path_with_those_that_are_near(catalog: Catalog, kinds: JobType) -> None:
    assert problems(catalog.type("email:batch", "batch"), {"emails": [{}, {"replyto": "x"}], "option": {}}) == {
        "data.emails[1].replyto": "unknown field; did you mean replyTo?",
        "data.option": "unknown field; did you mean options?",
    }
    assert problems(catalog.type("email:send", "welcome"), {"usr": {}, "zebra": 1})["data.zebra"] == (
        "unknown field; EmailWelcome has user"
    )
    assert list(problems(kinds, {'odd "name"': 1, "inner": {"\ud800": 1, "n" * 9999: 1}})) == [
        'data["odd \\"name\\""]',
        'data.inner["\\ud800"]',
        f'data.inner["{"n" * 64}..."]',
    ]


def test_null_leaves_a_field_unset(kinds: JobType) -> None:
    nothing = {"someText": None, "inner": None, "texts": None, "byName": None, "maybe": None, "createdAt": None}

    assert decode_data(kinds, nothing) == kinds.payload()
    assert decode_data(kinds, struct(nothing)) == kinds.payload()


def test_an_empty_object_sets_its_message_and_a_zero_its_optional_field(kinds: JobType) -> None:
    decoded = decode_data(kinds, {"inner": {}, "maybe": 0})

    assert decoded.HasField("inner")
    assert decoded.HasField("maybe")


def test_a_list_field_takes_a_single_value(kinds: JobType) -> None:
    assert decode_data(kinds, {"texts": "a", "inners": {"small": 1}, "formats": "csv"}) == kinds.payload(
        texts=["a"], inners=[{"small": 1}], formats=[1]
    )


@pytest.mark.parametrize(
    ("value", "text"), [(7, "7"), (7.0, "7"), (-0.0, "0"), (2.0**53, "9007199254740992"), ("", "")]
)
def test_a_text_field_takes_a_whole_number_as_an_identifier(kinds: JobType, value: Any, text: str) -> None:
    assert decode_data(kinds, {"someText": value}) == kinds.payload(some_text=text)


@pytest.mark.parametrize("value", [1.5, True, 2**53 + 1, 10**400, float("nan"), float("inf"), [], {}, "\ud800"])
def test_a_text_field_takes_nothing_else(kinds: JobType, value: Any) -> None:
    assert list(problems(kinds, {"someText": value})) == ["data.someText"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("small", 2**31),
        ("small", -(2**31) - 1),
        ("small", 1.5),
        ("small", "1"),
        ("small", True),
        ("small", float("nan")),
        ("positive", -1),
        ("large", 2**63),
        ("large", "9223372036854775808"),
        ("large", "x"),
        ("ratio", float("inf")),
        ("ratio", 10**400),
        ("ratio", "1"),
        ("single", 1e39),
        ("yes", 1),
        ("yes", "true"),
        ("octets", "no base64!"),
        ("octets", "a"),
        ("octets", 5),
        ("format", "xls"),
        ("format", 1),
        ("format", "unknown"),
        ("timeSpan", "3"),
        ("timeSpan", "9999999999999s"),
        ("timeSpan", 3),
        ("inner", []),
        ("inner", "x"),
        ("byName", []),
        ("byNumber", {"x": "y"}),
        ("byNumber", {"1": None}),
        ("texts", ["a", None]),
        ("inners", [None]),
        ("free", []),
        ("items", {}),
        ("anything", float("nan")),
        ("wrapped", {"value": 1}),
    ],
)
def test_a_value_of_another_kind_or_out_of_range_is_refused(kinds: JobType, field: str, value: Any) -> None:
    (name,) = problems(kinds, {field: value})

    assert name.startswith(f"data.{field}")


@pytest.mark.parametrize(
    ("text", "seconds", "nanos"),
    [
        ("2025-01-01", 1735689600, 0),
        ("2025-01-01T00:00:00Z", 1735689600, 0),
        ("2025-01-01t01:00:00.5+01:00", 1735689600, 500_000_000),
        ("2025-01-01T00:00:00.123456789Z", 1735689600, 123_456_789),
    ],
)
def test_a_time_is_a_date_at_midnight_in_utc_or_rfc_3339(kinds: JobType, text: str, seconds: int, nanos: int) -> None:
    assert decode_data(kinds, {"createdAt": text}).created_at == Timestamp(seconds=seconds, nanos=nanos)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "value",
    [
        "2025-02-30",
        "2025-1-1",
        "2025-01-01T00:00:00",
        "2025-01-01 00:00",
        "0000-01-01",
        "2025-01-01T25:00:00Z",
        "now",
        5,
        "",
    ],
)
def test_any_other_time_is_refused_with_an_example(kinds: JobType, value: Any) -> None:
    assert rules(kinds, {"createdAt": value}) == {"data.createdAt": "timestamp"}


@pytest.mark.parametrize("word", ["temp_files", "temp-files", "TEMP_FILES", "EXPORT_FORMAT_TEMP_FILES"])
def test_an_enum_goes_by_its_documented_word(kinds: JobType, word: str) -> None:
    assert decode_data(kinds, {"format": word}) == kinds.payload(format=2)


def test_a_wrong_enum_word_is_answered_with_the_right_ones(kinds: JobType) -> None:
    assert problems(kinds, {"format": "xls"}) == {
        "data.format": "'xls' is none of its words; send one of csv, temp_files"
    }


@pytest.mark.parametrize("text", ["+/8=", "-_8=", "-_8", "+/8"])
def test_bytes_are_base64_of_either_alphabet(kinds: JobType, text: str) -> None:
    assert decode_data(kinds, {"octets": text}) == kinds.payload(octets=b"\xfb\xff")


def test_large_numbers_durations_maps_and_wrappers_are_spelled_as_protobuf_spells_them(kinds: JobType) -> None:
    data = {
        "large": "-9223372036854775808",
        "timeSpan": "1.5s",
        "byName": {"a b": {"small": 1}},
        "byNumber": {"-7": "x"},
        "wrapped": "5",
        "anything": None,
        "items": [1, "a"],
    }
    decoded: Any = decode_data(kinds, data)

    assert decoded.large == -(2**63)
    assert decoded.time_span == Duration(seconds=1, nanos=500_000_000)
    assert decoded.by_name["a b"].small == 1
    assert dict(decoded.by_number) == {-7: "x"}
    assert decoded.wrapped.value == 5
    assert decoded.anything.WhichOneof("kind") == "null_value"
    assert list(decoded.items) == [1, "a"]


def test_two_members_of_a_oneof_are_refused(kinds: JobType) -> None:
    assert problems(kinds, {"either": "a", "orThis": 1}) == {
        "data.orThis": "cannot be set together with either; remove one of the two"
    }
    assert decode_data(kinds, {"either": None, "orThis": 1}) == kinds.payload(or_this=1)


@pytest.mark.families
def test_every_problem_is_told_at_once_by_its_path(catalog: Catalog) -> None:
    data = {"emails": [{"to": ["a@b.c", 1.5], "headers": {"X-A": {}}}, 3], "options": {"delay": "1", "size": 1}}

    assert rules(catalog.type("email:batch", "batch"), struct(data)) == {
        "data.emails[0].to[1]": "type",
        'data.emails[0].headers["X-A"]': "type",
        "data.emails[1]": "type",
        "data.options.delay": "type",
        "data.options.size": "unknown_field",
    }


def test_the_number_of_problems_is_bounded(kinds: JobType) -> None:
    assert len(problems(kinds, {f"x{number}": 1 for number in range(10_000)})) == MAX_PROBLEMS


@pytest.mark.parametrize("wrap", [lambda x: {"inner": x}, lambda x: {"byName": {"a": x}}, lambda x: {"inners": [x]}])
def test_nesting_is_bounded_in_messages(kinds: JobType, wrap: Any) -> None:
    data: dict[str, Any] = {}
    for _ in range(500):
        data = wrap(data)

    assert list(rules(kinds, data).values()) == ["depth"]


def test_nesting_is_bounded_in_free_json(kinds: JobType) -> None:
    free: Any = 1
    for _ in range(500):
        free = [{"a": free}]

    assert list(rules(kinds, {"anything": free}).values()) == ["depth"]
    assert list(rules(kinds, {"free": {"a": free}}).values()) == ["depth"]


@pytest.mark.families
def test_a_refused_secret_is_not_repeated_in_the_answer(catalog: Catalog) -> None:
    data = {"resetToken": {"hunter2": "hunter2"}, "expiresAt": "hunter2", "user": {"email": "a@b.c"}}

    assert "hunter2" not in json.dumps(problems(catalog.type("email:send", "password-reset"), data))


@pytest.mark.parametrize("data", [None, [], "x", 5, True])
def test_data_that_is_no_object_is_refused_as_a_whole(kinds: JobType, data: Any) -> None:
    assert rules(kinds, data) == {"data": "type"}
