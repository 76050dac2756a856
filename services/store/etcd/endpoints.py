"""The members of one etcd cluster: a channel each, and the one in use.

A list of hosts cannot be one gRPC target, so failover is ours: calls go to the endpoint in use
until it fails one, then to the next in order, around. Nothing moves back by itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias, TypeVar

import grpc
from grpc import aio

from services.store.etcd import errors, etcd_pb2_grpc

Request = TypeVar("Request")
Response = TypeVar("Response")
Method: TypeAlias = "Callable[[Endpoint], aio.UnaryUnaryMultiCallable[Request, Response]]"

# In bytes; a batch of reads or of watch events may be far over gRPC's 4 MiB.
ANSWER_LIMIT: Final = 64 * 2**20

_OPTIONS: Final = (
    # A retried write could be applied twice.
    ("grpc.enable_retries", 0),
    ("grpc.enable_http_proxy", 0),
    ("grpc.max_receive_message_length", ANSWER_LIMIT),
    # A peer that vanishes without a word is found within 15 s. etcd refuses pings more often
    # than every 5 s, and pings while nothing is in flight.
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.http2.ping_timeout_ms", 5_000),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.keepalive_permit_without_calls", 0),
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    # Despite its name also the time that one attempt to connect gets.
    ("grpc.min_reconnect_backoff_ms", 2_000),
)


@dataclass(frozen=True, slots=True)
class Tls:
    """What a client needs to trust etcd, and to be trusted by it; all in PEM.

    Attributes:
        ca: certificates that may sign etcd's.
        certificate: the client's own chain, where etcd asks for one.
        key: its private key.
    """

    ca: bytes
    certificate: bytes | None = None
    key: bytes | None = None


class Endpoint:
    """One member: its address, its channel, and the stubs on it."""

    __slots__ = ("address", "channel", "kv", "lease", "maintenance", "watch")

    def __init__(self, address: str, tls: Tls | None) -> None:
        self.address = address
        if tls is None:
            self.channel = aio.insecure_channel(address, options=_OPTIONS)
        else:
            credentials = grpc.ssl_channel_credentials(tls.ca, tls.key, tls.certificate)
            self.channel = aio.secure_channel(address, credentials, options=_OPTIONS)
        self.kv = etcd_pb2_grpc.KVStub(self.channel)
        self.lease = etcd_pb2_grpc.LeaseStub(self.channel)
        self.watch = etcd_pb2_grpc.WatchStub(self.channel)
        self.maintenance = etcd_pb2_grpc.MaintenanceStub(self.channel)


class Endpoints:
    """The members in order of preference.

    Attributes:
        all: every member, in the order given.
        current: the one in use.
    """

    __slots__ = ("all", "current")

    def __init__(self, addresses: Sequence[str], tls: Tls | None) -> None:
        if not addresses:
            raise ValueError("etcd needs at least one endpoint")
        self.all = tuple(Endpoint(address, tls) for address in addresses)
        self.current = self.all[0]

    def named(self, address: str) -> Endpoint:
        """Return the member at this address.

        Raises:
            ValueError: there is none.
        """
        for endpoint in self.all:
            if endpoint.address == address:
                return endpoint
        raise ValueError(f"{address} is not an endpoint of this client")

    def leave(self, endpoint: Endpoint) -> None:
        """Use the next member, unless another call has left this one already."""
        if endpoint is self.current:
            self.current = self.all[(self.all.index(endpoint) + 1) % len(self.all)]

    async def read(
        self, method: Method[Request, Response], request: Request, seconds: float
    ) -> Response:
        """Ask each member once, beginning with the one in use, until one answers."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        left = len(self.all)
        while True:
            endpoint = self.current
            # A member that hangs may use up only its share of the time.
            share = (deadline - loop.time()) / left
            try:
                return await method(endpoint)(request, timeout=share)
            except aio.AioRpcError as error:
                left -= 1
                if not errors.endpoint_failed(error):
                    raise errors.of_read(error) from error
                self.leave(endpoint)
                if left == 0:
                    raise errors.of_read(error) from error

    async def write(
        self, method: Method[Request, Response], request: Request, seconds: float
    ) -> Response:
        """Ask the member in use, once."""
        endpoint = self.current
        try:
            return await method(endpoint)(request, timeout=seconds)
        except aio.AioRpcError as error:
            raise self.write_failure(endpoint, error) from error

    def write_failure(self, endpoint: Endpoint, error: aio.AioRpcError) -> errors.EtcdError:
        """Return what became of a write; the next one goes elsewhere if the member failed."""
        if errors.endpoint_failed(error):
            self.leave(endpoint)
        return errors.of_write(error)

    async def close(self) -> None:
        """Cancel every call and close every channel."""
        for endpoint in self.all:
            await endpoint.channel.close()
