"""The application: every request comes in here, and every answer goes out here.

request id --> route --> endpoint --> answer or problem --> headers, one log line, figures

WebSockets take the same road, with routes of their own; what is refused is answered with a problem.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import structlog
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from gateway.exchange import Endpoint, Exchange, SocketEndpoint, SocketExchange
from gateway.figures import HttpFigures
from gateway.origins import Origins
from gateway.problems import problem
from gateway.routes import Place, RouteTable
from services.serving import context
from services.serving.context import is_request_id
from sessiond.errors import Internal, MethodNotAllowed, SessiondError

_log = structlog.get_logger(__name__)

REQUEST_ID_HEADER = "X-Request-Id"

# Answers hold what only their caller may see, and browsers shall not guess what they are.
_ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
_CLIENT_GONE = 499

C = TypeVar("C", bound=HTTPConnection)


class Front:
    """The ASGI application over a table of endpoints."""

    def __init__(
        self,
        routes: RouteTable[Endpoint],
        sockets: RouteTable[SocketEndpoint],
        origins: Origins,
        figures: HttpFigures,
        *,
        new_id: Callable[[], str],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._routes = routes
        self._sockets = sockets
        self._origins = origins
        self._figures = figures
        self._new_id = new_id
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or carry one WebSocket."""
        if scope["type"] == "websocket":
            await self._carry(SocketExchange(*self._met(WebSocket(scope, receive, send))))
        elif scope["type"] == "http":
            await self._respond(Exchange(*self._met(Request(scope, receive))), send)

    def _met(self, connection: C) -> tuple[C, str]:
        given = connection.headers.get(REQUEST_ID_HEADER, "")
        return connection, given if is_request_id(given) else self._new_id()

    # --- requests ----------------------------------------------------------------------------

    async def _respond(self, exchange: Exchange, send: Send) -> None:
        began = self._clock()
        request = exchange.request
        code = _CLIENT_GONE
        with (
            self._figures.in_flight.track_inprogress(),
            context.during(context.Call(exchange.request_id)),
        ):
            try:
                response = await self._answer(exchange)
                self._dress(response, exchange.request_id, request.headers)
                await response(request.scope, request.receive, send)
                code = response.status_code
            except ClientDisconnect:
                pass
            finally:
                seconds = self._clock() - began
                self._figures.ended(request.method, exchange.template, code, seconds)
                self._tell("request", exchange, code, seconds, method=request.method)

    async def _answer(self, exchange: Exchange) -> Response:
        request = exchange.request
        allowed: list[str] = []
        try:
            place = self._routes.find(request.scope["raw_path"])
            exchange.template, allowed = place.template, place.allowed
            if request.method == "OPTIONS":
                return self._options(place, request)
            match = place.match(request.method)
            exchange.parameters = match.parameters
            return await match.endpoint(exchange)
        except MethodNotAllowed as error:
            response = problem(error, exchange.request_id)
            response.headers["Allow"] = ", ".join(allowed)
            return response
        except SessiondError as error:
            return problem(error, exchange.request_id)
        except ClientDisconnect:
            raise
        except Exception as error:
            _log.error("endpoint broke", exc_info=error)
            return problem(Internal(), exchange.request_id)

    def _options(self, place: Place[Endpoint], request: Request) -> Response:
        headers = {"Allow": ", ".join(place.allowed)}
        headers.update(self._origins.preflight(request.headers, place.allowed))
        return Response(status_code=204, headers=headers)

    # --- WebSockets --------------------------------------------------------------------------

    async def _carry(self, exchange: SocketExchange) -> None:
        began = self._clock()
        exchange.code = _CLIENT_GONE
        with context.during(context.Call(exchange.request_id)):
            try:
                place = self._sockets.find(exchange.socket.scope["raw_path"])
                exchange.template = place.template
                match = place.match("GET")
                exchange.parameters = match.parameters
                await match.endpoint(exchange)
            except SessiondError as error:
                response = problem(error, exchange.request_id)
                self._dress(response, exchange.request_id, exchange.socket.headers)
                await exchange.socket.send_denial_response(response)
                exchange.code = response.status_code
            finally:
                self._figures.socket_ended(exchange.template, exchange.code)
                self._tell("websocket", exchange, exchange.code, self._clock() - began)

    # --- both --------------------------------------------------------------------------------

    def _dress(self, response: Response, request_id: str, asked: Headers) -> None:
        headers = response.headers
        headers[REQUEST_ID_HEADER] = request_id
        for name, value in _ALWAYS.items():
            headers.setdefault(name, value)
        headers.update(self._origins.headers(asked))

    def _tell(
        self,
        event: str,
        exchange: Exchange | SocketExchange,
        code: int,
        seconds: float,
        **more: str,
    ) -> None:
        identity = exchange.call.identity if exchange.call else None
        _log.info(
            event,
            request_id=exchange.request_id,
            **more,
            route=exchange.template,
            code=code,
            ms=round(seconds * 1000, 2),
            caller=identity.subject if identity else "",
            role=identity.role.value if identity else "",
            acting_for=identity.acting_for if identity else "",
        )
