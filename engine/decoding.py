"""`data`, the JSON that REST callers send, as the payload message of its job type: every problem named, none guessed away."""

import json
import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from functools import cache
from typing import Any, Final, TypeVar

from google.protobuf import struct_pb2, wrappers_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import ListValue, Struct, Value
from google.protobuf.timestamp_pb2 import Timestamp

from engine.declarations import JobType
from engine.errors import FieldProblem, RequestInvalidError
from engine.json_scalars import (
    WrongValueError,
    decode_duration,
    decode_map_key,
    decode_scalar,
    decode_timestamp,
    finite,
    named,
)

MAX_DEPTH: Final = 32
MAX_PROBLEMS: Final = 50

M = TypeVar("M", bound=Message)

_PLAIN_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_LONGEST_NAME: Final = 64
_WRAPPERS: Final = frozenset(message.full_name for message in wrappers_pb2.DESCRIPTOR.message_types_by_name.values())
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
    decoder = _Decoder()
    try:
        decoder.fill(result, data, root, depth=1)
    except _EnoughError:
        pass
    if decoder.problems:
        raise RequestInvalidError(decoder.problems)
    return result


class _EnoughError(Exception):
    """As many problems as are worth telling."""


class _Decoder:
    """Fills messages, and keeps what it could not put into them."""

    def __init__(self) -> None:
        self.problems: list[FieldProblem] = []

    def fill(self, target: Message, value: Any, path: str, depth: int) -> None:
        """Puts a JSON value into a message of any type."""
        if depth > MAX_DEPTH:
            self._report(path, "depth", f"the value is nested deeper than {MAX_DEPTH} levels; flatten it")
            return
        value = _native(value)
        full_name = target.DESCRIPTOR.full_name
        try:
            if isinstance(target, Timestamp):
                target.CopyFrom(decode_timestamp(value))
            elif isinstance(target, Duration):
                target.CopyFrom(decode_duration(value))
            elif isinstance(target, Value):
                self._fill_value(target, value, path, depth)
            elif isinstance(target, ListValue):
                self._fill_list(target, value, path, depth)
            elif isinstance(target, Struct):
                self._fill_struct(target, value, path, depth)
            elif full_name in _WRAPPERS:
                self._fill_scalar(target, target.DESCRIPTOR.fields_by_name["value"], value)
            else:
                self._fill_message(target, value, path, depth)
        except WrongValueError as wrong:
            self._report(path, wrong.rule, wrong.description)

    def _fill_message(self, target: Message, value: Any, path: str, depth: int) -> None:
        fields = _fields(target.DESCRIPTOR)
        taken: dict[str, str] = {}
        for name, given in _members(value):
            field = fields.get(name)
            where = _below(path, name)
            if field is None:
                self._report(where, "unknown_field", _unknown(target.DESCRIPTOR, name))
                continue
            given = _native(given)  # noqa: PLW2901  (the same value)
            if given is None and not _takes_null(field):
                continue
            union = field.containing_oneof
            place = union.full_name if union is not None else field.full_name
            if place in taken:
                rule = "duplicate_field" if fields.get(taken[place]) is field else "oneof"
                self._report(where, rule, f"cannot be set together with {taken[place]}; remove one of them")
                continue
            taken[place] = name
            self._fill_field(target, field, given, where, depth)

    def _fill_field(self, target: Message, field: FieldDescriptor, value: Any, path: str, depth: int) -> None:
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            self._fill_map(target, field, value, path, depth)
        elif field.is_repeated:
            self._fill_repeated(target, field, value, path, depth)
        elif field.message_type is not None:
            part: Message = getattr(target, field.name)
            part.SetInParent()
            self.fill(part, value, path, depth + 1)
        else:
            try:
                self._fill_scalar(target, field, value)
            except WrongValueError as wrong:
                self._report(path, wrong.rule, wrong.description)

    def _fill_scalar(self, target: Message, field: FieldDescriptor, value: Any) -> None:
        setattr(target, field.name, decode_scalar(field, value))
