"""The plain screen, the lines that are read, and the colours."""

from __future__ import annotations

import asyncio
import io
import os
import pty
from collections.abc import Callable
from pathlib import Path

import pytest

from sessiond.cli.lines import lines
from sessiond.cli.paint import RED, Brush, is_coloured, one_line, plain
from sessiond.cli.screen import PlainScreen
from sessiond.client.updates import Member

BOB = Member("bob", "user", "", False)


@pytest.fixture
def out() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def screen(out: io.StringIO) -> PlainScreen:
    return PlainScreen(out, Brush(coloured=False), 0)


async def test_a_line_that_grows_is_written_as_it_comes(
    screen: PlainScreen, out: io.StringIO
) -> None:
    """After its name once, and ended once."""
    await screen.grow("Hel", name="a")
    assert out.getvalue() == "a: Hel"
    await screen.grow("lo\nyou", name="a")
    await screen.close()
    await screen.close()
    assert out.getvalue() == "a: Hello\nyou\n"


async def test_a_line_between_interrupts_one_that_grows(
    screen: PlainScreen, out: io.StringIO
) -> None:
    """Each stays whole; the rest of the one that grows is marked."""
    await screen.grow("Hel", name="a")
    await screen.line("first", name="b")
    await screen.line("second", name="b")
    await screen.grow("lo", name="a")
    await screen.close()
    await screen.line("third")
    assert out.getvalue() == "a: Hel\nb: first\nb: second\na: …lo\nthird\n"


async def test_who_is_here_is_told_when_it_changes_and_between_lines(
    screen: PlainScreen, out: io.StringIO
) -> None:
    """Typing is told when it begins; nothing is told in the middle of an answer."""
    typing = Member("bob", "user", "", True)
    agent = Member("worker", "agent", "", False)
    await screen.here([BOB])
    await screen.here([BOB])
    await screen.here([typing])
    await screen.here([typing])
    await screen.grow("x", name="a")
    await screen.here([agent, BOB])
    await screen.here([])
    assert out.getvalue() == "-- here: bob\n-- bob is typing\na: x"
    await screen.close()
    assert out.getvalue().endswith("a: x\n-- here: nobody else\n")


@pytest.mark.parametrize(
    ("chunks", "expected"),
    [
        ([b"one\ntwo\n"], ["one", "two"]),
        ([b"no end"], ["no end"]),
        ([b"a\r\n", b"\n", b"b"], ["a", "", "b"]),
        (["ü".encode()[:1], "ü".encode()[1:] + b"\n\xff\n"], ["ü", "�"]),
        ([], []),
    ],
)
async def test_lines_are_read_whatever_way_they_come(
    chunks: list[bytes], expected: list[str]
) -> None:
    """Cut anywhere, with any end of line, in bad UTF-8."""
    reading, writing = os.pipe()
    try:

        async def write() -> None:
            for chunk in chunks:
                os.write(writing, chunk)
                await asyncio.sleep(0)
            os.close(writing)

        task = asyncio.create_task(write())
        assert [line async for line in lines(reading)] == expected
        await task
    finally:
        os.close(reading)


async def test_a_file_is_read_to_its_end(tmp_path: Path) -> None:
    """It cannot be polled; it is read all the same."""
    file = tmp_path / "typed"
    file.write_text("one\ntwo")
    descriptor = os.open(file, os.O_RDONLY)
    try:
        assert [line async for line in lines(descriptor)] == ["one", "two"]
    finally:
        os.close(descriptor)


async def _first(descriptor: int) -> str:
    return await anext(lines(descriptor))


async def test_reading_that_is_given_up_leaves_nothing_behind() -> None:
    """No thread hangs on a pipe that stays silent, and the loop does not watch it any more."""
    reading, writing = os.pipe()
    try:
        task = asyncio.create_task(_first(reading))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not asyncio.get_running_loop().remove_reader(reading)
    finally:
        os.close(reading)
        os.close(writing)


def test_colours_are_for_terminals_that_want_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not for pipes, not with NO_COLOR, not for dumb terminals."""
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as terminal, os.fdopen(ours, "rb"):
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.delenv("NO_COLOR", raising=False)
        assert is_coloured(terminal)
        assert not is_coloured(io.StringIO())
        monkeypatch.setenv("NO_COLOR", "1")
        assert not is_coloured(terminal)
        monkeypatch.delenv("NO_COLOR")
        monkeypatch.setenv("TERM", "dumb")
        assert not is_coloured(terminal)


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (lambda: Brush(coloured=True)("x", RED), "\x1b[31mx\x1b[0m"),
        (lambda: Brush(coloured=False)("x", RED), "x"),
        (lambda: plain("a\r\nb\x1b[2J\x9b\tc\x00"), "a\nb�[2J�\tc�"),
        (lambda: one_line("a\n b   c", 4), "a b…"),
        (lambda: one_line("a\n b", 3), "a b"),
    ],
)
def test_text_for_people(shown: Callable[[], str], expected: str) -> None:
    """Painted or not, harmless, and as long as there is room."""
    assert shown() == expected
