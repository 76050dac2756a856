"""TCP ports on this machine: is one free, and which are."""

from __future__ import annotations

import errno
import random
import socket
from collections.abc import Iterator

HOST = "127.0.0.1"


def is_free(port: int) -> bool:
    """Return whether a server could listen on this port of 127.0.0.1 now."""
    with socket.socket() as probe:
        # As servers do: connections of the last run that linger in TIME_WAIT do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as failure:
            if failure.errno == errno.EADDRINUSE:
                return False
            raise
    return True


def free_ports(chance: random.Random) -> Iterator[int]:
    """Give ports that are free now, each once, without end.

    They lie below the range from which Linux takes the ports of outgoing connections, so that
    nothing but another server can take one between this call and its use.
    """
    candidates = list(range(12_000, 32_000))
    chance.shuffle(candidates)
    for port in candidates:
        if is_free(port):
            yield port
    raise RuntimeError("no free port between 12000 and 32000")
