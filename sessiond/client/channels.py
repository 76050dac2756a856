"""Channels to Live and Store: one for each address, with the options that a client needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

import grpc

MIB = 1024 * 1024

# A dead peer is noticed within 10 + 4 s without traffic, and within 4 s of a ping that it owes.
# `keepalive_timeout` alone does not bound that: the transport's own ping timeout is a minute.
# Servers send away who pings more often than every 10 s.
_KEEPALIVE_MS = 10_000
_PING_TIMEOUT_MS = 4_000

OPTIONS: tuple[tuple[str, int], ...] = (
    # A retry inside gRPC would hide that the outcome of a change is unknown.
    ("grpc.enable_retries", 0),
    # Also honoured for loopback addresses.
    ("grpc.enable_http_proxy", 0),
    # No TXT look-up per name: nobody configures our channels over DNS.
    ("grpc.service_config_disable_resolution", 1),
    ("grpc.keepalive_time_ms", _KEEPALIVE_MS),
    ("grpc.keepalive_timeout_ms", _PING_TIMEOUT_MS),
    ("grpc.http2.ping_timeout_ms", _PING_TIMEOUT_MS),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    # History is read in pages; a session's outputs are not, and may be 32 MiB.
    ("grpc.max_receive_message_length", 40 * MIB),
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    # Named a minimum between attempts, it is how long one attempt may take, handshake included.
    ("grpc.min_reconnect_backoff_ms", 2_000),
)


@dataclass(frozen=True, slots=True)
class Tls:
    """TLS, with PEM texts: `ca` signs servers (None: the system's), the others prove who we are."""

    ca: bytes | None = None
    certificate: bytes | None = None
    key: bytes | None = None

    def credentials(self) -> grpc.ChannelCredentials:
        """Return what gRPC takes."""
        return grpc.ssl_channel_credentials(self.ca, self.key, self.certificate)


def addresses_of(given: str | Sequence[str], name: str) -> tuple[str, ...]:
    """Return addresses as a tuple.

    Raises:
        ValueError: there is none.
    """
    addresses = (given,) if isinstance(given, str) else tuple(given)
    if not addresses or not all(addresses):
        raise ValueError(f"{name} must hold at least one address, as host:port")
    return addresses


def open_channel(address: str, tls: Tls | None) -> grpc.aio.Channel:
    """Return a channel that connects when it is used; it is an async context manager."""
    if tls is None:
        return grpc.aio.insecure_channel(address, options=OPTIONS)
    return grpc.aio.secure_channel(address, tls.credentials(), options=OPTIONS)


def open_synchronous_channel(address: str, tls: Tls | None) -> grpc.Channel:
    """Return a channel for synchronous calls; it is a context manager."""
    if tls is None:
        return grpc.insecure_channel(address, options=OPTIONS)
    return grpc.secure_channel(address, tls.credentials(), options=OPTIONS)


def metadata_of(token: str, acting_for: str | None) -> tuple[tuple[str, str], ...]:
    """Return what each call carries: who calls, and the user that a service acts for."""
    bearer = ("authorization", f"Bearer {token}")
    if acting_for is None:
        return (bearer,)
    return (bearer, ("sessiond-user", quote(acting_for, safe="")))
