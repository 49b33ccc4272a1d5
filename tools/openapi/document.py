"""The description of the REST API (OpenAPI 3.1), out of the contract alone."""

import json
from typing import Final

from openapi import errors
from openapi.contract import Contract
from openapi.operations import FILE, Operations, methods
from openapi.rules import Schema
from openapi.schemas import Schemas

ABOUT: Final = (
    "Typed background jobs: enqueued, followed to their end, and steered, over HTTP. The same contract is spoken over gRPC.\n\n"
    "Numbers that may pass 2^31 are doubles; times are RFC 3339. Fields that are unknown in a body are ignored, except in "
    "`data`, where they are refused by name. Unknown query parameters are refused."
)


def document(contract: Contract) -> str:
    """The document as JSON text."""
    called = list(methods(contract))
    schemas = Schemas(contract, {method.response for method in called if method.response != FILE})
    operations = Operations(contract, schemas)
    paths: dict[str, Schema] = {}
    for method in called:
        paths.setdefault(operations.path(method), {})[method.verb] = operations.operation(method)
    refused = {"schema": {"$ref": "#/components/schemas/Status"}}
    whole = {
        "openapi": "3.1.0",
        "info": {
            "title": "Q-Collector Jobs",
            "version": "v1",
            "description": ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"bearer": []}],
        "tags": [
            {"name": name.rpartition(".")[2], "description": contract.comment(name)}
            for name in dict.fromkeys(method.service for method in called)
        ],
        "paths": paths,
        "components": {
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
            "responses": {"Refused": {"description": "Why not.", "content": {"application/json": refused}}},
            "schemas": dict(sorted({**schemas.components, **errors.components(contract)}.items())),
        },
    }
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"
