"""What a PDF may take: room, memory, time, and nothing after nobody waits for it any more."""

from __future__ import annotations

import asyncio
import os
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvloop

from sessiond.errors import FormatUnavailable
from sessiond.export import pdf
from sessiond.export.fonts import Fonts, Needed
from sessiond.export.rendering import Format
from tests.gateway.sockets import until
from tests.unit.stories import Story
from tests.unit.telling import exported, said

MOST = 512 * 1024
"""Bytes of a message."""


def told(*contents: str) -> Story:
    story = Story()
    said(story, *contents)
    return story


@pytest.fixture
def no_typesetting(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is refused is refused before that."""

    def start(*_: object) -> None:
        raise AssertionError("it was set")

    monkeypatch.setattr(pdf, "_start", start)


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where PDFs are made."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


def typesetting(monkeypatch: pytest.MonkeyPatch, folder: Path, script: str) -> None:
    """Let this be what typesets."""
    path = folder / "typesetting.py"
    path.write_text(script)
    monkeypatch.setattr(pdf, "TYPESETTING", path)


def left_in(folder: Path) -> list[Path]:
    return list(folder.iterdir())


# --- room ----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("no_typesetting")
@pytest.mark.parametrize(
    "contents",
    [
        ["\n" * MOST],
        ["\n" * 20_000] * 6,
        ["word " * 100_000] * 5,
        ["".join(map(chr, range(0x4E00, 0x9FFF)))],
    ],
    ids=["lines", "lines of several", "characters", "different"],
)
async def test_a_session_that_holds_too_much_is_refused_in_little_memory(
    contents: list[str],
) -> None:
    """Before it is set, with the bounds in the words; a message alone can be too much."""
    story = told(*contents)
    Fonts()
    Needed().of("é")
    tracemalloc.start()
    try:
        with pytest.raises(FormatUnavailable, match=r"100000 lines, 2000000 char.* 20000 diff"):
            await exported(story, Format.PDF)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 30 * MOST


async def test_as_much_as_there_is_room_for_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bound itself is within."""
    monkeypatch.setattr(pdf, "MOST_LINES", 5)
    monkeypatch.setattr(pdf, "MOST_CHARACTERS", 6)
    assert await exported(told("a\n\nbc", "d\nef"), Format.PDF)
    for contents in (("a\n\nb\n", "d\ne"), ("abc\n\nde", "ef")):
        with pytest.raises(FormatUnavailable):
            await exported(told(*contents), Format.PDF)


# --- time ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    ["\t" * 100_000 + "x", "\u00a0" * 100_000, "a" + "\u0301\u0323" * 10_000, "a\u00ad" * 100_000],
    ids=["indentation", "no-break spaces", "marks", "soft hyphens"],
)
async def test_no_text_takes_the_square_of_its_length(
    content: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All on one line, these would take minutes to be broken into lines, or half of one."""
    monkeypatch.setattr(pdf, "MOST_SECONDS", 30.0)
    assert await exported(told(content), Format.PDF)


def test_marks_without_end_are_brought_into_order_soon() -> None:
    """Nothing else runs in the meantime. None of them is lost."""
    text = "a" + "\u0315\u0323" * 100_000 + "b"
    begin = time.process_time()
    found = Needed().of(text)
    assert time.process_time() - begin < 5
    assert sorted(found.replace("\u1ea1", "a\u0323")) == sorted(text)


# --- memory --------------------------------------------------------------------------------------


async def test_typesetting_without_memory_says_that_it_is_too_much(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The process has a bound of its own, whatever the sums say."""
    script = pdf.TYPESETTING.read_text()
    bound = "MOST_BYTES = 1024 * 1024 * 1024"
    assert bound in script
    typesetting(monkeypatch, tmp_path, script.replace(bound, "MOST_BYTES = 24 * 1024 * 1024"))
    with pytest.raises(FormatUnavailable, match="too much memory"):
        await exported(told("word " * 100_000), Format.PDF)


_PANICS = """
import os

class PanicException(BaseException):
    pass

def compile(*_, **__):
    assert os.environ["RUST_BACKTRACE"] == "0"
    raise PanicException("assertion `left == right` failed: left: MemError, right: Ok")
"""


async def test_a_panic_for_want_of_memory_is_told_as_that(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It tells by no calls how it came about, whatever is set here: that may never end."""
    (tmp_path / "typst.py").write_text(_PANICS)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("RUST_BACKTRACE", "1")
    with pytest.raises(FormatUnavailable, match="too much memory"):
        await exported(told("hello"), Format.PDF)


@pytest.mark.parametrize(
    ("script", "failure", "words"),
    [
        ("import os; os.kill(os.getpid(), 9)", FormatUnavailable, "too much memory"),
        ("import os; os.abort()", FormatUnavailable, "too much memory"),
        ("import os; os.kill(os.getpid(), 11)", RuntimeError, "-11"),
        ("raise SystemExit('broken')", RuntimeError, "broken"),
        ("import time; time.sleep(60)", FormatUnavailable, "too long"),
    ],
)
async def test_how_typesetting_ends_is_told(
    monkeypatch: pytest.MonkeyPatch,
    temporary: Path,
    script: str,
    failure: type[Exception],
    words: str,
) -> None:
    """What only a large session meets is the session's; anything else is a fault of ours."""
    typesetting(monkeypatch, temporary.parent, script)
    if "sleep" in script:
        monkeypatch.setattr(pdf, "MOST_SECONDS", 0.2)
    with pytest.raises(failure, match=words):
        await exported(told("hello"), Format.PDF)
    assert left_in(temporary) == []


# --- the process ---------------------------------------------------------------------------------


def test_nothing_of_ours_runs_in_the_new_process() -> None:
    """A fork of a process with gRPC's threads in it dies now and then before it is typst."""
    forks = 0
    counts = True

    def forked() -> None:
        nonlocal forks
        forks += counts

    os.register_at_fork(before=forked)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(exported(told("hello"), Format.PDF))
    counts = False
    assert forks == 0


async def test_typst_is_found_where_it_was_found_here(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Wherever Python looks; but not beside the script, whose modules have common names."""
    found = "def compile(source, *, output, **more): output.write_bytes(b'found')"
    (tmp_path / "typst.py").write_text(found)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert await exported(told("hello"), Format.PDF) == b"found"
    monkeypatch.delenv("PYTHONPATH")
    typesetting(monkeypatch, tmp_path, pdf.TYPESETTING.read_text())
    assert (await exported(told("hello"), Format.PDF)).startswith(b"%PDF-")


# --- nobody waits --------------------------------------------------------------------------------


async def test_who_stops_waiting_ends_the_typesetting(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, temporary: Path
) -> None:
    """The process is gone, and its folder."""
    place = tmp_path / "pid"
    script = f"""
import os, pathlib, time
pathlib.Path({str(place)!r}).write_text(f"{{os.getpid()}}\\n")
time.sleep(60)
"""
    typesetting(monkeypatch, tmp_path, script)
    waiting = asyncio.create_task(exported(told("hello"), Format.PDF))
    await until(lambda: place.exists() and place.read_text().endswith("\n"))
    waiting.cancel()
    begin = time.monotonic()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert time.monotonic() - begin < 15
    assert left_in(temporary) == []
    with pytest.raises(ProcessLookupError):
        os.kill(int(place.read_text()), 0)


async def test_who_stops_waiting_ends_the_writing(
    monkeypatch: pytest.MonkeyPatch, temporary: Path
) -> None:
    """Nobody writes into a folder that is being removed."""
    writing: list[bool] = []

    def document(_: object, __: object, room: Any) -> Iterator[bytes]:
        writing.append(True)
        try:
            while True:
                yield room.take("").encode()
                time.sleep(0.1)
        finally:
            time.sleep(0.1)
            writing.clear()

    monkeypatch.setattr(pdf, "_document", document)
    monkeypatch.setattr(pdf, "MOST_LINES", 300)
    waiting = asyncio.create_task(exported(told("hello"), Format.PDF))
    await until(lambda: bool(writing))
    waiting.cancel()
    begin = time.monotonic()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert time.monotonic() - begin < 15
    assert not writing
    assert left_in(temporary) == []
