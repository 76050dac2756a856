"""Taking a port, or saying plainly that it is not to be had."""

from __future__ import annotations

import errno
import socket

from services.serving.addresses import HostPort


class StartFailed(Exception):
    """A part cannot start; the text is one line for whoever started it."""


def refused(address: HostPort, error: OSError) -> StartFailed:
    """Return the failure of a part that cannot listen there."""
    if error.errno == errno.EADDRINUSE:
        return StartFailed(f"{address} is already in use by another process")
    if error.errno == errno.EACCES:
        return StartFailed(f"this user may not listen on {address}")
    return StartFailed(f"this machine has no address {address}")


def listen(address: HostPort) -> socket.socket:
    """Return a listening TCP socket that no other process shares.

    Raises:
        StartFailed: the address is in use, not allowed, or not one of this machine.
    """
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as error:
        raise refused(address, error) from None
    listening = socket.socket(family, kind, protocol)
    try:
        # A port that our predecessor left in TIME_WAIT is free; one that is listened on is not.
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(where)
        listening.listen(2048)
        listening.setblocking(False)
    except OSError as error:
        listening.close()
        raise refused(address, error) from None
    return listening


def check_free(address: HostPort) -> None:
    """Return if one could listen there now; gRPC tells only that it could not, and not why.

    Raises:
        StartFailed: as `listen`.
    """
    if address.port:
        listen(address).close()
