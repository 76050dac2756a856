"""Channels to our own parts, and the gRPC options that both ends must agree on.

A name with several addresses is not one channel: who needs failover opens a channel per address
and keeps the order itself.
"""

from __future__ import annotations

import grpc

from services.serving.addresses import HostPort
from services.serving.certificates import channel_credentials
from services.serving.settings import ProcessSettings

MIB = 1024 * 1024

ANSWER_BYTES = 40 * MIB
"""What our parts send and receive: a session of 32 MiB, and its frame."""

# A dead peer is noticed within 10 + 4 s without traffic, and within 4 s of a ping that it owes.
# `keepalive_timeout` alone does not bound that: the transport's own ping timeout is a minute.
KEEPALIVE_MS = 10_000
PING_TIMEOUT_MS = 4_000

Options = tuple[tuple[str, int], ...]

CHANNEL_OPTIONS: Options = (
    # A retry inside gRPC would hide that the outcome of a change is unknown.
    ("grpc.enable_retries", 0),
    # Also honoured for loopback addresses.
    ("grpc.enable_http_proxy", 0),
    # No TXT look-up per name: nobody configures our channels over DNS.
    ("grpc.service_config_disable_resolution", 1),
    ("grpc.keepalive_time_ms", KEEPALIVE_MS),
    ("grpc.keepalive_timeout_ms", PING_TIMEOUT_MS),
    ("grpc.http2.ping_timeout_ms", PING_TIMEOUT_MS),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.max_receive_message_length", ANSWER_BYTES),
    ("grpc.max_send_message_length", ANSWER_BYTES),
    # Connections of its own: a fresh channel dials at once, whatever another one waits for.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    # Named a minimum between attempts, it is how long one attempt may take, handshake included.
    ("grpc.min_reconnect_backoff_ms", 2_000),
)


def open_channel(address: HostPort, settings: ProcessSettings) -> grpc.aio.Channel:
    """Return a channel to one of our own parts; it is an async context manager.

    It speaks TLS when the settings name an authority for peers. Connecting goes on by itself; a
    call while there is no connection fails at once, unless it says `wait_for_ready`.
    """
    credentials = channel_credentials(settings.peer_ca, settings.peer_cert, settings.peer_key)
    if credentials is None:
        return grpc.aio.insecure_channel(str(address), options=CHANNEL_OPTIONS)
    return grpc.aio.secure_channel(str(address), credentials, options=CHANNEL_OPTIONS)
