"""`data`, the JSON that REST callers send, as the payload message of its job type, with every problem named."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from difflib import get_close_matches
from functools import cache
from typing import Any, Final, TypeVar

from google.protobuf import struct_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import ListValue, Struct, Value
from google.protobuf.timestamp_pb2 import Timestamp

from contract.declarations import JobType
from contract.errors import FieldProblem, RequestInvalidError
from contract.fields import descriptor_of, is_map, is_wrapper, map_fields, subscript
from contract.json_scalars import (
    WrongValueError,
    decode_duration,
    decode_map_key,
    decode_scalar,
    decode_timestamp,
    finite,
    named,
    unicode_text,
)

MAX_DEPTH: Final = 32
MAX_PROBLEMS: Final = 50

M = TypeVar("M", bound=Message)

_PLAIN_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_LONGEST_NAME: Final = 64
_VALUE: Final = Value.DESCRIPTOR.full_name


def decode_data(job_type: JobType, data: Struct | Mapping[str, Any], root: str = "data") -> Message:
    """The payload message that `data` spells, each field by its name in snake_case or camelCase; null leaves it unset.

    Raises:
      RequestInvalidError: names each field that is unknown, twice there, or of the wrong kind, up to 50 of them.
    """
    return decode(job_type.payload, data, root)


def decode(kind: type[M], data: Struct | Mapping[str, Any], root: str) -> M:
    """As `decode_data`, for any message.

    Raises:
      RequestInvalidError: as `decode_data`.
    """
    result = kind()
    decoder = _Decoder(descriptor_of(result))
    with suppress(_EnoughError):
        decoder.fill(result, data, root, depth=1)
    if decoder.problems:
        raise RequestInvalidError(decoder.problems)
    return result


class _EnoughError(Exception):
    """As many problems as are worth telling."""


class _Decoder:
    """Fills messages, and keeps what it could not put into them."""

    def __init__(self, root: Descriptor) -> None:
        self.problems: list[FieldProblem] = []
        self._root = root

    def fill(self, target: Message, value: Any, path: str, depth: int) -> None:
        """Puts a JSON value into a message of any type."""
        if depth > MAX_DEPTH:
            self._report(path, "depth", f"the value is nested deeper than {MAX_DEPTH} levels; flatten it")
            return
        try:
            match target:
                case Timestamp():
                    target.CopyFrom(decode_timestamp(_native(value)))
                case Duration():
                    target.CopyFrom(decode_duration(_native(value)))
                case Value():
                    self._fill_value(target, _native(value), path, depth)
                case Struct():
                    self._fill_struct(target, value, path, depth)
                case ListValue():
                    self._fill_list(target, value, path, depth)
                case _ if is_wrapper(descriptor_of(target)):
                    wrapped = descriptor_of(target).fields_by_name["value"]
                    setattr(target, wrapped.name, decode_scalar(wrapped, _native(value)))
                case _:
                    self._fill_fields(target, value, path, depth)
        except WrongValueError as wrong:
            self._report(path, wrong.rule, wrong.description)

    def _fill_fields(self, target: Message, value: Any, path: str, depth: int) -> None:
        fields = _fields(descriptor_of(target))
        taken: dict[str, str] = {}
        for name, given in _members(value):
            where = _below(path, name)
            field = fields.get(name)
            if field is None:
                self._report(where, "unknown_field", _unknown(descriptor_of(target), name, self._root))
                continue
            content = _native(given)
            if content is None and not _takes_null(field):
                continue
            other = taken.setdefault((field.containing_oneof or field).full_name, name)
            if other != name:
                self._report(where, "one_of", f"cannot be set together with {other}; remove one of the two")
                continue
            self._fill_field(target, field, content, where, depth)

    def _fill_field(self, target: Message, field: FieldDescriptor, value: Any, path: str, depth: int) -> None:
        try:
            if is_map(field):
                self._fill_map(target, field, value, path, depth)
            elif field.is_repeated:
                self._fill_repeated(target, field, value, path, depth)
            elif field.message_type is not None:
                part: Message = getattr(target, field.name)
                part.SetInParent()
                self.fill(part, value, path, depth + 1)
            else:
                setattr(target, field.name, decode_scalar(field, value))
        except WrongValueError as wrong:
            self._report(path, wrong.rule, wrong.description)

    def _fill_repeated(self, target: Message, field: FieldDescriptor, value: Any, path: str, depth: int) -> None:
        elements = getattr(target, field.name)
        single = not _is_list(value)
        for index, element in enumerate([value] if single else value):
            where = path if single else path + subscript(index)
            if field.message_type is not None:
                self.fill(elements.add(), element, where, depth + 1)
                continue
            try:
                elements.append(decode_scalar(field, _native(element)))
            except WrongValueError as wrong:
                self._report(where, wrong.rule, wrong.description)

    def _fill_map(self, target: Message, field: FieldDescriptor, value: Any, path: str, depth: int) -> None:
        entries = getattr(target, field.name)
        key_field, value_field = map_fields(field)
        for name, given in _members(value):
            where = path + subscript(name)
            try:
                key = decode_map_key(key_field, name)
                if value_field.message_type is not None:
                    self.fill(entries[key], given, where, depth + 1)
                else:
                    entries[key] = decode_scalar(value_field, _native(given))
            except WrongValueError as wrong:
                self._report(where, wrong.rule, wrong.description)

    def _fill_value(self, target: Value, value: Any, path: str, depth: int) -> None:
        match value:
            case None:
                target.null_value = struct_pb2.NULL_VALUE
            case bool():
                target.bool_value = value
            case str():
                target.string_value = unicode_text(value)
            case Mapping():
                target.struct_value.SetInParent()
                self._fill_struct(target.struct_value, value, path, depth)
            case Sequence():
                target.list_value.SetInParent()
                self._fill_list(target.list_value, value, path, depth)
            case _:
                target.number_value = finite(value)

    def _fill_struct(self, target: Struct, value: Any, path: str, depth: int) -> None:
        for name, given in _members(value):
            self.fill(target.fields[unicode_text(name)], given, _below(path, name), depth + 1)

    def _fill_list(self, target: ListValue, value: Any, path: str, depth: int) -> None:
        elements = _native(value)
        if not _is_list(elements):
            raise WrongValueError("type", f"expected a list, got {named(elements)}")
        for index, element in enumerate(elements):
            self.fill(target.values.add(), element, path + subscript(index), depth + 1)

    def _report(self, path: str, rule: str, description: str) -> None:
        self.problems.append(FieldProblem(path, rule, description))
        if len(self.problems) >= MAX_PROBLEMS:
            raise _EnoughError


def _native(value: Any) -> Any:
    """The outermost level of protobuf's JSON values as Python's; anything else as it is."""
    if isinstance(value, Value):
        kind = value.WhichOneof("kind")
        value = None if kind in {None, "null_value"} else getattr(value, str(kind))
    if isinstance(value, Struct):
        return value.fields
    return value.values if isinstance(value, ListValue) else value


def _members(value: Any) -> Iterator[tuple[str, Any]]:
    content = _native(value)
    if not isinstance(content, Mapping):
        raise WrongValueError("type", f"expected an object, got {named(content)}")
    for name, given in content.items():
        yield str(name), given


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def _takes_null(field: FieldDescriptor) -> bool:
    """google.protobuf.Value alone has a null of its own."""
    return field.message_type is not None and field.message_type.full_name == _VALUE


@cache
def _fields(descriptor: Descriptor) -> Mapping[str, FieldDescriptor]:
    return {name: field for field in descriptor.fields for name in (field.name, field.json_name)}


def _unknown(descriptor: Descriptor, name: str, root: Descriptor) -> str:
    known = [field.json_name for field in descriptor.fields]
    if not known:
        return f"unknown field; {descriptor.name} has none, remove it"
    near = get_close_matches(name, _fields(descriptor), n=3, cutoff=0.7) if len(name) <= _LONGEST_NAME else []
    words = list(dict.fromkeys(_fields(descriptor)[match].json_name for match in near))
    if words:
        return f"unknown field; did you mean {' or '.join(words)}?"
    if holder := next((field for field in descriptor.fields if _holds(field, name)), None):
        return f"unknown field; it belongs into {holder.json_name}: write {holder.json_name}.{name}"
    if descriptor is not root and name in _fields(root):
        return f"unknown field; it belongs to the payload itself: write {name} at its top"
    return f"unknown field; {descriptor.name} has {', '.join(known)}"


def _holds(field: FieldDescriptor, name: str) -> bool:
    """Whether it is a message of the contract with a field of that name."""
    kind = field.message_type
    return (
        kind is not None
        and not field.is_repeated
        and not kind.full_name.startswith("google.")
        and name in _fields(kind)
    )


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if _PLAIN_NAME.fullmatch(name) else path + subscript(name)
