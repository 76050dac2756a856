"""What all operations of the OpenAPI document share: parameters, headers, problems."""

from __future__ import annotations

from typing import Any

from gateway.problems import ACTING_FOR_HEADER, MEDIA_TYPE, problem_type
from gateway.schemas import Schema
from sessiond.errors import CARRIED

SHARED_PARAMETERS: dict[str, Any] = {
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
RESPONSE_HEADERS: dict[str, Schema] = {
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
PROBLEM: Schema = {
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


def problems(status: int) -> dict[str, Any]:
    """Return the response by which failures of an HTTP status are told."""
    titles = [carried.title for carried in CARRIED.values() if carried.http == status]
    codes = [kind.reason for kind, carried in CARRIED.items() if carried.http == status]
    names = ["X-Request-Id"]
    names += ["Retry-After"] if status in (429, 503) else []
    names += ["WWW-Authenticate"] if status == 401 else []
    return {
        "description": f"{' or '.join(titles)}. Code: {', '.join(codes)}.",
        "headers": headers(*names),
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }


def headers(*names: str) -> dict[str, Schema]:
    """Return references to headers of a response, by their names."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def shared_parameters() -> list[dict[str, Any]]:
    """Return references to the parameters that every operation takes."""
    return [{"$ref": f"#/components/parameters/{name}"} for name in SHARED_PARAMETERS]
