"""The streams of events in the OpenAPI document."""

from __future__ import annotations

from typing import Any

from google.protobuf.descriptor import FieldDescriptor

from gateway.event_stream import MEDIA_TYPE
from gateway.openapi_shared import headers, problems, shared_parameters
from gateway.schemas import Schema, Schemas
from gateway.session_events import LAST_EVENT_ID, MOST_TAIL
from sessiond.v1.store_pb2 import GetSessionRequest, ListSessionsRequest

_STATUSES = (400, 401, 403, 404, 500, 503)
_CURSOR = "The id of the last event seen, to go on after it; Last-Event-ID counts for more."


def event_paths(schemas: Schemas) -> dict[str, dict[str, Any]]:
    """Return the paths that answer with events; they name a session and a user as others do."""
    get, listed = GetSessionRequest.DESCRIPTOR, ListSessionsRequest.DESCRIPTOR
    tail: Schema = {"type": "integer", "format": "int32", "minimum": 0, "maximum": MOST_TAIL}
    return {
        "/api/sessions/{sessionId}/events": _path(
            "sessionEvents",
            "Follows one session",
            "Each event is a frame of the live stream, under its kind: `attached`, `snapshot`, "
            "`event`, `caughtUp`, `token`, `presence`, `reset`; the last one is `goaway`, which "
            "says why the stream ends and whether to come back. Events that one can resume after "
            "have an id.",
            [
                _in_path(schemas, get.fields_by_name["session_id"]),
                _in_query("cursor", _CURSOR, {"type": "string"}),
                _in_query("tail", "How many of the newest messages a snapshot holds.", tail),
            ],
        ),
        "/api/users/{userId}/events": _path(
            "userEvents",
            "Follows a user's sessions",
            "Their own, and those that others share with them (`sharedAs`). First each `session` "
            "that there is, then `listed`, then each change: a `session` as it now is, or a "
            "`removedId`. A `reset` says that all of it begins anew. The last one "
            "is `goaway`, which says why the stream ends and whether to come back.",
            [
                _in_path(schemas, listed.fields_by_name["user_id"]),
                _in_query(
                    "status",
                    "Only sessions that stand like this.",
                    schemas.field(listed.fields_by_name["status"]),
                ),
                _in_query("cursor", _CURSOR, {"type": "string", "format": "watch-cursor"}),
            ],
        ),
        "/api/changes": _path(
            "changes",
            "Follows all changes of all sessions",
            "For administrators, and services that act for nobody. First `moved`, which says where "
            "the feed begins; then each `changed` session with its event, and each `deleted` one, "
            "at least once, those of one session in order. `moved` says how far the feed has come "
            "where nothing was told for 10 s. Whoever comes back with the id of the last event "
            "misses nothing for 24 hours; later, and where a backup was restored, a `reset` says "
            "that deletions may be missing. The last one is `goaway`, which says why the stream "
            "ends and whether to come back.",
            [
                _in_query(
                    "userId",
                    "Only sessions of these owners, and their transfer to others.",
                    _texts(),
                ),
                _in_query("workflowId", "Only sessions of these workflows.", _texts()),
                _in_query(
                    "eventType",
                    "Only these kinds of events, as the fields of Event name them: "
                    "`message_appended`. Deletions are always told.",
                    _texts(),
                ),
                _in_query("cursor", _CURSOR, {"type": "string", "format": "feed-cursor"}),
            ],
        ),
    }


def _path(
    operation_id: str, summary: str, description: str, parameters: list[dict[str, Any]]
) -> dict[str, Any]:
    last = {
        "name": LAST_EVENT_ID,
        "in": "header",
        "description": "The id of the last event seen, to go on after it.",
        "schema": {"type": "string"},
    }
    success = {
        "description": "Events, for as long as there are any.",
        "headers": headers("X-Request-Id"),
        "content": {MEDIA_TYPE: {"schema": {"type": "string"}}},
    }
    return {
        "get": {
            "operationId": operation_id,
            "summary": summary,
            "description": f"{summary}, as server-sent events. {description}",
            "tags": ["Events"],
            "parameters": [*parameters, last, *shared_parameters()],
            "responses": {"200": success} | {str(status): problems(status) for status in _STATUSES},
        }
    }


def _in_path(schemas: Schemas, field: FieldDescriptor) -> dict[str, Any]:
    schema = schemas.field(field)
    description = schema.pop("description", "")
    return {
        "name": field.json_name,
        "in": "path",
        "required": True,
        "description": description,
        "schema": schema,
    }


def _texts() -> Schema:
    return {"type": "array", "items": {"type": "string"}, "maxItems": 64}


def _in_query(name: str, description: str, schema: Schema) -> dict[str, Any]:
    schema.pop("description", None)
    return {"name": name, "in": "query", "description": description, "schema": schema}
