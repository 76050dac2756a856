"""One HTTP/1.1 connection, as lean as HTTP allows, so that the gateway is measured and not us."""

from __future__ import annotations

import asyncio


class UnexpectedAnswer(Exception):
    """The gateway answered something else than the bench counts on."""


class RestConnection:
    """Sends one request at a time and reads each answer to its last byte, without parsing it."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, authorization: str
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._common = f"Host: bench\r\nAuthorization: {authorization}\r\n"

    @classmethod
    async def open(cls, address: str, authorization: str) -> RestConnection:
        host, _, port = address.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port), limit=1024 * 1024)
        return cls(reader, writer, authorization)

    def close(self) -> None:
        self._writer.close()

    async def get(self, path: str) -> bytes:
        """Return the body of a 200."""
        self._writer.write(f"GET {path} HTTP/1.1\r\n{self._common}\r\n".encode())
        return await self._answer(200)

    async def post(self, path: str, body: bytes, *, key: str) -> bytes:
        """Return the body of a 201; `key` is the Idempotency-Key."""
        head = (
            f"POST {path} HTTP/1.1\r\n{self._common}Idempotency-Key: {key}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        self._writer.write(head.encode() + body)
        return await self._answer(201)

    async def _answer(self, expected: int) -> bytes:
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        _, _, rest = head.partition(b"content-length:")
        body = await self._reader.readexactly(int(rest.partition(b"\r\n")[0]))
        if int(head.split(b" ", 2)[1]) != expected:
            raise UnexpectedAnswer(f"{head.decode()}{body.decode()}")
        return body
