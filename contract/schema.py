"""The JSON Schema of a job type's `data`, for forms and for checks before a call.

It describes the documented spelling: names in camelCase, enum words in lower case. What decoding takes beyond that
(names in snake_case, null for an unset field) is left out. What decoding and the rules refuse, it refuses too where
JSON Schema has words for it.
"""

import re
from collections.abc import Sequence
from typing import Any, Final, cast

import protovalidate
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message_factory import GetMessageClass

from contract.declarations import JobType
from contract.fields import (
    SENSITIVE,
    STORAGE_PATH,
    descriptor_of,
    has_mark,
    is_map,
    is_wrapper,
    map_fields,
    message_rules_of,
    rules_of,
)
from contract.json_scalars import EXACT, INTEGER_RANGES, enum_words

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

Schema = dict[str, Any]

_DATE: Final = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
_TIME: Final = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-9]{2})$"
_DURATION: Final = r"^-?[0-9]{1,12}(\.[0-9]{1,9})?s$"
_WELL_KNOWN: Final[dict[str, Schema]] = {
    "google.protobuf.Timestamp": {
        "type": "string",
        "anyOf": [{"format": "date", "pattern": _DATE}, {"format": "date-time", "pattern": _TIME}],
    },
    "google.protobuf.Duration": {"type": "string", "pattern": _DURATION},
    "google.protobuf.Struct": {"type": "object"},
    "google.protobuf.ListValue": {"type": "array"},
    "google.protobuf.Value": {},
}
_FORMATS: Final = frozenset({"email", "hostname", "ipv4", "ipv6", "uri", "uuid"})
_TEXT_RULES: Final = {"min_len": "minLength", "max_len": "maxLength", "pattern": "pattern", "const": "const"}
_NUMBER_RULES: Final = {"gte": "minimum", "gt": "exclusiveMinimum", "lte": "maximum", "lt": "exclusiveMaximum"}
_NOT_PORTABLE: Final = re.compile(r"\(\?[^:]|\\[AzQpP]")
"""What RE2 knows and the dialect of JSON Schema does not: flags, \\A, \\z, \\Q, \\p."""


def json_schema(job_type: JobType) -> Schema:
    """The schema (draft 2020-12) of `data` for this type; each message inside it is one of the `$defs`."""
    builder = _Builder()
    schema = {"$schema": DIALECT, "title": job_type.description, **builder.object(descriptor_of(job_type.payload))}
    return schema | ({"$defs": builder.definitions} if builder.definitions else {})


class _Builder:
    """Collects the definitions that the schemas it makes refer to."""

    def __init__(self) -> None:
        self.definitions: dict[str, Schema] = {}

    def object(self, descriptor: Descriptor) -> Schema:
        schema: Schema = {"type": "object"}
        if notes := [rule.message for rule in message_rules_of(descriptor).cel if rule.message]:
            schema["description"] = "; ".join(notes)
        schema["properties"] = {field.json_name: self._field(field) for field in descriptor.fields}
        schema["additionalProperties"] = False
        if required := _must_be_set(descriptor):
            schema["required"] = required
        unions = [union for union in descriptor.oneofs if len(union.fields) > 1]
        if unions:
            schema["allOf"] = [_at_most_one([field.json_name for field in union.fields]) for union in unions]
        return schema

    def _field(self, field: FieldDescriptor) -> Schema:
        rules = rules_of(field)
        if is_map(field):
            schema = self._map(field, rules.map)
        elif field.is_repeated:
            schema = self._list(field, rules.repeated)
        else:
            schema = self._value(field, rules)
        return schema | {"writeOnly": True} if has_mark(SENSITIVE, field) else schema

    def _list(self, field: FieldDescriptor, rules: Any) -> Schema:
        """An array, or its only element, as decoding takes one for a list."""
        element = self._value(field, rules.items)
        array: Schema = {"type": "array", "items": element}
        array |= _limits(rules, min_items="minItems", max_items="maxItems", unique="uniqueItems")
        return {"anyOf": [array, element]} if rules.min_items <= 1 else array

    def _map(self, field: FieldDescriptor, rules: Any) -> Schema:
        keys, values = map_fields(field)
        schema: Schema = {"type": "object", "additionalProperties": self._value(values, rules.values)}
        if keys.type == FieldDescriptor.TYPE_STRING and (names := _limits(rules.keys.string, **_TEXT_RULES)):
            schema["propertyNames"] = names
        return schema | _limits(rules, min_pairs="minProperties", max_pairs="maxProperties")

    def _value(self, field: FieldDescriptor, rules: Any) -> Schema:
        below = field.message_type
        if below is not None:
            return self._message(below)
        match field.type:
            case FieldDescriptor.TYPE_STRING:
                return _text(rules.string) | _examples(field, rules.string)
            case FieldDescriptor.TYPE_BOOL:
                return {"type": "boolean"}
            case FieldDescriptor.TYPE_BYTES:
                return {"type": "string", "contentEncoding": "base64"}
            case FieldDescriptor.TYPE_ENUM:
                return _words(field, rules.enum)
            case _:
                return _number(field, rules)

    def _message(self, descriptor: Descriptor) -> Schema:
        name = descriptor.full_name
        if name in _WELL_KNOWN:
            return _WELL_KNOWN[name]
        if is_wrapper(descriptor):
            return self._field(descriptor.fields_by_name["value"])
        if name not in self.definitions:
            self.definitions[name] = {}  # a type that holds itself finds its own name
            self.definitions[name] = self.object(descriptor)
        return {"$ref": f"#/$defs/{name}"}


