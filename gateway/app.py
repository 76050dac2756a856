"""The composition root: puts the gateway together, and opens it."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass

import grpc
from google.protobuf.descriptor import ServiceDescriptor
from starlette.requests import Request
from starlette.responses import Response

from gateway.annotations import Operation, operations
from gateway.assets import dashboard
from gateway.changes_feed import ChangesFeed
from gateway.connections import BoundedHttp
from gateway.exchange import Endpoint, Exchange, SocketEndpoint
from gateway.exports import Exports
from gateway.figures import HttpFigures
from gateway.front import Front
from gateway.imports import Imports
from gateway.lives import Lives
from gateway.open_streams import OpenStreams
from gateway.openapi import document
from gateway.origins import Origins
from gateway.pages import not_a_handshake, openapi
from gateway.readiness import Readiness
from gateway.rest import RestOperation
from gateway.routes import RouteTable
from gateway.session_events import SessionEvents
from gateway.settings import GatewaySettings
from gateway.upstream import Call, Replicas
from gateway.user_events import UserEvents
from gateway.websocket import LiveSockets, Terms
from gateway.websocket_connections import BoundedWebSocket
from services.serving.addresses import HostPort
from services.serving.auth import Authenticator, authenticating
from services.serving.channels import open_channel
from services.serving.identity import PartIdentity
from services.serving.instances import Instances
from services.serving.running import Drain, Running, nothing_to_drain
from services.serving.web import WebSockets, monitoring_routes, server_tls, serving_http
from sessiond.v1 import live_pb2, store_pb2

STORE: ServiceDescriptor = store_pb2.DESCRIPTOR.services_by_name["StoreService"]
LIVE: ServiceDescriptor = live_pb2.DESCRIPTOR.services_by_name["LiveService"]


CHANGES = "/api/changes"
EXPORT = "/api/sessions/{session_id}/export"
IMPORT = "/api/import"
SESSION_EVENTS = "/api/sessions/{session_id}/events"
USER_EVENTS = "/api/users/{user_id}/events"
WEBSOCKET = "/api/ws/{session_id}"

FAREWELL_SECONDS = 1.0
"""How long open streams may take to end where nobody said how long a drain may take."""


def new_id() -> str:
    """Return 128 random bits, as a request id or an operation id."""
    return secrets.token_hex(16)


@dataclass(frozen=True, slots=True)
class Upstream:
    """What is behind: the replicas of each service by its full name, and where streams go."""

    replicas: Mapping[str, Replicas]
    stores: Sequence[grpc.aio.Channel]
    lives: Lives


def application(
    settings: GatewaySettings,
    upstream: Upstream,
    authenticator: Authenticator,
    streams: OpenStreams,
    running: Running,
) -> Front:
    """Return the application; `streams` will hold what is open in it."""
    routes: RouteTable[Endpoint] = RouteTable()
    found = operations([STORE, LIVE])
    for operation in found:
        routes.add(
            operation.verb,
            operation.template,
            RestOperation(
                operation,
                _rpc(upstream.replicas, operation),
                authenticator,
                body_bytes=settings.max_body_bytes,
                body_seconds=settings.body_seconds,
                new_id=new_id,
            ),
        )
    origins = Origins(settings.cors_origins)
    routes.add(
        "GET",
        SESSION_EVENTS,
        SessionEvents(
            upstream.lives,
            authenticator,
            streams,
            upstream_seconds=settings.upstream_seconds,
            keep_alive_seconds=settings.keep_alive_seconds,
        ),
    )
    routes.add(
        "GET",
        USER_EVENTS,
        UserEvents(
            upstream.stores,
            authenticator,
            streams,
            upstream_seconds=settings.upstream_seconds,
            keep_alive_seconds=settings.keep_alive_seconds,
        ),
    )
    routes.add(
        "GET",
        CHANGES,
        ChangesFeed(
            upstream.stores,
            authenticator,
            streams,
            upstream_seconds=settings.upstream_seconds,
            keep_alive_seconds=settings.keep_alive_seconds,
        ),
    )
    routes.add(
        "GET",
        EXPORT,
        Exports(
            upstream.stores,
            authenticator,
            upstream_seconds=settings.upstream_seconds,
            pdf_messages=settings.pdf_messages,
        ),
    )
    routes.add(
        "POST",
        IMPORT,
        Imports(
            upstream.stores,
            authenticator,
            body_bytes=settings.import_bytes,
            body_seconds=settings.body_seconds,
        ),
    )
    sockets: RouteTable[SocketEndpoint] = RouteTable()
    sockets.add(
        "GET",
        WEBSOCKET,
        LiveSockets(
            upstream.lives,
            authenticator,
            origins,
            streams,
            Terms(
                hello_seconds=settings.hello_seconds,
                upstream_seconds=settings.upstream_seconds,
                frame_bytes=settings.frame_bytes,
            ),
        ),
    )
    routes.add("GET", WEBSOCKET, not_a_handshake)
    for route in monitoring_routes(running.registry, running.health):
        routes.add("GET", route.path, _page(route.endpoint))
    routes.add("GET", "/openapi.json", _page(openapi(document(found))))
    for path, asset in dashboard(settings.sign_in_url):
        routes.add("GET", path, asset)
    return Front(routes, sockets, origins, HttpFigures(running.registry), new_id=new_id)


@asynccontextmanager
async def serving(settings: GatewaySettings, running: Running) -> AsyncIterator[HostPort]:
    """Serve while the block runs; yields the address, with its real port."""
    async with AsyncExitStack() as stack:

        async def channels(addresses: tuple[HostPort, ...]) -> list[grpc.aio.Channel]:
            opened = [open_channel(address, settings) for address in addresses]
            return [await stack.enter_async_context(channel) for channel in opened]

        stores = await channels(settings.store_addresses)
        lives = await channels(settings.live_addresses)
        instances = await stack.enter_async_context(
            Instances(
                settings.store_addresses,
                lambda address: open_channel(address, settings),
                PartIdentity(settings.identity_token_file),
            )
        )
        ways = Lives(lives, instances)
        authenticator = await stack.enter_async_context(authenticating(settings))
        upstream = Upstream(
            {
                STORE.full_name: Replicas(stores, seconds=settings.upstream_seconds),
                LIVE.full_name: Replicas(
                    lives,
                    seconds=settings.upstream_seconds,
                    nearest=lambda request: ways.nearest(request.session_id),
                ),
            },
            stores,
            ways,
        )
        streams = OpenStreams(running.registry)
        app = application(settings, upstream, authenticator, streams, running)
        looking = asyncio.create_task(Readiness([stores, lives], running.health).keep())
        try:
            async with serving_http(
                app,
                settings.listen,
                running.health,
                tls=server_tls(settings),
                protocol=BoundedHttp,
                websockets=WebSockets(
                    BoundedWebSocket,
                    frame_bytes=settings.frame_bytes,
                    ping_seconds=settings.ping_seconds,
                    pong_seconds=settings.pong_seconds,
                ),
            ) as address:
                try:
                    yield address
                finally:
                    # Those who stay to the end are cut off with the server.
                    await streams.drain(running.health.seconds_left() or FAREWELL_SECONDS)
        finally:
            looking.cancel()
            with suppress(asyncio.CancelledError):
                await looking


@asynccontextmanager
async def gateway(settings: GatewaySettings, running: Running) -> AsyncIterator[Drain]:
    """Be the gateway as a part: its requests end by themselves, and its streams are told to."""
    async with serving(settings, running):
        yield nothing_to_drain


def _rpc(replicas: Mapping[str, Replicas], operation: Operation) -> Call:
    rpc = operation.rpc
    service = rpc.containing_service
    return replicas[service.full_name].rpc(
        f"/{service.full_name}/{rpc.name}", operation.response_class, changes=not operation.reads
    )


def _page(page: Callable[[Request], Awaitable[Response]]) -> Endpoint:
    async def endpoint(exchange: Exchange) -> Response:
        return await page(exchange.request)

    return endpoint
