"""HTTP by hand, for what no client library would send."""

from __future__ import annotations

import asyncio
import json
from typing import Any, NamedTuple

from services.serving.addresses import HostPort
from tests.gateway.conftest import token


class RawAnswer(NamedTuple):
    """An answer as it came; status 0 when the connection ended without one."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


async def exchange(
    address: HostPort,
    verb: str,
    path: str,
    body: bytes = b"",
    *,
    headers: dict[str, str] | None = None,
    close_after: bool = False,
) -> RawAnswer:
    """Send one request as it is, and return the answer, within 10 s.

    With `close_after` the client says after the body that nothing more will come.
    """
    given = {"Host": "test", "Authorization": f"Bearer {token()}"} | (headers or {})
    head = f"{verb} {path} HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in given.items())
    return await send(address, head.encode() + b"\r\n" + body, close_after=close_after)


async def send(address: HostPort, data: bytes, *, close_after: bool = False) -> RawAnswer:
    """Send bytes, and return the answer, within 10 s."""
    async with asyncio.timeout(10):
        reader, writer = await asyncio.open_connection(address.host, address.port)
        try:
            writer.write(data)
            if close_after:
                writer.write_eof()
            return await read_answer(reader)
        finally:
            writer.close()


async def read_answer(reader: asyncio.StreamReader) -> RawAnswer:
    """Return the next answer on a connection."""
    status_line = await reader.readline()
    if not status_line:
        return RawAnswer(0, {}, b"")
    headers = {}
    while (line := await reader.readline()) not in (b"\r\n", b""):
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.lower()] = value.strip()
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return RawAnswer(int(status_line.split()[1]), headers, body)
