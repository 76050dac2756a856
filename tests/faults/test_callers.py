"""The kernel knows who dials."""

from __future__ import annotations

import asyncio
import os

from tests.faults.relays.callers import OUTSIDE, Callers


async def test_the_kernel_names_who_dials() -> None:
    """The process that holds the other end is named; one that is no part is a client."""
    accepted: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def accept(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted.set_result(writer.get_extra_info("peername")[1])
        writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    _, writer = await asyncio.open_connection(*server.sockets[0].getsockname()[:2])
    port = await accepted
    assert Callers(lambda: {"ourselves": os.getpid()}).name(port) == "ourselves"
    assert Callers(lambda: {"init": 1}).name(port) == OUTSIDE
    writer.close()
    server.close()
