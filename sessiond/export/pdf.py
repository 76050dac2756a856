"""A session as a PDF: a title page, the progress of its workflow, the conversation, the outputs.

Typst sets it by a template of ours. What people and agents wrote reaches it as strings in a file of
data, never as markup. The same session gives the same PDF wherever the same fonts are.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO, TypeVar

import orjson

from sessiond.errors import FormatUnavailable
from sessiond.export.fonts import Fonts, Needed
from sessiond.export.story import Made, Said, Story, when
from sessiond.mapping.spelling import time_text
from sessiond.numbers import STATUS_WORD

TEMPLATE = Path(__file__).with_name("document.typ")
TYPESETTING = Path(__file__).with_name("typesetting.py")

_INDENT = re.compile(r"^[ \t]+")
_RUN = re.compile(r"[^\s\u200b]{17,}")
_PIECE = re.compile(r".{16}(?=.)", re.DOTALL)
# So many characters fit on a line of the text, and in a column of names.
_LINE, _NAME = 40, 24
_RIGHT_TO_LEFT = re.compile(
    "[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\U00010800-\U00010fff\U0001e800-\U0001efff]"
)
_LETTER = re.compile(r"[^\W\d_]")

MOST_SECONDS = 300.0
"""How long the typesetting may take."""

MOST_LINES, MOST_CHARACTERS = 100_000, 2_000_000
"""Of what a PDF tells. A line takes 3 KB of memory, and a character 0.2 to 0.4 in most scripts."""

MOST_CLUSTERS = 20_000
"""Different characters beyond the basic ones, each with the marks on it."""

# What ends a process that was refused memory, or that the system chose when it ran out.
_TOO_LARGE = (-signal.SIGABRT, -getattr(signal, "SIGKILL", signal.SIGABRT))

# Where a line may be broken is found by looking at all of it, again and again: one that is longer
# than any that people write is set as several.
_PARAGRAPH = re.compile(r".{1,4000}(?:\s|$)|.{4000}", re.DOTALL)

_T = TypeVar("_T")


class _Room:
    """What a PDF still has room for."""

    def __init__(self, needed: Needed) -> None:
        self._needed = needed
        self._lines = MOST_LINES
        self._characters = MOST_CHARACTERS
        self._gone = False

    def leave(self) -> None:
        """Let the next `take` raise: nobody waits for the PDF any more."""
        self._gone = True

    def take(self, line: str) -> str:
        """Return a line, for which there is room.

        Raises:
            FormatUnavailable: there is none.
        """
        self._lines -= 1
        self._characters -= len(line)
        clusters = len(self._needed.clusters)
        if self._gone or self._lines < 0 or self._characters < 0 or clusters > MOST_CLUSTERS:
            raise FormatUnavailable(
                f"A PDF holds at most {MOST_LINES} lines, {MOST_CHARACTERS} characters and "
                f"{MOST_CLUSTERS} different ones, and this session has more; the other formats "
                "hold all of it."
            )
        return line


async def render(story: Story) -> BinaryIO:
    """Return the PDF, in a file without a name. Who stops waiting stops the typesetting too.

    Raises:
        FontMissing: no font here shows some characters; it names the script and a font for it.
        FormatUnavailable: the session is so large that it takes too much room, memory or time.
    """
    needed = Needed()
    room = _Room(needed)
    with TemporaryDirectory(prefix="sessiond-pdf-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        await _in_thread(partial(_prepare, story, folder, needed, room), room.leave)
        process = _start(folder, story.session.last_active.seconds)
        await _in_thread(partial(_wait, process), process.kill)
        return (folder / "document.pdf").open("rb")


async def _in_thread(work: Callable[[], _T], stop: Callable[[], None]) -> _T:
    """Do it in a thread. Who stops waiting stops it, and waits for its end: it uses the folder."""
    running = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        stop()
        await asyncio.wait([running])
        raise


def _prepare(story: Story, folder: Path, needed: Needed, room: _Room) -> None:
    shutil.copyfile(TEMPLATE, folder / TEMPLATE.name)
    with (folder / "data.json").open("wb") as data:
        data.writelines(_document(story, needed, room))
    (folder / "fonts.json").write_bytes(orjson.dumps(Fonts().families(needed)))


def _start(folder: Path, timestamp: int) -> subprocess.Popen[bytes]:
    """Start the typesetting.

    Not by the event loop: uvloop forks, and what gRPC and Python do in the new process, before it
    becomes another program, kills it now and then. This way it shares the memory until then, and
    does nothing.
    """
    return subprocess.Popen(  # noqa: S603
        # Only the script's own folder is kept off the path: typst is found where it was found here.
        [sys.executable, "-P", str(TYPESETTING), str(folder), str(timestamp)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def _wait(process: subprocess.Popen[bytes]) -> None:
    with process:
        try:
            _, said = process.communicate(timeout=MOST_SECONDS)
        except subprocess.TimeoutExpired:
            raise FormatUnavailable(
                "To make the PDF of so large a session takes too long."
            ) from None
        finally:
            process.kill()
    if process.returncode in _TOO_LARGE:
        raise FormatUnavailable("To make the PDF of so large a session takes too much memory.")
    if process.returncode:
        raise RuntimeError(
            f"typst ended with {process.returncode}: {said.decode(errors='replace')}"
        )


def _document(story: Story, needed: Needed, room: _Room) -> Iterator[bytes]:
    session = story.session

    def shown(text: str) -> str:
        return _broken(needed.of(text), _NAME)

    facts = [
        ("Session", session.id),
        ("Owner", session.user_id),
        ("Workflow", story.workflow.name or session.workflow_id),
        ("Status", STATUS_WORD[session.status].value),
        ("Created", when(time_text(session.created_at))),
        ("Last active", when(time_text(session.last_active))),
        ("Messages", str(session.message_count)),
        ("Revision", str(session.revision)),
    ]
    if session.HasField("lineage"):
        facts.append(("Forked from", f"{session.lineage.session_id}, event {session.lineage.seq}"))
    facts += [(key, session.metadata[key]) for key in sorted(session.metadata)]
    head = {
        "title": shown(story.title),
        "facts": [[shown(name), _broken(needed.of(fact), _LINE)] for name, fact in facts],
        "steps": [
            {
                "name": shown(step.name),
                "agent": shown(step.agent),
                "stage": shown(step.stage),
                "minutes": step.minutes,
                "done": done,
            }
            for step, done in story.steps
        ],
    }
    yield orjson.dumps(head)[:-1] + b',"messages":['
    yield from _list(_message(said, needed, room) for said in story.messages())
    yield b'],"outputs":['
    yield from _list(_output(made, needed, room) for made in story.outputs())
    yield b"]}"


def _list(items: Iterable[Iterable[bytes]]) -> Iterator[bytes]:
    before = b""
    for item in items:
        yield before
        yield from item
        before = b","


def _message(said: Said, needed: Needed, room: _Room) -> Iterator[bytes]:
    head = {
        "who": _broken(needed.of(said.who), _NAME),
        "sender": said.sender.value,
        "when": said.when,
        "note": said.note,
    }
    yield orjson.dumps(head)[:-1] + b',"lines":['
    yield from _lines(said.text, needed, room)
    yield b"]}"


def _output(made: Made, needed: Needed, room: _Room) -> Iterator[bytes]:
    head = {
        "step": _broken(needed.of(made.step), _NAME),
        "agent": _broken(needed.of(made.agent), _LINE),
        "id": _broken(made.id, _LINE),
        "status": made.status.value,
        "when": made.when,
        "by": _broken(needed.of(made.by), _LINE),
        "decided": made.decided,
    }
    yield orjson.dumps(head)[:-1] + b',"feedback":['
    if made.feedback:
        yield from _lines(made.feedback, needed, room)
    yield b'],"lines":['
    yield from _lines(made.text, needed, room)
    yield b"]}"


def _lines(text: str, needed: Needed, room: _Room) -> Iterator[bytes]:
    return _list(
        [orjson.dumps({"text": _broken(room.take(line), _LINE), "rtl": rtl})]
        for each in needed.of(text).split("\n")
        for line, rtl in _line(each)
    )


def _line(text: str) -> Iterator[tuple[str, bool]]:
    """Yield a line, in which space at its beginning stays, and whether it begins on the right.

    A very long one comes in pieces.
    """
    first = _LETTER.search(text) if _RIGHT_TO_LEFT.search(text) else None
    rtl = bool(first and _RIGHT_TO_LEFT.match(first[0]))
    spaced = _INDENT.sub(lambda indent: indent[0].expandtabs(4).replace(" ", "\u00a0"), text)
    spaced = spaced.replace("\t", "\u00a0" * 4)
    for piece in _PARAGRAPH.finditer(spaced):
        yield piece[0], rtl
    if not spaced:
        yield "", False


def _broken(text: str, most: int) -> str:
    """Return the text with places to break runs that are longer, where nothing else says any."""

    def pieces(run: re.Match[str]) -> str:
        return _PIECE.sub("\\g<0>\u200b", run[0]) if len(run[0]) > most else run[0]

    return _RUN.sub(pieces, text)
