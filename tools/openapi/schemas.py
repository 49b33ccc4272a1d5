"""Messages as schemas: what a caller may send, with the contract's rules, and what an answer holds."""

from collections.abc import Collection
from enum import Enum, auto
from typing import Any, Final

from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto

from openapi import rules
from openapi.contract import Contract
from openapi.rules import Schema, rules_of

REFERENCE: Final = "#/components/schemas/"

_F = FieldDescriptorProto
SCALARS: Final[dict[int, Schema]] = {
    _F.TYPE_BOOL: {"type": "boolean"},
    _F.TYPE_BYTES: {"type": "string", "contentEncoding": "base64"},
    _F.TYPE_DOUBLE: {"type": "number", "format": "double"},
    _F.TYPE_FLOAT: {"type": "number", "format": "float"},
    _F.TYPE_INT32: {"type": "integer", "format": "int32", "minimum": -(2**31), "maximum": 2**31 - 1},
    _F.TYPE_UINT32: {"type": "integer", "minimum": 0, "maximum": 2**32 - 1},
    _F.TYPE_INT64: {"type": "string", "format": "int64", "pattern": "^-?[0-9]{1,19}$"},
    _F.TYPE_UINT64: {"type": "string", "format": "uint64", "pattern": "^[0-9]{1,20}$"},
    _F.TYPE_STRING: {"type": "string"},
}
WELL_KNOWN: Final[dict[str, Schema]] = {
    "google.protobuf.Any": {
        "type": "object",
        "description": "A message of any type, with the name of the type in `@type`.",
        "properties": {"@type": {"type": "string"}},
    },
    "google.protobuf.Duration": {"type": "string", "pattern": r"^-?[0-9]{1,12}(\.[0-9]{1,9})?s$"},
    "google.protobuf.ListValue": {"type": "array", "items": {}},
    "google.protobuf.Struct": {"type": "object", "additionalProperties": True},
    "google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
    "google.protobuf.Value": {},
    "google.rpc.Status": {"$ref": f"{REFERENCE}Status"},
}


class Way(Enum):
    """Which way a message goes. What is sent is held against the rules; what is answered has every plain field."""

    SENT = auto()
    ANSWERED = auto()


class Schemas:
    """Collects the components that the schemas it makes refer to."""

    def __init__(self, contract: Contract, answered: Collection[str]) -> None:
        """`answered` are the messages with which answers begin."""
        self.components: dict[str, Schema] = {}
        self._contract = contract
        self._answered = self._within(answered)

    def message(self, name: str, way: Way) -> Schema:
        """A reference to the message's component."""
        if name in WELL_KNOWN:
            return WELL_KNOWN[name]
        short = name.rpartition(".")[2] + ("Input" if way is Way.SENT and name in self._answered else "")
        if short not in self.components:
            self.components[short] = {}  # a message that holds itself finds its own name
            self.components[short] = self.object(name, way)
        return {"$ref": f"{REFERENCE}{short}"}

    def object(self, name: str, way: Way, leave_out: Collection[str] = ()) -> Schema:
        """The message's own schema, without the fields named in `leave_out`."""
        message = self._contract.messages[name]
        fields = [field for field in message.field if field.name not in leave_out]
        schema: Schema = {"type": "object"}
        notes = [self._contract.comment(name), *(rules.notes_of(message) if way is Way.SENT else ())]
        if text := " ".join(f"{note[0].upper()}{note[1:].removesuffix('.')}." for note in notes if note):
            schema["description"] = text
        if fields:
            schema["properties"] = {field.json_name: self.field(name, field, way) for field in fields}
        if way is Way.SENT:
            schema["additionalProperties"] = False
        is_there = rules.must_be_set if way is Way.SENT else self._is_always_answered
        if required := [field.json_name for field in fields if is_there(field)]:
            schema["required"] = required
        return schema | _one_of_each(message, fields)

    def field(self, owner: str, field: FieldDescriptorProto, way: Way) -> Schema:
        """The schema of a field's value, with what the contract says of it."""
        own = rules_of(field)
        if self._contract.is_map(field):
            schema = self._map(field, own.map, way)
        elif field.label == FieldDescriptorProto.LABEL_REPEATED:
            schema = {"type": "array", "items": self._value(field, own.repeated.items, way)}
            schema |= rules.limits(own.repeated, rules.LIST) if way is Way.SENT else {}
        else:
            schema = self._value(field, own, way)
        if text := self._contract.comment(owner, field.name):
            schema = {**schema, "description": text}
        if way is Way.SENT and rules.is_sensitive(field):
            schema = {**schema, "writeOnly": True}
        if rules.is_set_by_service(field):
            schema = {**schema, "readOnly": True}
        return schema

    def _map(self, field: FieldDescriptorProto, own: Any, way: Way) -> Schema:
        _, value = self._contract.message_of(field).field
        schema: Schema = {"type": "object", "additionalProperties": self._value(value, own.values, way)}
        if way is Way.SENT:
            if names := rules.of_text(own.keys.string):
                schema["propertyNames"] = names
            schema |= rules.limits(own, rules.MAP)
        return schema

    def _value(self, field: FieldDescriptorProto, own: Any, way: Way) -> Schema:
        if field.type == FieldDescriptorProto.TYPE_MESSAGE:
            return self.message(field.type_name[1:], way)
        if field.type == FieldDescriptorProto.TYPE_ENUM:
            return self._enum(field.type_name[1:])
        plain = SCALARS[field.type]
        if way is Way.ANSWERED:
            return plain
        return plain | (rules.of_text(own.string) if plain["type"] == "string" else rules.of_number(own))

    def _enum(self, name: str) -> Schema:
        short, enum = name.rpartition(".")[2], self._contract.enums[name]
        if short not in self.components:
            each = [f"- `{value.name}`: {self._contract.comment(name, value.name)}" for value in enum.value]
            self.components[short] = {
                "type": "string",
                "enum": [value.name for value in enum.value],
                "description": "\n".join([self._contract.comment(name), "", *each]),
            }
        return {"$ref": f"{REFERENCE}{short}"}

    def _is_always_answered(self, field: FieldDescriptorProto) -> bool:
        """Envoy prints plain fields, lists and maps also when they are empty."""
        if field.label == FieldDescriptorProto.LABEL_REPEATED:
            return True
        return field.type != FieldDescriptorProto.TYPE_MESSAGE and not field.HasField("oneof_index")

    def _within(self, names: Collection[str]) -> set[str]:
        """All messages that these consist of, themselves included."""
        found: set[str] = set()
        ahead = list(names)
        while ahead:
            name = ahead.pop()
            if name in WELL_KNOWN or name in found:
                continue
            found.add(name)
            ahead += [f.type_name[1:] for f in self._contract.messages[name].field if f.type == _F.TYPE_MESSAGE]
        return found


def _one_of_each(message: DescriptorProto, fields: Collection[FieldDescriptorProto]) -> Schema:
    """Of the members of a oneof, one at most is set."""
    unions = []
    for index in range(len(message.oneof_decl)):
        members = [f for f in fields if f.HasField("oneof_index") and f.oneof_index == index and not f.proto3_optional]
        if members and len(members) == len(fields):
            return {"maxProperties": 1}
        if members:
            each = [{"required": [field.json_name]} for field in members]
            unions.append({"oneOf": [*each, {"not": {"anyOf": each}}]})
    return {"allOf": unions} if unions else {}
