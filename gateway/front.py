"""The application: every request comes in here, and every answer goes out here.

request id --> route --> endpoint --> answer or problem --> headers, one log line, figures
"""

from __future__ import annotations

import time
from collections.abc import Callable

import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocketClose

from gateway.exchange import Endpoint, Exchange
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
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
    ),
}
_CLIENT_GONE = 499


class Front:
    """The ASGI application over a table of endpoints."""

    def __init__(
        self,
        routes: RouteTable[Endpoint],
        origins: Origins,
        figures: HttpFigures,
        *,
        new_id: Callable[[], str],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._routes = routes
        self._origins = origins
        self._figures = figures
        self._new_id = new_id
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await WebSocketClose()(scope, receive, send)
            return
        began = self._clock()
        request = Request(scope, receive)
        given = request.headers.get(REQUEST_ID_HEADER, "")
        exchange = Exchange(request, given if is_request_id(given) else self._new_id())
        code = _CLIENT_GONE
        with (
            self._figures.in_flight.track_inprogress(),
            context.during(context.Call(exchange.request_id)),
        ):
            try:
                response = await self._answer(exchange)
                self._dress(response, exchange)
                await response(scope, receive, send)
                code = response.status_code
            except ClientDisconnect:
                pass
            finally:
                self._tell(exchange, code, self._clock() - began)

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

    def _dress(self, response: Response, exchange: Exchange) -> None:
        headers = response.headers
        headers[REQUEST_ID_HEADER] = exchange.request_id
        for name, value in _ALWAYS.items():
            headers.setdefault(name, value)
        headers.update(self._origins.headers(exchange.request.headers))

    def _tell(self, exchange: Exchange, code: int, seconds: float) -> None:
        method = exchange.request.method
        self._figures.ended(method, exchange.template, code, seconds)
        identity = exchange.call.identity if exchange.call else None
        _log.info(
            "request",
            request_id=exchange.request_id,
            method=method,
            route=exchange.template,
            code=code,
            ms=round(seconds * 1000, 2),
            caller=identity.subject if identity else "",
            role=identity.role.value if identity else "",
            acting_for=identity.acting_for if identity else "",
        )
