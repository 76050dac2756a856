"""One request on its way through the gateway."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import Response

from gateway.routes import Parameters
from services.serving.context import Call


@dataclass(slots=True)
class Exchange:
    """A request, and what has been found out about it so far.

    Attributes:
        request: what came.
        request_id: names the request in the logs of every part that it passes.
        template: the template of its path; "" while there is none.
        parameters: what the path holds.
        call: who calls; None before that was asked.
    """

    request: Request
    request_id: str
    template: str = ""
    parameters: Parameters = field(default_factory=dict)
    call: Call | None = None


Endpoint = Callable[[Exchange], Awaitable[Response]]
"""Answers one request, or raises the `SessiondError` that it ends with."""
