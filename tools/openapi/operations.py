"""The contract's methods as operations: paths, parameters, bodies and answers."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from google.api.annotations_pb2 import http
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, MethodDescriptorProto

from openapi import rules
from openapi.contract import Contract
from openapi.rules import Schema
from openapi.schemas import Schemas, Way

FILE: Final = "google.api.HttpBody"
UNHEALTHY: Final = frozenset({"CheckHealth", "CheckEmailHealth"})
"""Methods whose answer comes with status 503 when what they checked is unhealthy."""


@dataclass(frozen=True)
class Method:
    """A method that REST callers reach."""

    service: str
    descriptor: MethodDescriptorProto
    verb: str
    path: str
    body: str
    response_body: str

    @property
    def request(self) -> str:
        return self.descriptor.input_type[1:]

    @property
    def response(self) -> str:
        return self.descriptor.output_type[1:]

    @property
    def in_path(self) -> list[str]:
        """The fields that stand in the path."""
        return re.findall(r"{(\w+)}", self.path)


def methods(contract: Contract) -> Iterator[Method]:
    for name, service in contract.services.items():
        for method in service.method:
            rule = method.options.Extensions[http]
            if verb := rule.WhichOneof("pattern"):
                yield Method(name, method, verb, getattr(rule, verb), rule.body, rule.response_body)


class Operations:
    """Makes them, one by one."""

    def __init__(self, contract: Contract, schemas: Schemas) -> None:
        self._contract = contract
        self._schemas = schemas

    def path(self, method: Method) -> str:
        names = {field.name: field.json_name for field in self._contract.messages[method.request].field}
        return re.sub(r"{(\w+)}", lambda field: f"{{{names[field[1]]}}}", method.path)

    def operation(self, method: Method) -> Schema:
        name = method.descriptor.name
        text = self._contract.comment(method.service, name)
        operation: Schema = {
            "operationId": name[0].lower() + name[1:],
            "tags": [method.service.rpartition(".")[2]],
            "summary": re.split(r"(?<=[^.][.:])\s", text, maxsplit=1)[0].rstrip(".:"),
            "description": text,
        }
        if parameters := self._parameters(method):
            operation["parameters"] = parameters
        if method.body:
            operation["requestBody"] = self._body(method)
        return operation | {"responses": self._responses(method)}

    def _parameters(self, method: Method) -> list[Schema]:
        fields = self._contract.messages[method.request].field
        in_path = [self._parameter(method, field, "path") for field in fields if field.name in method.in_path]
        if method.body:
            return in_path
        return in_path + [self._parameter(method, f, "query") for f in fields if f.name not in method.in_path]

    def _parameter(self, method: Method, field: FieldDescriptorProto, place: str) -> Schema:
        schema = {**self._schemas.field(method.request, field, Way.SENT)}
        parameter: Schema = {"name": field.json_name, "in": place, "required": place == "path"}
        if rules.must_be_set(field):
            parameter["required"] = True
        if text := schema.pop("description", ""):
            parameter["description"] = text
        return parameter | {"schema": schema}

    def _body(self, method: Method) -> Schema:
        if method.in_path:
            schema = self._schemas.object(method.request, Way.SENT, leave_out=method.in_path)
            schema.pop("description", None)  # it speaks of the fields that are left out
        else:
            schema = self._schemas.message(method.request, Way.SENT)
        fields = self._contract.messages[method.request].field
        required = any(rules.must_be_set(field) for field in fields if field.name not in method.in_path)
        return {"required": required, "content": {"application/json": {"schema": schema}}}

    def _responses(self, method: Method) -> Schema:
        answers: Schema = {"200": self._answer(method)}
        if method.descriptor.name in UNHEALTHY:
            either = {"anyOf": [self._answer_schema(method), {"$ref": "#/components/schemas/Status"}]}
            answers["503"] = {"description": "Unhealthy.", "content": {"application/json": {"schema": either}}}
        return answers | {"default": {"$ref": "#/components/responses/Refused"}}

    def _answer(self, method: Method) -> Schema:
        description = self._contract.comment(method.response) or "The answer."
        if method.response == FILE:
            return {"description": "The file.", "content": {"*/*": {}}}
        if not method.descriptor.server_streaming:
            return {
                "description": description,
                "content": {"application/json": {"schema": self._answer_schema(method)}},
            }
        event = {"contentMediaType": "application/json", "contentSchema": self._answer_schema(method)}
        stream = {"type": "string", "description": "The `data` of each event is one such message.", **event}
        return {"description": description, "content": {"text/event-stream": {"schema": stream}}}

    def _answer_schema(self, method: Method) -> Any:
        if not method.response_body:
            return self._schemas.message(method.response, Way.ANSWERED)
        fields = {field.name: field for field in self._contract.messages[method.response].field}
        return self._schemas.field(method.response, fields[method.response_body], Way.ANSWERED)