def _text(rules: Any) -> Schema:
    limits = _limits(rules, **_TEXT_RULES)
    if rules.WhichOneof("well_known") in _FORMATS:
        limits["format"] = rules.WhichOneof("well_known")
    if getattr(rules, "in"):
        limits["enum"] = list(getattr(rules, "in"))
    free = {field.name for field, _ in rules.ListFields()} <= {"min_len", "max_len", "example"} and rules.min_len <= 1
    return {"type": ["string", "integer"] if free else "string", **limits}


def _examples(field: FieldDescriptor, rules: Any) -> Schema:
    """Where not any text will do. A relative path begins at DATA_DIR."""
    named = list(rules.example) or (["temp/example"] if has_mark(STORAGE_PATH, field) else [])
    return {"examples": named} if named else {}


def _number(field: FieldDescriptor, rules: Any) -> Schema:
    schema: Schema = {"type": "number"}
    if field.type in INTEGER_RANGES:
        low, high = INTEGER_RANGES[field.type]
        if high > EXACT:
            schema = {"type": ["integer", "string"], "pattern": r"^-?[0-9]{1,20}$"}
        else:
            schema = {"type": "integer", "minimum": low, "maximum": high}
    if kind := rules.WhichOneof("type"):
        own = getattr(rules, kind)
        schema |= _limits(own, **_NUMBER_RULES)
        if choices := list(getattr(own, "in")):
            schema["enum"] = choices
    return schema


def _words(field: FieldDescriptor, rules: Any) -> Schema:
    words = enum_words(cast("EnumDescriptor", field.enum_type))
    schema: Schema = {"type": "string", "enum": [word for word, number in words.items() if number or len(words) == 1]}
    named = [word for word, number in words.items() if number in rules.example]
    return schema | {"examples": named} if named else schema


def _limits(rules: Any, **keywords: str) -> Schema:
    """The rules that are set, under the keyword that says the same in JSON Schema."""
    limits = {keywords[field.name]: value for field, value in rules.ListFields() if field.name in keywords}
    if _NOT_PORTABLE.search(limits.get("pattern", "")):
        del limits["pattern"]
    return limits


def _must_be_set(descriptor: Descriptor) -> list[str]:
    """The fields that break a rule when they are unset, whichever rule it is: an empty message tells."""
    try:
        violations = protovalidate.collect_violations(GetMessageClass(descriptor)())
    except protovalidate.EvaluationError:
        return []
    numbers = [path.elements[0].field_number for v in violations if (path := v.proto.field) and len(path.elements) == 1]
    return list(dict.fromkeys(descriptor.fields_by_number[number].json_name for number in numbers if number))


def _at_most_one(names: Sequence[str]) -> Schema:
    each = [{"required": [name]} for name in names]
    return {"oneOf": [*each, {"not": {"anyOf": each}}]}
