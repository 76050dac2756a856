"""The OpenAPI 3.1 document of the REST interface, from the same annotations as the routes.

What has no annotation is described elsewhere: streams of events by `openapi_events`, the export by
`openapi_export`, the import by `openapi_import`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from google.protobuf.descriptor import Descriptor

from gateway import bodies
from gateway.annotations import Operation
from gateway.openapi_events import event_paths
from gateway.openapi_export import export_path
from gateway.openapi_import import import_path
from gateway.openapi_shared import (
    PROBLEM,
    RESPONSE_HEADERS,
    SHARED_PARAMETERS,
    headers,
    problems,
    shared_parameters,
)
from gateway.schemas import Schema, Schemas
from sessiond.mapping.spelling import header_of

DESCRIPTIONS = Path(__file__).with_name("descriptions.json")

_TAG = r'(W/)?"[!#-~]*"'
_HEADERS: Mapping[str, Schema] = {
    # Space at either end of a header's value does not survive the way.
    "Idempotency-Key": {"type": "string", "pattern": r"^[!-~]([ -~]{0,126}[!-~])?$"},
    "If-Match": {
        "type": "string",
        "anyOf": [{"const": "*"}, {"pattern": f"^{_TAG}$"}],
        "examples": ['"7"'],
    },
}
_IF_NONE_MATCH = {
    "name": "If-None-Match",
    "in": "header",
    "description": "Answer 304 when the session is still at one of these ETags.",
    "schema": {
        "type": "string",
        "anyOf": [{"const": "*"}, {"pattern": f"^{_TAG}( *, *{_TAG})*$"}],
        "examples": ['"7"'],
    },
}


def document(operations: Iterable[Operation]) -> dict[str, Any]:
    """Return the document."""
    schemas = Schemas(json.loads(DESCRIPTIONS.read_text()))
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        path = re.sub(
            r"\{(\w+)\}",
            lambda name, request=operation.request: (  # type: ignore[misc]
                "{" + request.fields_by_name[name[1]].json_name + "}"
            ),
            operation.template,
        )
        paths.setdefault(path, {})[operation.verb.lower()] = _operation(operation, schemas)
    paths.update(event_paths(schemas))
    paths.update(export_path(schemas))
    paths.update(import_path(schemas))
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "sessiond",
            "version": "1",
            "description": "The state of AI-agent chat sessions: durable, ordered, live.",
        },
        "security": [{"bearer": []}],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(schemas.shared.items())) | {"Problem": PROBLEM},
            "parameters": SHARED_PARAMETERS,
            "headers": dict(RESPONSE_HEADERS),
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
            },
        },
    }


def _operation(operation: Operation, schemas: Schemas) -> dict[str, Any]:
    rpc = operation.rpc
    description = schemas.description(rpc.full_name)
    found: dict[str, Any] = {
        "operationId": rpc.name[0].lower() + rpc.name[1:],
        "summary": description.split("\n")[0].rstrip("."),
        "description": description,
        "tags": [rpc.containing_service.name.removesuffix("Service")],
        "parameters": _parameters(operation, schemas),
        "responses": _responses(operation, schemas),
    }
    if operation.body:
        schema, required = _body(operation, schemas)
        types = (bodies.JSON,) + ((bodies.MERGE_PATCH,) if operation.verb == "PATCH" else ())
        found["requestBody"] = {
            "required": required,
            "content": {media_type: {"schema": schema} for media_type in types},
        }
    return found


def _body(operation: Operation, schemas: Schemas) -> tuple[Schema, bool]:
    if operation.body == "*":
        schema = schemas.asked(operation.request, operation.body_fields)
        return schema, "required" in schemas.shared[operation.request.name]
    return schemas.field(operation.body_fields[0]), True


def _parameters(operation: Operation, schemas: Schemas) -> list[dict[str, Any]]:
    def parameter(name: str, where: str, schema: Schema) -> dict[str, Any]:
        description = schema.pop("description", "")
        return {"name": name, "in": where, "description": description, "schema": schema}

    found = [
        parameter(field.json_name, "path", schemas.field(field)) | {"required": True}
        for field in operation.path_fields
    ]
    found += [
        parameter(field.json_name, "query", schemas.field(field))
        for field in operation.query_fields
    ]
    for field in operation.header_fields:
        told = {"description": schemas.description(field.full_name)}
        found.append(parameter(header_of(field), "header", _HEADERS[header_of(field)] | told))
    if operation.reads and operation.etag:
        found.append(_IF_NONE_MATCH)
    return found + shared_parameters()


def _responses(operation: Operation, schemas: Schemas) -> dict[str, Any]:
    names = ["X-Request-Id"]
    names += ["ETag"] if operation.etag else []
    success: dict[str, Any] = {"description": "Done."}
    if operation.status != 204:
        success["content"] = {bodies.JSON: {"schema": schemas.shown(_answer(operation))}}
    located = ["Location"] if operation.location else []
    success["headers"] = headers(*names, *located)
    found = {str(operation.status): success}
    if operation.reads and operation.etag:
        found["304"] = {"description": "Not modified.", "headers": headers(*names)}
    for status in _statuses(operation):
        found[str(status)] = problems(status)
    return found


def _answer(operation: Operation) -> Descriptor:
    response = operation.rpc.output_type
    if not operation.response_body:
        return response
    message = response.fields_by_name[operation.response_body].message_type
    if message is None:
        raise TypeError(f"{operation.rpc.full_name}: an answer is a message")
    return message


def _statuses(operation: Operation) -> list[int]:
    """Return the HTTP statuses of the failures that the operation can end with."""
    found = {400, 401, 403, 500, 503}
    names = {field.name for field in operation.request.fields}
    headers = {header_of(field) for field in operation.header_fields}
    if operation.path_fields or "template" in names:
        found.add(404)
    if not operation.reads:
        found |= {409, 413, 429}
    if operation.body:
        found.add(415)
    if "page_token" in names:
        found.add(410)
    if "If-Match" in headers:
        found.add(412)
    if "Idempotency-Key" in headers:
        found.add(422)
    return sorted(found)
