"""The members of one etcd cluster: a channel each, and the one in use.

A list of hosts cannot be one gRPC target, so failover is ours: calls go to the endpoint in use
until it fails one, then to the next in order, around. Nothing moves back by itself.

Where etcd asks for a user, every call carries the token of a login (`services.store.etcd.login`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias, TypeVar

import grpc
from grpc import aio

from services.store.etcd import errors, etcd_pb2_grpc
from services.store.etcd.etcd_pb2 import (
    AuthenticateRequest,
    AuthenticateResponse,
    LeaseKeepAliveRequest,
    LeaseKeepAliveResponse,
    TxnResponse,
)
from services.store.etcd.login import Credentials, Login, Metadata
from services.store.etcd.transactions import TXN, Transaction

Request = TypeVar("Request")
Response = TypeVar("Response")
Asked_contra = TypeVar("Asked_contra", contravariant=True)
Answered_co = TypeVar("Answered_co", covariant=True)


class Calling(Protocol[Asked_contra, Answered_co]):
    """One request and its answer, at one member."""

    def __call__(
        self, request: Asked_contra, /, *, timeout: float, metadata: Metadata
    ) -> Awaitable[Answered_co]:
        """Call."""


Method: TypeAlias = "Callable[[Endpoint], Calling[Request, Response]]"

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
    """One member: its address, its channel, and the stubs on it; `txn` takes encoded requests."""

    __slots__ = ("address", "auth", "channel", "kv", "lease", "maintenance", "txn", "watch")

    def __init__(self, address: str, tls: Tls | None) -> None:
        self.address = address
        if tls is None:
            self.channel = aio.insecure_channel(address, options=_OPTIONS)
        else:
            credentials = grpc.ssl_channel_credentials(tls.ca, tls.key, tls.certificate)
            self.channel = aio.secure_channel(address, credentials, options=_OPTIONS)
        self.kv = etcd_pb2_grpc.KVStub(self.channel)
        self.txn: Calling[Transaction, TxnResponse] = self.channel.unary_unary(
            TXN, response_deserializer=TxnResponse.FromString
        )
        self.lease = etcd_pb2_grpc.LeaseStub(self.channel)
        self.watch = etcd_pb2_grpc.WatchStub(self.channel)
        self.maintenance = etcd_pb2_grpc.MaintenanceStub(self.channel)
        self.auth = etcd_pb2_grpc.AuthStub(self.channel)

    async def keep_alive(
        self,
        request: LeaseKeepAliveRequest,
        /,
        *,
        timeout: float,  # noqa: ASYNC109 - the name that gRPC gives it in its own calls
        metadata: Metadata,
    ) -> LeaseKeepAliveResponse:
        """Prolong a lease, on a stream of its own: it holds nothing when the call is over."""
        call = self.lease.LeaseKeepAlive(timeout=timeout, metadata=metadata)
        try:
            await call.write(request)
            await call.done_writing()
            answer = await call.read()
        finally:
            call.cancel()
        if isinstance(answer, LeaseKeepAliveResponse):
            return answer
        raise errors.Ambiguous("the keepalive stream ended without an answer")


class Endpoints:
    """The members in order of preference.

    Attributes:
        all: every member, in the order given.
        current: the one in use.
        login: gives the tokens, where etcd is to ask for them.
    """

    __slots__ = ("all", "current", "login")

    def __init__(
        self, addresses: Sequence[str], tls: Tls | None, credentials: Credentials | None
    ) -> None:
        if not addresses:
            raise ValueError("etcd needs at least one endpoint")
        self.all = tuple(Endpoint(address, tls) for address in addresses)
        self.current = self.all[0]
        self.login = Login(credentials, self._authenticate) if credentials else None

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

    async def ask(
        self,
        endpoint: Endpoint,
        method: Method[Request, Response],
        request: Request,
        seconds: float,
    ) -> Response:
        """Ask one member, once; what it refuses for the token alone it has not done."""
        login, call = self.login, method(endpoint)
        if login is None:
            return await call(request, timeout=seconds, metadata=())
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        metadata = login.metadata
        if metadata is None:
            metadata = await login.fresh(None, seconds)
        try:
            return await call(request, timeout=deadline - loop.time(), metadata=metadata)
        except aio.AioRpcError as error:
            if not errors.token_refused(error):
                raise
        metadata = await login.fresh(metadata, deadline - loop.time())
        return await call(request, timeout=deadline - loop.time(), metadata=metadata)

    async def read(
        self, method: Method[Request, Response], request: Request, seconds: float
    ) -> Response:
        """Ask each member once, beginning with the one in use, until one answers."""
        return await self._around(
            lambda endpoint, share: self.ask(endpoint, method, request, share), seconds
        )

    async def write(
        self, method: Method[Request, Response], request: Request, seconds: float
    ) -> Response:
        """Ask the member in use, once."""
        endpoint = self.current
        try:
            return await self.ask(endpoint, method, request, seconds)
        except aio.AioRpcError as error:
            if errors.endpoint_failed(error):
                self.leave(endpoint)
            raise errors.of_write(error) from error

    async def close(self) -> None:
        """Cancel every call and close every channel."""
        if self.login is not None:
            await self.login.close()
        for endpoint in self.all:
            await endpoint.channel.close()

    async def _around(
        self, asking: Callable[[Endpoint, float], Awaitable[Response]], seconds: float
    ) -> Response:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        left = len(self.all)
        while True:
            endpoint = self.current
            # A member that hangs may use up only its share of the time.
            share = (deadline - loop.time()) / left
            try:
                return await asking(endpoint, share)
            except aio.AioRpcError as error:
                left -= 1
                if not errors.endpoint_failed(error):
                    raise errors.of_read(error) from error
                self.leave(endpoint)
                if left == 0:
                    raise errors.of_read(error) from error

    async def _authenticate(
        self, request: AuthenticateRequest, seconds: float
    ) -> AuthenticateResponse:
        return await self._around(
            lambda endpoint, share: endpoint.auth.Authenticate(request, timeout=share), seconds
        )
