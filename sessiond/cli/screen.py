"""Where a chat is shown: whole lines, at most one line that still grows, and who is here."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TextIO

from sessiond.cli.lines import lines
from sessiond.cli.paint import BOLD, CYAN, DIM, Brush, plain
from sessiond.client.updates import Member


class Leave(Exception):
    """The person wants to leave now."""


class Screen(ABC):
    """What a transcript writes on, and where a person's lines come from.

    Text is without control characters, styles are those of `paint`.
    """

    is_for_people: bool

    @abstractmethod
    async def line(self, text: str, *styles: str, name: str = "") -> None:
        """Show a whole line; where there is a name, it stands in front and takes the styles."""

    @abstractmethod
    async def grow(self, text: str, *, name: str) -> None:
        """Show more of the line that grows; the first call begins it, after the name."""

    @abstractmethod
    async def close(self) -> None:
        """End the line that grows, if one does."""

    @abstractmethod
    async def here(self, members: Sequence[Member]) -> None:
        """Show who else is here, and who types."""

    @abstractmethod
    def lines(self, prompt: str, on_typing: Callable[[bool], None]) -> AsyncIterator[str]:
        """Yield what the person says, line by line; `on_typing` is told whether they type.

        Raises:
            Leave: they want to leave.
        """


class PlainScreen(Screen):
    """A screen that only goes forward: a pipe, a file, a terminal without a cursor.

    A line that comes while another one grows interrupts it; the rest follows after a "…". Who is
    here is told between lines.
    """

    is_for_people = False

    def __init__(self, out: TextIO, brush: Brush, descriptor: int) -> None:
        self._out = out
        self._brush = brush
        self._descriptor = descriptor
        self._growing = False
        self._interrupted = False
        self._members: Sequence[Member] = ()
        self._here: tuple[str, ...] = ()
        self._typing: frozenset[str] = frozenset()

    async def line(self, text: str, *styles: str, name: str = "") -> None:
        """Show a whole line."""
        if self._growing and not self._interrupted:
            self._write("\n")
            self._interrupted = True
        self._write(painted(self._brush, text, *styles, name=name) + "\n")

    async def grow(self, text: str, *, name: str) -> None:
        """Show more of the line that grows."""
        if not self._growing or self._interrupted:
            begin = "…" if self._interrupted else ""
            self._write(painted(self._brush, begin, BOLD, CYAN, name=name))
        self._growing, self._interrupted = True, False
        self._write(text)

    async def close(self) -> None:
        """End the line that grows."""
        if not self._growing:
            return
        if not self._interrupted:
            self._write("\n")
        self._growing = self._interrupted = False
        await self.here(self._members)

    async def here(self, members: Sequence[Member]) -> None:
        """Tell who is here when that changes, and who begins to type."""
        self._members = members
        if self._growing:
            return
        names = tuple(sorted({name_of(member) for member in members}))
        typing = frozenset(name_of(member) for member in members if member.typing)
        if names != self._here:
            await self.line(f"-- here: {', '.join(names) or 'nobody else'}", DIM)
        for name in sorted(typing - self._typing):
            await self.line(f"-- {name} is typing", DIM)
        self._here, self._typing = names, typing

    async def lines(self, prompt: str, on_typing: Callable[[bool], None]) -> AsyncIterator[str]:
        """Yield the lines that come in, without a prompt."""
        async for line in lines(self._descriptor):
            yield line

    def _write(self, text: str) -> None:
        self._out.write(text)
        self._out.flush()


def painted(brush: Brush, text: str, *styles: str, name: str) -> str:
    """Return a line: the name painted and the text as it is, or the text painted."""
    return f"{brush(name, *styles)}: {text}" if name else brush(text, *styles)


def name_of(member: Member) -> str:
    """Return how somebody who is here is called."""
    name = plain(member.acting_for or member.subject)
    return name if member.role == "user" else f"{name} ({plain(member.role)})"
