"""The contract's rules (protovalidate) in the words of JSON Schema."""

import re
from typing import Any, Final

from google.api.field_behavior_pb2 import OUTPUT_ONLY, REQUIRED, field_behavior
from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto
from qcollector._proto import validate_pb2
from qcollector.jobs.v1 import options_pb2

Schema = dict[str, Any]

TEXT: Final = {"min_len": "minLength", "max_len": "maxLength", "pattern": "pattern", "const": "const"}
NUMBER: Final = {"gte": "minimum", "gt": "exclusiveMinimum", "lte": "maximum", "lt": "exclusiveMaximum"}
LIST: Final = {"min_items": "minItems", "max_items": "maxItems", "unique": "uniqueItems"}
MAP: Final = {"min_pairs": "minProperties", "max_pairs": "maxProperties"}
FORMATS: Final = frozenset({"email", "hostname", "ipv4", "ipv6", "uri", "uuid"})


def rules_of(field: FieldDescriptorProto) -> Any:
    """The field's buf.validate.FieldRules."""
    return field.options.Extensions[validate_pb2.field]


def notes_of(message: DescriptorProto) -> list[str]:
    """What the rules over several fields say, in words."""
    return [rule.message for rule in message.options.Extensions[validate_pb2.message].cel if rule.message]


def is_sensitive(field: FieldDescriptorProto) -> bool:
    return field.options.Extensions[options_pb2.sensitive]


def limits(rules: Any, keywords: dict[str, str]) -> Schema:
    """The rules that are set, under the keywords that say the same."""
    return {keywords[field.name]: value for field, value in rules.ListFields() if field.name in keywords}


def of_text(rules: Any) -> Schema:
    schema = limits(rules, TEXT)
    if rules.WhichOneof("well_known") in FORMATS:
        schema["format"] = rules.WhichOneof("well_known")
    if choices := list(getattr(rules, "in")):
        schema["enum"] = choices
    if examples := list(rules.example):
        schema["examples"] = examples
    return schema


def of_number(rules: Any) -> Schema:
    kind = rules.WhichOneof("type")
    if kind is None:
        return {}
    schema = limits(getattr(rules, kind), NUMBER)
    if choices := list(getattr(getattr(rules, kind), "in")):
        schema["enum"] = choices
    return schema


def must_be_set(field: FieldDescriptorProto) -> bool:
    """Whether the contract marks the field as REQUIRED, as tools/field_behavior.py does where the rules say it."""
    return REQUIRED in field.options.Extensions[field_behavior]


def is_set_by_service(field: FieldDescriptorProto) -> bool:
    return OUTPUT_ONLY in field.options.Extensions[field_behavior]


def refuses_absence(field: FieldDescriptorProto) -> bool:
    """Whether the rules refuse the field when a caller leaves it out, which is the same as setting it to nothing."""
    rules = rules_of(field)
    if rules.required or field.HasField("oneof_index") or rules.ignore:
        return bool(rules.required)
    kind = rules.WhichOneof("type")
    own = getattr(rules, kind) if kind else None
    match kind:
        case "string":
            return _refuses_empty(own)
        case "repeated" | "map":
            return max(getattr(own, "min_items", 0), getattr(own, "min_pairs", 0)) > 0
        case "enum":
            return 0 in own.not_in
        case _:
            return max(getattr(own, "gte", 0), getattr(own, "gt", 0)) > 0


def _refuses_empty(rules: Any) -> bool:
    choices = list(getattr(rules, "in"))
    no_choice = bool(choices) and "" not in choices
    return rules.min_len > 0 or no_choice or (bool(rules.pattern) and not re.search(rules.pattern, ""))
