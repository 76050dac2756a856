"""The OpenAPI 3.1 document of the REST interface, from the same annotations as the routes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from google.protobuf.descriptor import Descriptor

from gateway import bodies
from gateway.annotations import Operation
from gateway.mapping.spelling import header_of
from gateway.problems import ACTING_FOR_HEADER, MEDIA_TYPE, problem_type
from gateway.schemas import Schema, Schemas
from sessiond.errors import CARRIED

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
_SHARED_PARAMETERS = {
    "RequestId": {
        "name": "X-Request-Id",
        "in": "header",
        "description": "Names the request in our logs; taken over when it is 1 to 64 characters "
        "of A-Z, a-z, 0-9, '.', '_' and '-'.",
        "schema": {"type": "string"},
    },
    "ActingFor": {
        "name": ACTING_FOR_HEADER,
        "in": "header",
        "description": "Only for services: the user that the service acts for, percent-encoded.",
        "schema": {
            "type": "string",
            "pattern": "^([!-$&-~]|%[0-9A-Fa-f]{2})+$",
            "format": "user-id",
        },
    },
}
_RESPONSE_HEADERS: Mapping[str, Schema] = {
    "X-Request-Id": {"required": True, "schema": {"type": "string"}},
    "ETag": {
        "required": True,
        "description": "The session's revision.",
        "schema": {"type": "string", "pattern": '^"[0-9]+"$'},
    },
    "Location": {
        "required": True,
        "description": "Where to load it.",
        "schema": {"type": "string"},
    },
    "Retry-After": {
        "required": True,
        "description": "Seconds.",
        "schema": {"type": "integer", "minimum": 1},
    },
    "WWW-Authenticate": {"required": True, "schema": {"type": "string"}},
}
_PROBLEM: Schema = {
    "type": "object",
    "description": "What went wrong (RFC 9457).",
    "required": ["type", "title", "status", "code", "detail", "retryable", "requestId"],
    "properties": {
        "type": {"type": "string", "enum": sorted(map(problem_type, CARRIED))},
        "title": {"type": "string"},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "code": {"type": "string", "enum": sorted(kind.reason for kind in CARRIED)},
        "detail": {"type": "string", "description": "One sentence for a person."},
        "retryable": {
            "type": "boolean",
            "description": "Whether the same request may succeed later.",
        },
        "requestId": {"type": "string"},
        "errors": {
            "type": "array",
            "description": "Every bad field of the request.",
            "items": {
                "type": "object",
                "required": ["field", "message"],
                "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
            },
        },
        "revision": {
            "type": "integer",
            "format": "int64",
            "description": "With STALE_REVISION: where the session is.",
        },
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
            "schemas": dict(sorted(schemas.shared.items())) | {"Problem": _PROBLEM},
            "parameters": _SHARED_PARAMETERS,
            "headers": dict(_RESPONSE_HEADERS),
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
    return found + [{"$ref": f"#/components/parameters/{name}"} for name in _SHARED_PARAMETERS]


def _responses(operation: Operation, schemas: Schemas) -> dict[str, Any]:
    names = ["X-Request-Id"]
    names += ["ETag"] if operation.etag else []
    success: dict[str, Any] = {"description": "Done."}
    if operation.status != 204:
        success["content"] = {bodies.JSON: {"schema": schemas.shown(_answer(operation))}}
    located = ["Location"] if operation.location else []
    success["headers"] = _headers(*names, *located)
    found = {str(operation.status): success}
    if operation.reads and operation.etag:
        found["304"] = {"description": "Not modified.", "headers": _headers(*names)}
    for status in _statuses(operation):
        found[str(status)] = _problems(status)
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
    if operation.path_fields:
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


def _problems(status: int) -> dict[str, Any]:
    titles = [carried.title for carried in CARRIED.values() if carried.http == status]
    codes = [kind.reason for kind, carried in CARRIED.items() if carried.http == status]
    names = ["X-Request-Id"]
    names += ["Retry-After"] if status in (429, 503) else []
    names += ["WWW-Authenticate"] if status == 401 else []
    return {
        "description": f"{' or '.join(titles)}. Code: {', '.join(codes)}.",
        "headers": _headers(*names),
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }


def _headers(*names: str) -> dict[str, Schema]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}
