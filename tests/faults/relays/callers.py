"""Who dials: the kernel knows which process holds the other end of a connection on this machine."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

OUTSIDE = "client"
"""Whoever dials and is none of the parts: the load of a round."""


class Callers:
    """Names callers by the port that they dial from."""

    def __init__(
        self, parts: Callable[[], Mapping[str, int]], *, proc: Path = Path("/proc")
    ) -> None:
        """Take what gives the process id of each part that runs, by its name."""
        self._parts = parts
        self._proc = proc

    def name(self, port: int) -> str:
        """Return the part that dials from this port; `OUTSIDE` where none of them does.

        It reads a few hundred links, within milliseconds: once for each connection.
        """
        socket = self._socket(port)
        if socket is not None:
            for name, pid in self._parts().items():
                if self._holds(pid, socket):
                    return name
        return OUTSIDE

    def _socket(self, port: int) -> str | None:
        """Return how the kernel calls the socket that is bound to this port of 127.0.0.1."""
        local = f"0100007F:{port:04X}"
        # gRPC dials IPv4 addresses from sockets of IPv6, too.
        for table, address in (("tcp", local), ("tcp6", f"0000000000000000FFFF0000{local}")):
            with suppress(FileNotFoundError):
                for line in (self._proc / "net" / table).read_text().splitlines()[1:]:
                    columns = line.split()
                    if columns[1] == address and columns[9] != "0":
                        return f"socket:[{columns[9]}]"
        return None

    def _holds(self, pid: int, socket: str) -> bool:
        folder = self._proc / str(pid) / "fd"
        # It may have ended, or closed some of them, a moment ago.
        with suppress(OSError):
            for descriptor in os.listdir(folder):  # noqa: PTH208 - hundreds of them, names alone
                with suppress(OSError):
                    if os.readlink(folder / descriptor) == socket:  # noqa: PTH115
                        return True
        return False
