"""Who dials: the kernel knows which process holds the other end of a connection on this machine.

The kernel is asked for that one connection (sock_diag(7)). To read its table of all of them takes
milliseconds, and a busy relay that stands still for so long is a fault that nobody planned.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Callable, Mapping
from contextlib import suppress

OUTSIDE = "client"
"""Whoever dials and is none of the parts: the load of a round."""

_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_NLM_F_REQUEST = 1
_HEADER = struct.Struct("=IHHII")
_REQUEST = struct.Struct("=BBBBI")
_PORTS = struct.Struct(">HH")
_INODE_AT = _HEADER.size + 68
_INODE = struct.Struct("=I")
_ANY = 0xFFFFFFFF
_HOST = socket.inet_aton("127.0.0.1") + bytes(12)


class Callers:
    """Names callers by the ports of their connections to 127.0.0.1."""

    def __init__(self, parts: Callable[[], Mapping[str, int]]) -> None:
        """Take what gives the process id of each part that runs, by its name."""
        self._parts = parts

    def name(self, port: int, to: int) -> str:
        """Return the part that dials from a port to another; `OUTSIDE` where none of them does."""
        inode = _inode(port, to)
        if inode:
            for name, pid in self._parts().items():
                if _holds(pid, f"socket:[{inode}]"):
                    return name
        return OUTSIDE


def _inode(port: int, to: int) -> int:
    """Return how the kernel calls the socket at the calling end of a connection; 0 for none.

    gRPC dials IPv4 addresses from sockets of IPv6, too; these are found in the same way.
    """
    wanted = (
        _REQUEST.pack(socket.AF_INET, socket.IPPROTO_TCP, 0, 0, _ANY)
        + _PORTS.pack(port, to)
        + _HOST
        + _HOST
        + struct.pack("=III", 0, _ANY, _ANY)
    )
    header = _HEADER.pack(_HEADER.size + len(wanted), _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST, 1, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG) as kernel:
        kernel.send(header + wanted)
        answer = kernel.recv(4096)
    if _HEADER.unpack_from(answer)[1] != _SOCK_DIAG_BY_FAMILY:
        return 0
    return int(_INODE.unpack_from(answer, _INODE_AT)[0])


def _holds(pid: int, target: str) -> bool:
    folder = f"/proc/{pid}/fd"
    # It may have ended, or closed some of them, a moment ago.
    with suppress(OSError):
        # Hundreds of them, of which the newest is the likeliest.
        for descriptor in sorted(os.listdir(folder), key=int, reverse=True):  # noqa: PTH208
            with suppress(OSError):
                if os.readlink(f"{folder}/{descriptor}") == target:  # noqa: PTH115
                    return True
    return False
