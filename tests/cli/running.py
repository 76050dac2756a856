"""The command as a process, before real parts."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple

from typer.testing import CliRunner

from sessiond.cli.command import app
from tests.e2e.system import System, plain_environ

PATIENCE = 30


class Done(NamedTuple):
    """What a command printed, and how it ended."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


class Command:
    """Runs `sessiond` as one user of a system."""

    def __init__(self, system: System, user: str) -> None:
        self.user = user
        self.environ: dict[str, str] = {
            **plain_environ(),
            "SESSIOND_LIVE": ",".join(system.cluster.addresses("live")),
            "SESSIOND_STORE": ",".join(system.cluster.addresses("store")),
            "SESSIOND_DATA_DIR": str(system.home),
            "SESSIOND_USER": user,
        }

    async def __call__(self, *arguments: str, typed: str = "", **environ: str) -> Done:
        """Run a command to its end."""
        return await run(arguments, {**self.environ, **environ}, typed)

    async def inside(self, *arguments: str) -> Done:
        """Run a command in this process: many of them take less time so."""
        invoked = await asyncio.to_thread(CliRunner().invoke, app, arguments, env=self.environ)
        return Done(invoked.exit_code, invoked.stdout, invoked.stderr)

    async def good(self, *arguments: str, typed: str = "", **environ: str) -> list[str]:
        """Run a command that must do what it is asked; return the lines that it prints."""
        done = await self(*arguments, typed=typed, **environ)
        assert (done.code, done.err) == (0, "")
        return done.lines

    @asynccontextmanager
    async def under_way(self, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
        """Run a command while the block runs; it is killed in the end if it has not ended."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "sessiond", *arguments),
            env=self.environ,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()


async def run(arguments: Sequence[str], environ: Mapping[str, str], typed: str = "") -> Done:
    """Run `sessiond` with nothing but these variables; it must end in time."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "sessiond", *arguments),
        env=environ,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(PATIENCE):
            out, err = await process.communicate(typed.encode())
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return Done(process.returncode, out.decode(), err.decode())


async def line_with(process: asyncio.subprocess.Process, text: str) -> str:
    """Return the next line of a process that holds this text."""
    assert process.stdout is not None
    async with asyncio.timeout(PATIENCE):
        while line := await process.stdout.readline():
            if text in line.decode():
                return line.decode().rstrip("\n")
    raise AssertionError(f"it ended without a line with {text!r}")


async def interrupted(process: asyncio.subprocess.Process) -> tuple[int, str]:
    """Do what Ctrl-C does; return the exit code, and what was said on stderr."""
    os.kill(process.pid, signal.SIGINT)
    async with asyncio.timeout(PATIENCE):
        _, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, err.decode()
