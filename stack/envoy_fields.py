"""What calls may hold, as tables for envoy/fields.lua and envoy/queries.lua."""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Final

from google.api.http_pb2 import HttpRule
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

from contract.fields import is_map, map_fields, rules_of

FREE: Final = 0
"""The type of a value that is the service's to judge."""
REQUEST_ID: Final = "request_id"
"""The field that makes a request safe to repeat."""

_SCALARS: Final = {
    FieldDescriptor.TYPE_STRING: 'kind = "text"',
    FieldDescriptor.TYPE_BYTES: 'kind = "text"',
    FieldDescriptor.TYPE_BOOL: 'kind = "switch"',
    FieldDescriptor.TYPE_FLOAT: 'kind = "number"',
    FieldDescriptor.TYPE_DOUBLE: 'kind = "number"',
    FieldDescriptor.TYPE_INT32: f'kind = "whole", least = {-(2**31)}, most = {2**31 - 1}',
    FieldDescriptor.TYPE_UINT32: f'kind = "whole", least = 0, most = {2**32 - 1}',
}
_WELL_KNOWN: Final = {
    "google.protobuf.Timestamp": 'kind = "moment"',
    "google.protobuf.Duration": 'kind = "span"',
    "google.protobuf.FieldMask": 'kind = "text"',
    "google.protobuf.Struct": 'kind = "object"',
    "google.protobuf.Any": 'kind = "object"',
}


def tables(calls: Iterable[tuple[HttpRule, Descriptor]]) -> str:
    """The Lua tables CALLS and TYPES: where each call is, what of it is in the path, whether it has a body, and its fields."""
    types = _Types()
    # A path without variables comes before one that has some in the same places.
    bound = sorted(
        ((method, path, rule, message) for rule, message in calls for method, path in _bound(rule)),
        key=lambda call: call[1].count("{"),
    )
    lines = [
        f"{{ method = {json.dumps(method)}, path = {json.dumps(_pattern(path))}, type = {types.of(message)}, "
        f"has_body = {json.dumps(bool(rule.body))}, {_parameters(path, message)} }},"
        for method, path, rule, message in bound
    ]
    return "\n".join(["local CALLS = {", *lines, "}", "local TYPES = {", *types.lines(), "}", ""])


def _parameters(path: str, message: Descriptor) -> str:
    """Which fields the path holds, and the names of those that are left for the query."""
    held = [message.fields_by_name[name].json_name for name in re.findall(r"\{(\w+)\}", path)]
    left = sorted({field.json_name for field in message.fields} - set(held))
    names = ", ".join(f"[{json.dumps(name)}] = true" for name in held)
    return f"bound = {{ {names} }}, parameters = {json.dumps(', '.join(left))}"


def _bound(rule: HttpRule) -> Iterator[tuple[str, str]]:
    method = rule.WhichOneof("pattern")
    if method:
        assert rule.body in {"", "*"}, "a body is a whole request"
        yield method.upper(), getattr(rule, method)


def _pattern(path: str) -> str:
    """The Lua pattern of a path: `{name}` is one segment, whatever is in it."""
    parts = re.split(r"\{\w+\}", path)
    return "^" + "[^/]+".join(re.sub(r"([^\w/])", r"%\1", part) for part in parts) + "/?$"


class _Types:
    """Numbers types as they are met, each once."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._lines: list[str] = []

    def lines(self) -> list[str]:
        return self._lines

    def of(self, message: Descriptor) -> int:
        if message.full_name in _WELL_KNOWN:
            return self._known(_WELL_KNOWN[message.full_name])
        if message.full_name.startswith("google."):
            return FREE
        if message.full_name not in self._numbers:
            number = self._numbers[message.full_name] = self._add(
                ""
            )  # a message that holds itself finds its own number
            fields = {name: self._field(field) for field in message.fields for name in (field.json_name, field.name)}
            listed = ", ".join(f"[{json.dumps(name)}] = {kind}" for name, kind in fields.items())
            names = json.dumps(", ".join(sorted(field.json_name for field in message.fields)))
            others = [field for field in message.fields if field.name != field.json_name]
            told = ", ".join(f"[{json.dumps(field.name)}] = {json.dumps(field.json_name)}" for field in others)
            has_id = "has_request_id = true, " if REQUEST_ID in message.fields_by_name else ""
            self._lines[number - 1] = (
                f'{{ kind = "message", {has_id}names = {names}, fields = {{ {listed} }}, json_names = {{ {told} }} }},'
            )
        return self._numbers[message.full_name]

    def _field(self, field: FieldDescriptor) -> int:
        if is_map(field):
            _, value = map_fields(field)
            return self._holder("map", self._value(value), rules_of(field).map.max_pairs)
        below = self._value(field)
        return self._holder("list", below, rules_of(field).repeated.max_items) if field.is_repeated else below

    def _value(self, field: FieldDescriptor) -> int:
        if field.message_type is not None:
            return self.of(field.message_type)
        if field.enum_type is not None:
            return self._enum(field.enum_type)
        return self._known(_SCALARS[field.type]) if field.type in _SCALARS else FREE

    def _enum(self, enum: EnumDescriptor) -> int:
        """Its values by their names, by the words that are behind the names' common beginning, and by their numbers."""
        prefix = re.sub(r"(?<!^)(?=[A-Z])", "_", enum.name).upper() + "_"
        short = {value.name: value.name.removeprefix(prefix).lower() for value in enum.values}
        words = {word: name for name in short for word in (name.lower(), short[name])}
        words |= {str(value.number): str(value.number) for value in enum.values}
        listed = ", ".join(f"[{json.dumps(word)}] = {json.dumps(name)}" for word, name in words.items())
        shown = ", ".join(short[value.name] for value in enum.values if value.number)
        return self._known(f'kind = "enum", shown = {json.dumps(shown)}, words = {{ {listed} }}')

    def _holder(self, kind: str, below: int, most: int) -> int:
        return self._known(f'kind = "{kind}", of = {below}' + (f", most = {most}" if most else ""))

    def _known(self, content: str) -> int:
        if content not in self._numbers:
            self._numbers[content] = self._add(f"{{ {content} }},")
        return self._numbers[content]

    def _add(self, line: str) -> int:
        self._lines.append(line)
        return len(self._lines)
