"""The JSON of any message decodes to it again, and no JSON at all makes the readers fail otherwise than by refusing."""

from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct
from hypothesis import HealthCheck, given
from hypothesis import settings as limits
from hypothesis import strategies as st

from base.settings import Settings
from contract.checking import check_payload
from contract.declarations import JobType
from contract.decoding import decode_data
from contract.errors import FieldProblem, RequestInvalidError
from contract.fields import descriptor_of, fields_within, is_map, map_fields
from contract.json_scalars import INTEGER_RANGES
from contract.masking import masked

quick = limits(
    max_examples=100,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

AnyType = st.SearchStrategy[JobType]

MAX_SECONDS = 253402300799  # the last second of the year 9999
JSON_SCALARS = st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5)
FREE_JSON = st.recursive(
    JSON_SCALARS,
    lambda some: st.lists(some, max_size=3) | st.dictionaries(st.text(max_size=3), some, max_size=3),
    max_leaves=5,
)

SCALARS: dict[int, st.SearchStrategy[Any]] = {
    FieldDescriptor.TYPE_STRING: st.text(max_size=8),
    FieldDescriptor.TYPE_BOOL: st.booleans(),
    FieldDescriptor.TYPE_BYTES: st.binary(max_size=8),
    FieldDescriptor.TYPE_DOUBLE: st.floats(allow_nan=False, allow_infinity=False),
    FieldDescriptor.TYPE_FLOAT: st.floats(allow_nan=False, allow_infinity=False, width=32),
    **{kind: st.integers(low, high) for kind, (low, high) in INTEGER_RANGES.items()},
}


@st.composite
def messages(draw: st.DrawFn, job_type: JobType) -> Message:
    """Any message of the type that JSON can spell."""
    message = job_type.payload()
    _fill(draw, message, depth=3)
    return message


def _fill(draw: st.DrawFn, message: Message, depth: int) -> None:
    descriptor = descriptor_of(message)
    if depth == 0 or _fill_well_known(draw, message, descriptor):
        return
    chosen = (
        draw(st.lists(st.sampled_from(list(descriptor.fields)), max_size=4, unique=True)) if descriptor.fields else []
    )
    for field in chosen:
        if field.containing_oneof is None or message.WhichOneof(field.containing_oneof.name) is None:
            _fill_field(draw, message, field, depth)


def _fill_well_known(draw: st.DrawFn, message: Any, descriptor: Descriptor) -> bool:
    match descriptor.full_name:
        case "google.protobuf.Timestamp":
            message.seconds = draw(st.integers(-62135596800, MAX_SECONDS))
            message.nanos = draw(st.integers(0, 999_999_999))
        case "google.protobuf.Duration":
            message.seconds = draw(st.integers(0, 315_576_000_000 - 1))
            message.nanos = draw(st.integers(0, 999_999_999))
        case "google.protobuf.Struct":
            message.update(draw(st.dictionaries(st.text(max_size=4), FREE_JSON, max_size=3)))
        case "google.protobuf.Value":
            holder = Struct()
            holder.update({"value": draw(FREE_JSON)})
            message.CopyFrom(holder.fields["value"])
        case "google.protobuf.ListValue":
            message.extend(draw(st.lists(FREE_JSON, max_size=3)))
        case _:
            return False
    return True


def _fill_field(draw: st.DrawFn, message: Message, field: FieldDescriptor, depth: int) -> None:
    value = getattr(message, field.name)
    if is_map(field):
        key_field, value_field = map_fields(field)
        for key in draw(st.lists(SCALARS[key_field.type], max_size=2)):
            if value_field.message_type is not None:
                _fill(draw, value[key], depth - 1)
            else:
                value[key] = draw(_scalar(value_field))
    elif field.is_repeated:
        for _ in range(draw(st.integers(0, 3))):
            if field.message_type is not None:
                _fill(draw, value.add(), depth - 1)
            else:
                value.append(draw(_scalar(field)))
    elif field.message_type is not None:
        if not field.message_type.full_name.endswith(".Value"):
            value.SetInParent()
        _fill(draw, value, depth - 1)
    else:
        setattr(message, field.name, draw(_scalar(field)))


def _scalar(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    if field.enum_type is not None:
        return st.sampled_from([value.number for value in field.enum_type.values])
    return SCALARS[field.type]


def _struct(data: dict[str, Any]) -> Struct:
    message = Struct()
    message.update(data)
    return message


SPELLINGS: list[Callable[[Message], Any]] = [
    MessageToDict,
    lambda message: MessageToDict(message, preserving_proto_field_name=True),
    lambda message: _struct(MessageToDict(message)),
]


@pytest.mark.parametrize("spell", SPELLINGS, ids=["camelCase", "snake_case", "Struct"])
def test_any_message_comes_back_from_its_json(any_type: AnyType, spell: Callable[[Message], Any]) -> None:
    @quick
    @given(st.data())
    def holds(data: st.DataObject) -> None:
        job_type = data.draw(any_type)
        message = data.draw(messages(job_type))
        assert decode_data(job_type, spell(message)) == message

    holds()


def _names(descriptor: Descriptor) -> list[str]:
    """The names that fields of the type have, its nested types included."""
    return [name for field in fields_within(descriptor) for name in (field.name, field.json_name)]


def _json(names: list[str]) -> st.SearchStrategy[Any]:
    scalars = (
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats()
        | st.text(st.characters(codec=None), max_size=5)
        | st.sampled_from(["2025-01-01", "3s", "csv", "AAAA", "a@b.c", "9" * 30, "\0"])
    )
    keys = st.sampled_from(names) | st.text(st.characters(codec=None), max_size=3) if names else st.text(max_size=3)
    return st.recursive(
        scalars, lambda some: st.lists(some, max_size=3) | st.dictionaries(keys, some, max_size=4), max_leaves=12
    )


def refusal(call: Callable[[], None]) -> tuple[FieldProblem, ...]:
    try:
        call()
    except RequestInvalidError as error:
        return error.problems
    return ()


def test_no_json_makes_decoding_checking_or_masking_fail_otherwise_than_by_refusing(
    any_type: AnyType, settings: Settings
) -> None:
    @quick
    @given(st.data())
    def holds(data: st.DataObject) -> None:
        job_type = data.draw(any_type)
        given_json = data.draw(_json(_names(descriptor_of(job_type.payload))))
        told = refusal(lambda: read(job_type, given_json))
        assert all(f"{problem.field} {problem.rule} {problem.description}".encode() for problem in told)

    def read(job_type: JobType, given_json: Any) -> None:
        message = decode_data(job_type, given_json)
        masked(message)
        check_payload(job_type, message, settings, "data")

    holds()


def test_no_message_at_all_makes_checking_fail_otherwise_than_by_refusing(
    any_type: AnyType, settings: Settings
) -> None:
    @quick
    @given(st.data())
    def holds(data: st.DataObject) -> None:
        job_type = data.draw(any_type)
        message = data.draw(messages(job_type))
        told = refusal(lambda: check_payload(job_type, message, settings, "payload"))
        assert all(problem.field.startswith("payload") for problem in told)

    holds()
