"""Runs a client as a process: told one thing at its start, heard a line at a time."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import orjson

from cluster.processes import CHECKOUT, TETHER

_LINE_BYTES = 16 * 1024 * 1024


class Client:
    """A running client."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.pid = process.pid

    async def hear(self) -> dict[str, Any]:
        """Return the next thing that it says.

        Raises:
            RuntimeError: it ended.
        """
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"a client ended with {await self._process.wait()}")
        said: dict[str, Any] = orjson.loads(line)
        return said


@asynccontextmanager
async def client(module: str, told: Mapping[str, Any]) -> AsyncIterator[Client]:
    """Run a client while the block runs."""
    tether = [sys.executable, "-I", "-S", str(TETHER), str(os.getpid())]
    process = await asyncio.create_subprocess_exec(
        *tether,
        sys.executable,
        "-m",
        module,
        cwd=CHECKOUT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=_LINE_BYTES,
        start_new_session=True,
    )
    assert process.stdin is not None
    try:
        process.stdin.write(orjson.dumps(told) + b"\n")
        await process.stdin.drain()
        yield Client(process)
    finally:
        process.kill()
        await process.wait()
