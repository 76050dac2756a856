"""Failures as HTTP shows them: `application/problem+json` (RFC 9457).

A problem never holds a stack, a key, an address or the text of an exception.
"""

from __future__ import annotations

import math
from typing import Any

import orjson
from google.protobuf.descriptor import Descriptor
from starlette.responses import Response

from gateway.conditional import etag
from services.serving.claims import ACTING_FOR_KEY
from sessiond.errors import (
    CARRIED,
    FieldViolation,
    InvalidArgument,
    SessiondError,
    StaleRevision,
    Unauthenticated,
)
from sessiond.mapping.spelling import json_path

MEDIA_TYPE = "application/problem+json"
ACTING_FOR_HEADER = "Sessiond-User"
_FIELD_CHARACTERS = 200
_VIOLATIONS = 100


def problem_type(error: type[SessiondError]) -> str:
    """Return the URI that names the kind of problem, and never changes."""
    return "urn:sessiond:problem:" + error.reason.lower().replace("_", "-")


def problem(error: SessiondError, request_id: str) -> Response:
    """Return the answer that carries a failure."""
    carriage = CARRIED[type(error)]
    shown: dict[str, Any] = {
        "type": problem_type(type(error)),
        "title": carriage.title,
        "status": carriage.http,
        "code": error.reason,
        "detail": _text(error.detail),
        "retryable": carriage.retryable,
        "requestId": request_id,
    }
    headers: dict[str, str] = {}
    if isinstance(error, InvalidArgument) and error.violations:
        # A body of a megabyte can hold very many bad fields: the first ones say enough.
        shown["errors"] = [_violation(each) for each in error.violations[:_VIOLATIONS]]
    if isinstance(error, StaleRevision) and error.revision > 0:
        shown["revision"] = error.revision
        headers["ETag"] = etag(error.revision)
    if isinstance(error, Unauthenticated):
        headers["WWW-Authenticate"] = "Bearer"
    if error.retry_after is not None or carriage.http in (429, 503):
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after or 1)))
    return Response(orjson.dumps(shown), carriage.http, headers, MEDIA_TYPE)


def in_http_words(error: SessiondError, request: Descriptor) -> SessiondError:
    """Return the failure with fields named as the HTTP caller knows them.

    The rules name them as in the proto, by their path in the message `request`.
    """
    if not isinstance(error, InvalidArgument):
        return error
    violations = [
        FieldViolation(json_path(request, each.field), each.message) for each in error.violations
    ]
    return InvalidArgument(violations, error.detail)


def _violation(violation: FieldViolation) -> dict[str, str]:
    field = violation.field[:_FIELD_CHARACTERS]
    if field == ACTING_FOR_KEY:
        field = ACTING_FOR_HEADER
    return {"field": _text(field), "message": _text(violation.message)}


def _text(text: str) -> str:
    # Names come from the caller's JSON, which can spell lone surrogates.
    return text.encode("utf-8", "replace").decode()
