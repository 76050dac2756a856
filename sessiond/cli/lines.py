"""Lines of a pipe, a file or a terminal, read without a thread that nobody can stop."""

from __future__ import annotations

import asyncio
import codecs
import os
from collections.abc import AsyncIterator

_BYTES = 64 * 1024


async def lines(descriptor: int) -> AsyncIterator[str]:
    """Yield each line without its end; the last one may have none. Bad UTF-8 becomes U+FFFD."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    rest = ""
    while True:
        await _readable(descriptor)
        data = os.read(descriptor, _BYTES)
        *whole, rest = (rest + decoder.decode(data, final=not data)).split("\n")
        for line in whole:
            yield line.removesuffix("\r")
        if not data:
            break
    if rest:
        yield rest


async def _readable(descriptor: int) -> None:
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()

    def tell() -> None:
        if not ready.done():
            ready.set_result(None)

    try:
        loop.add_reader(descriptor, tell)
    except PermissionError:
        return  # a file: it can always be read, and so cannot be waited for
    try:
        await ready
    finally:
        loop.remove_reader(descriptor)
