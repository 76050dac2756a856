"""An HTTP server inside a part's own event loop, and the page of figures that each part shows."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from services.serving.addresses import HostPort
from services.serving.health import Health
from services.serving.settings import Settings
from services.serving.sockets import StartFailed, listen


@dataclass(frozen=True, slots=True)
class WebSockets:
    """How WebSockets are spoken.

    Attributes:
        protocol: what speaks on a connection, made of uvicorn's `websockets-sansio`.
        frame_bytes: the largest message; a larger one closes with 1009.
        ping_seconds: how often a client is pinged.
        pong_seconds: how long it may take to answer that.
    """

    protocol: type[asyncio.Protocol]
    frame_bytes: int
    ping_seconds: float
    pong_seconds: float


class _Server(uvicorn.Server):
    """uvicorn, told to leave the signals to the part, and to say when it is up."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone: the part drains in an order of its own."""
        yield

    async def main_loop(self) -> None:
        """Serve until told to stop."""
        self.up.set()
        await super().main_loop()


@asynccontextmanager
async def serving_http(
    app: ASGIApp,
    address: HostPort,
    health: Health,
    *,
    tls: ssl.SSLContext | None = None,
    protocol: type[asyncio.Protocol] | Literal["httptools"] = "httptools",
    websockets: WebSockets | None = None,
) -> AsyncIterator[HostPort]:
    """Serve an ASGI application while the block runs; yields the address, with its real port.

    `protocol` is what speaks HTTP on a connection: uvicorn's own, or one made of it. Without
    `websockets` a request to upgrade is answered like any other.

    Leaving the block refuses new connections, and waits for requests under way as long as the
    drain of the part has left, at least a second.

    Raises:
        StartFailed: the address cannot be listened on.
    """
    with listen(address) as socket:
        config = uvicorn.Config(
            app,
            http=protocol,
            **_spoken(websockets),
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            ssl_context_factory=(lambda _config, _default: tls) if tls is not None else None,
        )
        server = _Server(config)
        running = asyncio.create_task(server.serve([socket]), name=f"http {address}")
        up = asyncio.create_task(server.up.wait())
        try:
            await asyncio.wait({running, up}, return_when=asyncio.FIRST_COMPLETED)
            if running.done():
                raise StartFailed(f"the HTTP server on {address} did not start")
            yield HostPort(address.host, socket.getsockname()[1])
        finally:
            up.cancel()
            config.timeout_graceful_shutdown = max(1, round(health.seconds_left()))
            server.should_exit = True
            await running


def _spoken(websockets: WebSockets | None) -> dict[str, Any]:
    if websockets is None:
        return {"ws": "none"}
    return {
        "ws": websockets.protocol,
        "ws_max_size": websockets.frame_bytes,
        "ws_ping_interval": websockets.ping_seconds,
        "ws_ping_timeout": websockets.pong_seconds,
        "ws_per_message_deflate": False,
    }


def server_tls(settings: Settings) -> ssl.SSLContext | None:
    """Return what an HTTP server shows, by the same settings as a gRPC server's; None: plain."""
    if settings.tls_cert is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(settings.tls_cert, settings.tls_key)
    if settings.tls_client_ca is not None:
        context.load_verify_locations(settings.tls_client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def monitoring(registry: CollectorRegistry, health: Health) -> Starlette:
    """Return the application that answers /metrics, /healthz and /readyz.

    It has no login and tells nothing about sessions or users; it belongs on a port of its own.
    """
    return Starlette(routes=monitoring_routes(registry, health))


def monitoring_routes(registry: CollectorRegistry, health: Health) -> list[Route]:
    """Return the routes of `monitoring`, for an application that has others besides."""

    async def metrics(request: Request) -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    async def healthz(request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def readyz(request: Request) -> Response:
        if health.ready:
            return PlainTextResponse("ok\n")
        return PlainTextResponse("draining\n" if health.draining else "not ready\n", 503)

    return [
        Route("/metrics", metrics),
        Route("/healthz", healthz),
        Route("/readyz", readyz),
    ]
