"""`sessiond chat` on a terminal of our own."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import struct
import sys
import termios
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pyte
import pytest

from sessiond.cli.terminal import fitting
from tests.cli.running import PATIENCE, Command
from tests.e2e.system import System

# Ctrl-C reaches a program as a signal while it does not read keys: the terminal must be its own.
ON_A_TERMINAL = """\
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


class _Screen(pyte.Screen):
    """What a person sees; it answers the program as a terminal does."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(80, 24)
        self._descriptor = descriptor

    def write_process_input(self, data: str) -> None:
        os.write(self._descriptor, data.encode())


class Terminal:
    """A terminal of 80 by 24."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._screen = _Screen(descriptor)
        self._stream = pyte.ByteStream(self._screen)
        self._more = asyncio.Event()

    def type(self, text: str) -> None:
        os.write(self._descriptor, text.encode())

    def read(self) -> None:
        try:
            data = os.read(self._descriptor, 65536)
        except OSError:  # the other side is closed
            data = b""
        if not data:
            asyncio.get_running_loop().remove_reader(self._descriptor)
        self._stream.feed(data)
        self._more.set()

    @property
    def lines(self) -> list[str]:
        return [line.rstrip() for line in self._screen.display if line.strip()]

    async def shows(self, text: str) -> None:
        """Wait until this text is there."""
        try:
            async with asyncio.timeout(PATIENCE):
                while text not in "\n".join(self.lines):
                    self._more.clear()
                    await self._more.wait()
        except TimeoutError:
            raise AssertionError("\n".join(self.lines)) from None


@asynccontextmanager
async def chatting(
    command: Command, *words: str
) -> AsyncIterator[tuple[Terminal, asyncio.subprocess.Process]]:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", ON_A_TERMINAL, sys.executable, "-m", "sessiond", "chat", *words),
        env={**command.environ, "TERM": "xterm-256color"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    terminal = Terminal(ours)
    loop = asyncio.get_running_loop()
    loop.add_reader(ours, terminal.read)
    try:
        yield terminal, process
    finally:
        loop.remove_reader(ours)
        if process.returncode is None:
            process.kill()
        await process.wait()
        os.close(ours)


async def ended(process: asyncio.subprocess.Process) -> int:
    async with asyncio.timeout(PATIENCE):
        return await process.wait()


@pytest.mark.parametrize(
    ("used", "text", "width", "expected"),
    [
        (0, "fits well", 9, "fits well"),
        (0, "cut at spaces", 8, "cut at "),
        (4, "cut at spaces", 8, "cut "),
        (0, "unbreakable", 5, "unbre"),
        (0, "你好你好", 5, "你好"),
        (9, "narrow", 5, "n"),
    ],
)
def test_lines_are_broken_where_the_terminal_ends(
    used: int, text: str, width: int, expected: str
) -> None:
    """After a space where there is one; wide characters take two columns; always onwards."""
    assert text[: fitting(used, text, width)] == expected


async def test_a_person_talks_and_is_answered(sessiond: Command) -> None:
    """What is typed stands in the conversation once, the answer below it; Ctrl-C leaves."""
    me = sessiond.user
    async with chatting(sessiond) as (terminal, process):
        await terminal.shows(f"{me}>")
        terminal.type("Grüße, 你好, in a line that is rather long\r")
        await terminal.shows("rather long")
        await terminal.shows(
            "assistant: This is the assistant, and I have read it. I went by this:"
        )
        await terminal.shows("\n你好, in a line that is rather long")
        terminal.type("/nope\r")
        await terminal.shows("There is no /nope: /help lists what there is.")
        await terminal.shows(f"\n{me}>\n{me}")  # and below, who is here
        lines = terminal.lines
        assert lines[1] == f"{me}: Grüße, 你好, in a line that is rather long"
        assert lines[2].startswith("assistant: This is the assistant")
        assert lines[-2] == f"{me}>"
        assert sum(line.endswith("a line that is rather long") for line in lines) == 2
        terminal.type("half a li\x03")
        assert await ended(process) == 0


async def test_ctrl_d_leaves_too(sessiond: Command) -> None:
    """On an empty line, as in a shell."""
    async with chatting(sessiond, "--no-demo") as (terminal, process):
        await terminal.shows(f"{sessiond.user}>")
        terminal.type("\x04")
        assert await ended(process) == 0


async def test_who_is_here_and_types_is_seen_by_the_others(
    system: System, sessiond: Command
) -> None:
    """Keys that are pressed here are a name that types there, until the line is sent."""
    (made,) = await sessiond.good("sessions", "new", "--workflow", "chat", "--no-demo")
    admin = Command(system, f"{sessiond.user}-admin")
    admin.environ["SESSIOND_TOKEN"] = system.keys.user_token(admin.user, role="admin")
    async with (
        chatting(sessiond, made, "--no-demo") as (ours, _),
        chatting(admin, made, "--no-demo") as (theirs, process),
    ):
        await theirs.shows(f"{admin.user}>")
        await ours.shows(f"{admin.user} (admin)")
        ours.type("Hel")
        await theirs.shows(f"{sessiond.user} types …")
        ours.type("lo\r")
        await theirs.shows(f"{sessiond.user}: Hello")
        theirs.type("\x03")
        assert await ended(process) == 0
        await ours.shows(f"{sessiond.user}>")


async def test_a_session_that_is_deleted_gives_the_terminal_back(sessiond: Command) -> None:
    """The failure is told as everywhere."""
    (made,) = await sessiond.good("sessions", "new", "--workflow", "chat", "--no-demo")
    async with chatting(sessiond, made, "--no-demo") as (terminal, process):
        await terminal.shows(f"{sessiond.user}>")
        await sessiond.good("sessions", "delete", made)
        await terminal.shows("SESSION_NOT_FOUND: There is no such session.")
        assert await ended(process) == 1
        assert len(terminal.lines) == 2
