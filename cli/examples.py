"""Data that a job type's JSON Schema admits, for people to start from: what must be set, and else as little as there may be."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

Schema = Mapping[str, Any]

DEEPEST: Final = 8
_BY_FORMAT: Final = {
    "email": "user@example.com",
    "date": "2025-01-31",
    "date-time": "2025-01-31T08:00:00Z",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000001",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
}


def example(schema: Schema) -> Any:
    """Data of this shape."""
    return _value(schema, schema.get("$defs", {}), "", 0)


def _value(schema: Schema, known: Schema, name: str, depth: int) -> Any:
    if "$ref" in schema:
        return _value(known.get(schema["$ref"].rpartition("/")[2], {}), known, name, depth)
    fixed = schema.get("examples") or ([schema["const"]] if "const" in schema else schema.get("enum"))
    if fixed:
        return fixed[0]
    if "type" not in schema and "anyOf" in schema:
        return _value(schema["anyOf"][0], known, name, depth)
    return _of_kind(_kind(schema), schema, known, name, depth)


def _kind(schema: Schema) -> str:
    kinds = schema.get("type", "")
    return kinds if isinstance(kinds, str) else kinds[0]


def _of_kind(kind: str, schema: Schema, known: Schema, name: str, depth: int) -> Any:
    match kind:
        case "object":
            return _object(schema, known, depth)
        case "array":
            least = max(1, int(schema.get("minItems", 1)))
            return [_value(schema.get("items", {}), known, name, depth + 1) for _ in range(least)]
        case "integer" | "number":
            return _number(schema)
        case "boolean":
            return True
        case _:
            return _text(schema, name)


def _object(schema: Schema, known: Schema, depth: int) -> dict[str, Any]:
    """What is required; where nothing is, the first property that is simple."""
    properties: Schema = schema.get("properties", {})
    names = list(schema.get("required", ()))
    if not names and depth == 0:
        names = [name for name, below in sorted(properties.items()) if "$ref" not in below and "anyOf" not in below][:1]
    names += _noted(schema, names)
    if depth > DEEPEST:
        return {}
    return {name: _value(properties[name], known, name, depth + 1) for name in names if name in properties}


def _noted(schema: Schema, names: Sequence[str]) -> list[str]:
    """Rules between properties are told in words alone. Of `set template, text or html` the plainest is taken, else all."""
    properties: Schema = schema.get("properties", {})
    chosen: list[str] = []
    for rule in schema.get("description", "").split("; "):
        noted = [word for word in re.findall(r"\w+", rule) if word in properties and word not in names]
        if " or " in rule:
            plain = [name for name in noted if "pattern" not in properties[name]]
            noted = (plain or noted)[:1]
        # What a rule says beyond "set …" is about a property that another one has chosen.
        chosen += noted if rule.startswith("set ") or not chosen else []
    return chosen


def _number(schema: Schema) -> float:
    least = schema.get("minimum", schema.get("exclusiveMinimum", 0) + 1)
    number = max(1, least)
    if "maximum" in schema:
        number = min(number, schema["maximum"])
    return int(number) if float(number).is_integer() else number


def _text(schema: Schema, name: str) -> str:
    if "format" in schema:
        return _BY_FORMAT.get(schema["format"], "text")
    formats = [one["format"] for one in schema.get("anyOf", ()) if "format" in one]
    if formats:
        return _BY_FORMAT.get(formats[0], "text")
    if "@" in schema.get("pattern", ""):
        return _BY_FORMAT["email"]
    text = name or "text"
    least, most = int(schema.get("minLength", 0)), int(schema.get("maxLength", len(text)))
    return text.ljust(least, "x")[: max(most, least)]
