"""The kernel knows who dials."""

from __future__ import annotations

import asyncio
import os
import socket

import pytest

from tests.faults.relays.callers import OUTSIDE, Callers


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
async def test_the_kernel_names_who_dials(family: socket.AddressFamily) -> None:
    """The process that holds the other end is named; one that is no part is a client."""
    accepted: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def accept(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted.set_result(writer.get_extra_info("peername")[1])
        writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    to = server.sockets[0].getsockname()[1]
    with socket.socket(family) as calling:
        host = "127.0.0.1" if family is socket.AF_INET else "::ffff:127.0.0.1"
        calling.connect((host, to))
        port = await accepted
        assert port == calling.getsockname()[1]
        assert Callers(lambda: {"init": 1, "ourselves": os.getpid()}).name(port, to) == "ourselves"
        assert Callers(lambda: {"init": 1}).name(port, to) == OUTSIDE
    assert Callers(lambda: {"ourselves": os.getpid()}).name(1, to) == OUTSIDE
    server.close()
