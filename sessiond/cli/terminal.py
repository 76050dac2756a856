"""A chat on a terminal: the conversation above, the line that grows, a prompt, who is here."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import TextIO

from prompt_toolkit import PromptSession
from prompt_toolkit.application import run_in_terminal
from prompt_toolkit.formatted_text import ANSI
from prompt_toolkit.utils import get_cwidth

from sessiond.cli.paint import BOLD, CYAN, GREEN, Brush
from sessiond.cli.screen import Leave, Screen, name_of, painted
from sessiond.client.updates import Member


class TerminalScreen(Screen):
    """Draws with prompt_toolkit, which owns the bottom of the terminal while it prompts.

    Of the line that grows, what fills the terminal's width moves up for good; only its end is drawn
    anew, above the prompt.
    """

    is_for_people = True

    def __init__(self, out: TextIO, brush: Brush) -> None:
        self._out = out
        self._brush = brush
        self._prompt_text = ""
        self._speaker = ""
        self._name = ""  # of the speaker, until the line's beginning has moved up
        self._tail = ""
        self._growing = False
        self._toolbar = ""
        self._prompt: PromptSession[str] = PromptSession(
            message=self._message, bottom_toolbar=lambda: self._toolbar, erase_when_done=True
        )

    async def line(self, text: str, *styles: str, name: str = "") -> None:
        """Show a whole line above the one that grows, or between two parts of it."""
        if self._growing and not self._name:
            # Its beginning stands above already: nothing else may look like its middle.
            rest, self._tail = self._tail, ""
            if rest.strip():
                await self._move_up(rest)
            self._name, self._tail = self._speaker, "…"
        await self._above(painted(self._brush, text, *styles, name=name))

    async def grow(self, text: str, *, name: str) -> None:
        """Show more of the line that grows."""
        if not self._growing:
            self._growing, self._name, self._speaker = True, name, name
        *whole, self._tail = (self._tail + text).split("\n")
        for line in whole:
            await self._move_up(line)
        width = self._prompt.output.get_size().columns
        while (cut := fitting(self._head_width + 1, self._tail, width)) < len(self._tail):
            line, self._tail = self._tail[:cut].rstrip(" "), self._tail[cut:]
            await self._move_up(line)
        self._prompt.app.invalidate()

    async def close(self) -> None:
        """Move the rest of the line up."""
        rest, self._tail = self._tail, ""
        growing, self._growing = self._growing, False
        if growing and (rest.strip() or self._name):
            await self._move_up(rest)

    async def here(self, members: Sequence[Member]) -> None:
        """Show who is here below the prompt."""
        self._toolbar = "  ".join(
            name_of(member) + (" types …" if member.typing else "") for member in members
        )
        self._prompt.app.invalidate()

    async def lines(self, prompt: str, on_typing: Callable[[bool], None]) -> AsyncIterator[str]:
        """Yield what is typed; Ctrl-C and Ctrl-D leave."""
        self._prompt_text = prompt
        buffer = self._prompt.default_buffer
        buffer.on_text_changed += lambda changed: on_typing(bool(changed.text))
        while True:
            try:
                yield await self._prompt.prompt_async()
            except (EOFError, KeyboardInterrupt):
                raise Leave from None

    @property
    def _head_width(self) -> int:
        return get_cwidth(self._name) + 2 if self._name else 0

    def _message(self) -> ANSI:
        grown = self._grown(self._tail) + "\n" if self._growing else ""
        return ANSI(f"{grown}{self._brush(self._prompt_text, BOLD, GREEN)}> ")

    def _grown(self, text: str) -> str:
        return painted(self._brush, text, BOLD, CYAN, name=self._name) if self._name else text

    async def _move_up(self, text: str) -> None:
        line, self._name = self._grown(text), ""
        await self._above(line)

    async def _above(self, line: str) -> None:
        def write() -> None:
            self._out.write(line + "\n")
            self._out.flush()

        await run_in_terminal(write)


def fitting(used: int, text: str, width: int) -> int:
    """Return how many characters fit on a line beside `used` columns, after a space if there is."""
    after_space = 0
    for index, character in enumerate(text):
        used += get_cwidth(character)
        if used > width:
            return after_space or max(index, 1)
        if character == " ":
            after_space = index + 1
    return len(text)
