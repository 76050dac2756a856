"""The composition root: puts the gateway together, and opens it."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import grpc
from google.protobuf.descriptor import ServiceDescriptor
from prometheus_client import CollectorRegistry
from starlette.requests import Request
from starlette.responses import Response

from gateway.annotations import Operation, operations
from gateway.connections import BoundedHttp
from gateway.exchange import Endpoint, Exchange
from gateway.figures import HttpFigures
from gateway.front import Front
from gateway.openapi import document
from gateway.origins import Origins
from gateway.pages import home, openapi
from gateway.readiness import Readiness
from gateway.rest import RestOperation
from gateway.routes import RouteTable
from gateway.settings import GatewaySettings
from gateway.upstream import Call, Replicas
from services.serving.addresses import HostPort
from services.serving.auth import Authenticator, authenticating
from services.serving.channels import open_channel
from services.serving.health import Health
from services.serving.running import Drain, Running, nothing_to_drain
from services.serving.web import monitoring_routes, server_tls, serving_http
from sessiond.v1 import live_pb2, store_pb2

STORE: ServiceDescriptor = store_pb2.DESCRIPTOR.services_by_name["StoreService"]
LIVE: ServiceDescriptor = live_pb2.DESCRIPTOR.services_by_name["LiveService"]


def new_id() -> str:
    """Return 128 random bits, as a request id or an operation id."""
    return secrets.token_hex(16)


def application(
    settings: GatewaySettings,
    replicas: Mapping[str, Replicas],
    authenticator: Authenticator,
    health: Health,
    registry: CollectorRegistry,
) -> Front:
    """Return the application; `replicas` holds those of each service by its full name."""
    routes: RouteTable[Endpoint] = RouteTable()
    found = operations([STORE, LIVE])
    for operation in found:
        routes.add(
            operation.verb,
            operation.template,
            RestOperation(
                operation,
                _rpc(replicas, operation),
                authenticator,
                body_bytes=settings.max_body_bytes,
                body_seconds=settings.body_seconds,
                new_id=new_id,
            ),
        )
    for route in monitoring_routes(registry, health):
        routes.add("GET", route.path, _page(route.endpoint))
    routes.add("GET", "/openapi.json", _page(openapi(document(found))))
    routes.add("GET", "/", _page(home))
    return Front(routes, Origins(settings.cors_origins), HttpFigures(registry), new_id=new_id)


@asynccontextmanager
async def serving(settings: GatewaySettings, running: Running) -> AsyncIterator[HostPort]:
    """Serve while the block runs; yields the address, with its real port."""
    async with AsyncExitStack() as stack:

        async def channels(addresses: tuple[HostPort, ...]) -> list[grpc.aio.Channel]:
            opened = [open_channel(address, settings) for address in addresses]
            return [await stack.enter_async_context(channel) for channel in opened]

        stores = await channels(settings.store_addresses)
        lives = await channels(settings.live_addresses)
        authenticator = await stack.enter_async_context(authenticating(settings))
        app = application(
            settings,
            {
                STORE.full_name: Replicas(stores, seconds=settings.upstream_seconds),
                LIVE.full_name: Replicas(lives, seconds=settings.upstream_seconds),
            },
            authenticator,
            running.health,
            running.registry,
        )
        looking = asyncio.create_task(Readiness([stores, lives], running.health).keep())
        try:
            async with serving_http(
                app,
                settings.listen,
                running.health,
                tls=server_tls(settings),
                protocol=BoundedHttp,
            ) as address:
                yield address
        finally:
            looking.cancel()
            with suppress(asyncio.CancelledError):
                await looking


@asynccontextmanager
async def gateway(settings: GatewaySettings, running: Running) -> AsyncIterator[Drain]:
    """Be the gateway as a part: all its requests end by themselves."""
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
