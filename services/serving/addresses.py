"""Where a part listens and where others are reached: `host:port`."""

from __future__ import annotations

import re
from typing import NamedTuple

_BRACKETED = re.compile(r"\[([0-9A-Fa-f:.]+(?:%[A-Za-z0-9._~-]+)?)\]:([0-9]{1,5})")
_PLAIN = re.compile(r"([A-Za-z0-9._-]+):([0-9]{1,5})")


class HostPort(NamedTuple):
    """A host name or IP address, and a port; `str()` gives the form that gRPC and URLs read.

    Port 0 means "any free port" where a part listens.
    """

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> HostPort:
        """Read `host:port`; an IPv6 address stands in brackets, `[::1]:7201`.

        Raises:
            ValueError: the text is not of that form, or the port is above 65535.
        """
        match = _BRACKETED.fullmatch(text) or _PLAIN.fullmatch(text)
        if match is None or int(match[2]) > 65535:
            raise ValueError("expected host:port, with an IPv6 address in brackets")
        return cls(match[1], int(match[2]))

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"
