"""Answers that need no caller."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from gateway.exchange import Exchange
from sessiond.errors import InvalidArgument


def openapi(document: dict[str, Any]) -> Callable[[Request], Awaitable[Response]]:
    """Return the page that shows the OpenAPI document."""
    content = orjson.dumps(document)

    async def show(request: Request) -> Response:
        return Response(content, media_type="application/json")

    return show


async def not_a_handshake(exchange: Exchange) -> Response:
    """Say that this path speaks WebSocket."""
    raise InvalidArgument(detail="This path speaks WebSocket: the request must ask for an upgrade.")
