"""`sessiond chat`: a live conversation, on a terminal or through pipes."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import suppress
from time import monotonic
from typing import Annotated

import typer

from sessiond.cli.connection import Connection
from sessiond.cli.failures import told
from sessiond.cli.options import connected
from sessiond.cli.paint import DIM, RED, Brush, is_coloured
from sessiond.cli.screen import Leave, PlainScreen, Screen
from sessiond.cli.sessions import DEMO, Demo
from sessiond.cli.transcript import Transcript, is_settled
from sessiond.client.session import AttachedSession
from sessiond.errors import PermissionDenied, SessiondError
from sessiond.session.state import Decision

TYPING_SECONDS = 3.0
"""How often others are told that the person still types; each time it holds for 6 s."""

HELP = """\
/approve [feedback]  approve the output that waits      /pause, /resume  the session
/reject [feedback]   have the agent try again           /cancel          the answer under way
/quit, Ctrl-D        leave                              //text           say a text that begins so\
"""


@connected
def chat(
    connection: Connection,
    *,
    session_id: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="Default: a new session.")
    ] = None,
    new: Annotated[bool, typer.Option("--new", help="Make the session first.")] = False,
    workflow: Annotated[str, typer.Option(help="The workflow of a new session.")] = "chat",
    tail: Annotated[int, typer.Option(min=0, max=1000, help="Messages to show first.")] = 20,
    wait: Annotated[
        float,
        typer.Option(min=0, help="Without a terminal: seconds to wait for agents that are silent."),
    ] = 10.0,
    demo: Demo = None,
) -> None:
    """Talk in a session, live. /help lists what else can be said.

    On a terminal, Ctrl-C leaves. Otherwise lines are read from stdin: each waits until the agents
    have answered the one before, and after the last answer the chat ends. A line that is refused
    is told on stderr, and the exit code is 1 in the end.
    """
    wanted = connection.in_development if demo is None else demo
    screen = _screen()

    async def talk() -> bool:
        async with connection.client() as client:
            name = session_id
            if name is None or new:
                made = await client.create(
                    id=name, workflow_id=workflow, metadata=DEMO if wanted else {}
                )
                name = made.id
            async with client.attach(name, tail=tail) as session:
                if wanted:
                    await _mark(session, asked=demo is not None)
                chat = Chat(session, screen, connection.me, wait)
                await chat.run()
                return chat.failed

    failed = False
    # Ctrl-C is how a chat ends.
    with suppress(KeyboardInterrupt):
        failed = asyncio.run(talk())
    if failed:
        raise typer.Exit(1)


class Chat:
    """One conversation: what is typed goes to the session, what happens there to the screen."""

    def __init__(self, session: AttachedSession, screen: Screen, me: str, patience: float) -> None:
        """`patience` is for agents that are silent, in seconds; not on a screen for people."""
        self.failed = False
        self._session = session
        self._screen = screen
        self._me = me
        self._patience = patience
        self._typed: asyncio.Queue[str | None] = asyncio.Queue(maxsize=10)
        self._shown = asyncio.Event()
        self._told_typing = 0.0

    async def run(self) -> None:
        """Talk until the person leaves.

        Raises:
            SessiondError: the session can be followed no longer.
        """
        tasks = [
            asyncio.create_task(work)
            for work in (self._listen(), self._do_what_is_typed(), self._take_lines())
        ]
        listening, doing, _ = tasks
        try:
            done, _ = await asyncio.wait({listening, doing}, return_when=asyncio.FIRST_COMPLETED)
            for ended in done:
                ended.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._screen.close()

    async def _listen(self) -> None:
        updates = self._session.updates()
        transcript = Transcript(self._session, self._screen)
        await transcript.begin()
        await self._screen.here(self._session.present.members)
        async for update in updates:
            await transcript.show(update)
            self._shown.set()

    async def _take_lines(self) -> None:
        try:
            async for line in self._screen.lines(self._me, self._typing):
                await self._typed.put(line)
        except Leave:
            self._patience = 0.0
        await self._typed.put(None)

    async def _do_what_is_typed(self) -> None:
        while True:
            line = await self._typed.get()
            await self._settle()
            if line is None or line.strip() == "/quit":
                return
            try:
                await self._do(line)
            except SessiondError as failure:
                await self._refuse(told(failure))

    async def _do(self, line: str) -> None:
        session = self._session
        word, _, rest = line.strip().partition(" ")
        feedback = rest.strip() or None
        match word:
            case "":
                return
            case "/approve":
                await session.approve(feedback=feedback)
            case "/reject":
                await session.approve(feedback=feedback, decision=Decision.REJECTED)
            case "/cancel":
                await session.cancel()
            case "/pause":
                await session.pause()
            case "/resume":
                await session.resume()
            case "/help":
                await self._screen.line(HELP, DIM)
            case _ if word.startswith("/") and not word.startswith("//"):
                await self._refuse(f"There is no {word}: /help lists what there is.")
            case _:
                await session.append(line.removeprefix("/"))

    async def _refuse(self, why: str) -> None:
        if self._screen.is_for_people:
            await self._screen.line(why, RED)
        else:
            self.failed = True
            sys.stderr.write(why + "\n")

    async def _settle(self) -> None:
        """Wait until no agent is to speak; not longer than patience lasts while none does."""
        if self._screen.is_for_people:
            return
        while not is_settled(self._session.state):
            self._shown.clear()
            try:
                async with asyncio.timeout(self._patience):
                    await self._shown.wait()
            except TimeoutError:
                self._patience = 0.0  # nobody answers here: the next line need not wait
                return

    def _typing(self, typing: bool) -> None:
        now = monotonic()
        if not typing:
            if self._told_typing:
                self._session.typing(False)
            self._told_typing = 0.0
        elif now - self._told_typing >= TYPING_SECONDS:
            self._told_typing = now
            self._session.typing(True)


def _screen() -> Screen:
    brush = Brush(coloured=is_coloured(sys.stdout))
    is_terminal = sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
    if not is_terminal:
        return PlainScreen(sys.stdout, brush, sys.stdin.fileno())
    from sessiond.cli.terminal import TerminalScreen  # takes a while to load

    return TerminalScreen(sys.stdout, brush)


async def _mark(session: AttachedSession, *, asked: bool) -> None:
    """Let the example agent act in the session."""
    if DEMO.items() <= session.state.metadata.items():
        return
    try:
        await session.update(metadata=DEMO)
    except PermissionDenied:
        if asked:
            raise
