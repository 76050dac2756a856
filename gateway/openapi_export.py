"""The export of a session in the OpenAPI document."""

from __future__ import annotations

from typing import Any

from gateway.openapi_shared import headers, problems, shared_parameters
from gateway.schemas import Schemas
from sessiond.export.rendering import MEDIA_TYPES, Format
from sessiond.v1.store_pb2 import ReadHistoryRequest

_STATUSES = (400, 401, 403, 404, 422, 429, 500, 503)


def export_path(schemas: Schemas) -> dict[str, dict[str, Any]]:
    """Return the path that answers with a session as a document."""
    session_id = schemas.field(ReadHistoryRequest.DESCRIPTOR.fields_by_name["session_id"])
    parameters = [
        {
            "name": "sessionId",
            "in": "path",
            "required": True,
            "description": session_id.pop("description", ""),
            "schema": session_id,
        },
        {
            "name": "format",
            "in": "query",
            "description": "As what. JSON and NDJSON are the session's events, and can be "
            "imported; Markdown and PDF are for people.",
            "schema": {"type": "string", "enum": list(Format), "default": Format.JSON},
        },
    ]
    document = {
        "description": "The session as a file. It is whole where the response comes to its end.",
        "headers": headers("X-Request-Id"),
        "content": {
            media_type: {"schema": {"type": "object" if form is Format.JSON else "string"}}
            for form, media_type in MEDIA_TYPES.items()
        },
    }
    operation = {
        "operationId": "exportSession",
        "summary": "Exports one session",
        "description": "Exports one session, with all its events, as a file. FORMAT_UNAVAILABLE "
        "where this installation makes no PDF, or not of so long a session; FONT_MISSING names the "
        "script that no font here shows.",
        "tags": ["Store"],
        "parameters": [*parameters, *shared_parameters()],
        "responses": {"200": document} | {str(status): problems(status) for status in _STATUSES},
    }
    return {"/api/sessions/{sessionId}/export": {"get": operation}}
