"""A gRPC server as our parts run it."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

import grpc
import structlog
from grpc_health.v1 import health_pb2_grpc

from services.serving.addresses import HostPort
from services.serving.certificates import server_credentials
from services.serving.channels import ANSWER_BYTES, KEEPALIVE_MS, MIB, PING_TIMEOUT_MS, Options
from services.serving.health import Health, HealthService
from services.serving.interceptors import CallInterceptor
from services.serving.settings import Settings
from services.serving.sockets import StartFailed, check_free

REQUEST_BYTES = 4 * MIB
"""What a server reads in one message, unless it is told otherwise."""


_CUT_SECONDS = 1.0

_log = structlog.get_logger(__name__)


def server_options(request_bytes: int = REQUEST_BYTES) -> Options:
    """Return the options of a server that reads messages up to this size."""
    return (
        # Two servers on one port would both start, and each get half of the calls.
        ("grpc.so_reuseport", 0),
        ("grpc.max_receive_message_length", request_bytes),
        ("grpc.max_send_message_length", ANSWER_BYTES),
        # Callers may ping every 10 s, also without a call; half of that allows for late pings.
        ("grpc.http2.min_ping_interval_without_data_ms", KEEPALIVE_MS // 2),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.keepalive_time_ms", KEEPALIVE_MS),
        ("grpc.keepalive_timeout_ms", PING_TIMEOUT_MS),
        ("grpc.http2.ping_timeout_ms", PING_TIMEOUT_MS),
        ("grpc.http2.max_pings_without_data", 0),
    )


class GrpcServer:
    """A gRPC server with the health service; servicers are added to `grpc` before it is entered.

    Entering binds the port and starts. Leaving refuses new calls and waits for those under way:
    as long as the drain has left when the part drains, and not at all otherwise. Streams that
    have no end of their own must be ended by the part's drain before that.
    """

    def __init__(
        self,
        settings: Settings,
        health: Health,
        interceptor: CallInterceptor,
        *,
        request_bytes: int = REQUEST_BYTES,
    ) -> None:
        self.settings = settings
        self._health = health
        self._interceptor = interceptor
        self.grpc = grpc.aio.server(
            interceptors=(interceptor,), options=server_options(request_bytes)
        )
        health_pb2_grpc.add_HealthServicer_to_server(HealthService(health), self.grpc)
        self.address = settings.listen
        """Where the server listens; once it was entered, with the port that port 0 became."""

    async def __aenter__(self) -> Self:
        """Bind and start.

        Raises:
            StartFailed: the address cannot be listened on.
        """
        settings, wanted = self.settings, self.settings.listen
        check_free(wanted)
        credentials = server_credentials(
            settings.tls_cert, settings.tls_key, settings.tls_client_ca
        )
        try:
            if credentials is None:
                port = self.grpc.add_insecure_port(str(wanted))
            else:
                port = self.grpc.add_secure_port(str(wanted), credentials)
        except RuntimeError:
            raise StartFailed(f"cannot listen on {wanted}") from None
        await self.grpc.start()
        self.address = HostPort(wanted.host, port)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop; returns when no call is left. Cancelled, it cuts the calls and waits no longer."""
        try:
            await self.grpc.stop(self._health.seconds_left())
        except asyncio.CancelledError:
            await self.grpc.stop(None)
            raise
        finally:
            await self._handlers_ended()

    async def _handlers_ended(self) -> None:
        # gRPC is done with a call once it has cut it; the handler hears of that a moment later,
        # and must not find closed what it works with.
        try:
            async with asyncio.timeout(_CUT_SECONDS):
                await self._interceptor.emptied()
        except TimeoutError:
            _log.warning("handlers did not end when they were cut")
