"""Connections that would stay for ever, without the bounds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from gateway.connections import BoundedHttp
from services.serving.addresses import HostPort
from services.serving.health import Health
from services.serving.web import serving_http
from tests.gateway.raw import read_answer


class Hasty(BoundedHttp):
    """The same bounds, sooner."""

    head_seconds = 0.1
    linger_seconds = 0.1


async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer without reading the body."""
    await PlainTextResponse("no", 403)(scope, receive, send)


@pytest_asyncio.fixture
async def hasty() -> AsyncIterator[HostPort]:
    async with serving_http(refuse, HostPort("127.0.0.1", 0), Health(), protocol=Hasty) as address:
        yield address


@pytest.mark.parametrize("sent", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: x\r\n", b"\r\n"])
async def test_a_head_that_does_not_come_ends_its_connection(hasty: HostPort, sent: bytes) -> None:
    """A client that says nothing, or half of it, is not waited for."""
    async with asyncio.timeout(10):
        reader, writer = await asyncio.open_connection(hasty.host, hasty.port)
        writer.write(sent)
        assert await reader.read() == b""
        writer.close()


async def test_a_refused_body_that_does_not_end_is_not_waited_for(hasty: HostPort) -> None:
    """The answer is out at once, and the connection ends soon after."""
    async with asyncio.timeout(10):
        reader, writer = await asyncio.open_connection(hasty.host, hasty.port)
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nabc")
        assert (await read_answer(reader)).status == 403
        assert await reader.read() == b""
        writer.close()


async def test_a_refused_body_that_ends_leaves_its_connection_usable(hasty: HostPort) -> None:
    """Who finishes in time goes on with the next request."""
    async with asyncio.timeout(10):
        reader, writer = await asyncio.open_connection(hasty.host, hasty.port)
        for _ in range(2):
            writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n")
            assert (await read_answer(reader)).status == 403
            writer.write(b"abc")
        writer.close()
