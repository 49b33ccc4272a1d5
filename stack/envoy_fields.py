"""What the bodies of calls may hold, as tables for envoy/fields.lua."""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Final

from google.api.http_pb2 import HttpRule
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from engine.fields import is_map, map_fields

FREE: Final = 0
"""The shape of a value whose fields are not told by its descriptor."""


def tables(calls: Iterable[tuple[HttpRule, Descriptor]]) -> str:
    """The Lua tables CALLS and SHAPES of these calls: what each takes, and the fields of the messages in it."""
    shapes = _Shapes()
    lines = [
        f"{{ method = {json.dumps(method)}, path = {json.dumps(_pattern(path))}, shape = {shapes.of(message)} }},"
        for rule, message in calls
        for method, path in _with_body(rule)
    ]
    return "\n".join(["local CALLS = {", *lines, "}", "local SHAPES = {", *shapes.lines(), "}", ""])


def _with_body(rule: HttpRule) -> Iterator[tuple[str, str]]:
    method = rule.WhichOneof("pattern")
    if rule.body and method:
        assert rule.body == "*", "a body is a whole request"
        yield method.upper(), getattr(rule, method)


def _pattern(path: str) -> str:
    """The Lua pattern of a path: `{name}` is one segment, whatever is in it."""
    parts = re.split(r"\{\w+\}", path)
    return "^" + "[^/]+".join(re.sub(r"([^\w/])", r"%\1", part) for part in parts) + "/?$"


class _Shapes:
    """Numbers messages as they are met. A field's number is its message's, or FREE."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._lines: list[str] = []

    def of(self, message: Descriptor) -> int:
        if message.full_name.startswith("google."):
            return FREE
        if message.full_name not in self._numbers:
            self._numbers[message.full_name] = len(self._lines) + 1
            place = len(self._lines)
            self._lines.append("")  # a message that holds itself finds its own number
            fields = {name: self._value(field) for field in message.fields for name in (field.json_name, field.name)}
            self._lines[place] = _shape(fields, ", ".join(sorted(field.json_name for field in message.fields)))
        return self._numbers[message.full_name]

    def lines(self) -> list[str]:
        return self._lines

    def _value(self, field: FieldDescriptor) -> int:
        if is_map(field):
            _, value = map_fields(field)
            below = self._value(value)
            if below == FREE:
                return FREE
            self._lines.append(_shape({"*": below}, ""))
            return len(self._lines)
        return FREE if field.message_type is None else self.of(field.message_type)


def _shape(fields: dict[str, int], names: str) -> str:
    listed = ", ".join(f"[{json.dumps(name)}] = {number}" for name, number in fields.items())
    return f"{{ names = {json.dumps(names)}, fields = {{ {listed} }} }},"
