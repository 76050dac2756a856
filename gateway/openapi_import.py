"""The import of a session in the OpenAPI document."""

from __future__ import annotations

from typing import Any

from gateway import bodies
from gateway.imports import NDJSON
from gateway.openapi_shared import headers, problems, shared_parameters
from gateway.schemas import Schemas
from sessiond.v1.store_pb2 import ImportSessionResponse

_STATUSES = (400, 401, 403, 409, 413, 415, 429, 500, 503)
# Each event is checked as it comes: what they hold is nothing that a schema describes.
_EXPORT = {
    "type": "object",
    "required": ["format", "version", "session", "events"],
    "properties": {
        "format": {"const": "sessiond.export"},
        "version": {"const": 1},
        "session": {"type": "object"},
        "events": {"type": "array", "minItems": 1, "items": {"type": "object"}},
    },
}


def import_path(schemas: Schemas) -> dict[str, dict[str, Any]]:
    """Return the path that takes an exported session."""
    answer = {
        "headers": headers("X-Request-Id", "Location"),
        "content": {
            bodies.JSON: {"schema": schemas.shown(ImportSessionResponse.DESCRIPTOR)},
        },
    }
    operation = {
        "operationId": "importSession",
        "summary": "Imports one session",
        "description": "Stores a session that was exported here or elsewhere, as it was: the same "
        "id, the same events. For its owner, and administrators; a session under a legal hold is "
        "imported by administrators only. To import it again changes nothing; an import that broke "
        "is sent again, and goes on where it came to. ID_TAKEN where another session stands.",
        "tags": ["Store"],
        "parameters": shared_parameters(),
        "requestBody": {
            "required": True,
            "content": {
                bodies.JSON: {"schema": _EXPORT},
                NDJSON: {"schema": {"type": "string"}},
            },
        },
        "responses": {
            "200": {"description": "It was there before."} | answer,
            "201": {"description": "It is there now."} | answer,
        }
        | {str(status): problems(status) for status in _STATUSES},
    }
    return {"/api/import": {"post": operation}}
