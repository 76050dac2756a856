"""TLS by files: what a part shows, and whom it believes."""

from __future__ import annotations

import ssl
from pathlib import Path

import grpc


def is_pair(certificate: Path, key: Path) -> bool:
    """Return whether the two PEM files are a certificate and its unencrypted key."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        # An encrypted key would make OpenSSL ask at the terminal.
        context.load_cert_chain(certificate, key, password=lambda: b"")
    except (OSError, ValueError):
        return False
    return True


def is_authority(path: Path) -> bool:
    """Return whether the file holds at least one PEM certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(path)
    except (OSError, ValueError):
        return False
    return True


def server_credentials(
    certificate: Path | None, key: Path | None, client_ca: Path | None
) -> grpc.ServerCredentials | None:
    """Return what a gRPC server shows; None without a certificate: the server speaks plainly.

    With a client authority, callers without a certificate of it are refused in the handshake.
    """
    if certificate is None or key is None:
        return None
    return grpc.ssl_server_credentials(
        [(key.read_bytes(), certificate.read_bytes())],
        root_certificates=client_ca.read_bytes() if client_ca else None,
        require_client_auth=client_ca is not None,
    )


def channel_credentials(
    authority: Path | None, certificate: Path | None, key: Path | None
) -> grpc.ChannelCredentials | None:
    """Return what a gRPC channel shows and believes; None without an authority: plain text."""
    if authority is None:
        return None
    return grpc.ssl_channel_credentials(
        root_certificates=authority.read_bytes(),
        private_key=key.read_bytes() if key else None,
        certificate_chain=certificate.read_bytes() if certificate else None,
    )
