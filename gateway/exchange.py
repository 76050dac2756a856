"""One request on its way through the gateway."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import Response
from starlette.websockets import WebSocket

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


@dataclass(slots=True)
class SocketExchange:
    """A WebSocket from its handshake on.

    Attributes:
        socket: the WebSocket.
        request_id: as in `Exchange`.
        template: as in `Exchange`.
        parameters: as in `Exchange`.
        call: who calls; None before its first frame said that.
        code: the close code that it ended with; the HTTP status where it was refused.
    """

    socket: WebSocket
    request_id: str
    template: str = ""
    parameters: Parameters = field(default_factory=dict)
    call: Call | None = None
    code: int = 0

    @property
    def accepting(self) -> list[tuple[bytes, bytes]]:
        """The headers of an accepted handshake."""
        return [(b"x-request-id", self.request_id.encode())]


SocketEndpoint = Callable[[SocketExchange], Awaitable[None]]
"""Carries one WebSocket to its end, or raises the `SessiondError` by which it is refused."""
