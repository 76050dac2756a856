"""Pages that need no caller."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from gateway.exchange import Exchange
from sessiond.errors import InvalidArgument

_HOME = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>sessiond</title></head>
<body style="font-family: sans-serif; margin: 3rem">
<h1>sessiond</h1>
<p>The state of AI-agent chat sessions: durable, ordered, live.</p>
<p>This is its REST interface. <a href="/openapi.json">/openapi.json</a> describes it.</p>
</body>
</html>
"""


async def home(request: Request) -> Response:
    """Say what this is."""
    return HTMLResponse(_HOME)


def openapi(document: dict[str, Any]) -> Callable[[Request], Awaitable[Response]]:
    """Return the page that shows the OpenAPI document."""
    content = orjson.dumps(document)

    async def show(request: Request) -> Response:
        return Response(content, media_type="application/json")

    return show


async def not_a_handshake(exchange: Exchange) -> Response:
    """Say that this path speaks WebSocket."""
    raise InvalidArgument(detail="This path speaks WebSocket: the request must ask for an upgrade.")
