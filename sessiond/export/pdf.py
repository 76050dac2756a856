"""A session as a PDF: a title page, the progress of its workflow, the conversation, the outputs.

Typst sets it by a template of ours. What people and agents wrote reaches it as strings in a file of
data, never as markup. The same session gives the same PDF wherever the same fonts are.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO

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


async def render(story: Story) -> BinaryIO:
    """Return the PDF, in a file without a name. Who stops waiting stops the typesetting too.

    Raises:
        FontMissing: no font here shows some characters; it names the script and a font for it.
        FormatUnavailable: the session is so large that it takes too long.
    """
    with TemporaryDirectory(prefix="sessiond-pdf-") as name:
        folder = Path(name)
        await asyncio.to_thread(_prepare, story, folder)
        await _typeset(folder, story.session.last_active.seconds)
        return (folder / "document.pdf").open("rb")


def _prepare(story: Story, folder: Path) -> None:
    needed = Needed()
    shutil.copyfile(TEMPLATE, folder / TEMPLATE.name)
    with (folder / "data.json").open("wb") as data:
        data.writelines(_document(story, needed))
    (folder / "fonts.json").write_bytes(orjson.dumps(Fonts().families(needed)))


async def _typeset(folder: Path, timestamp: int) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", str(TYPESETTING), str(folder), str(timestamp)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(MOST_SECONDS):
            _, said = await process.communicate()
    except TimeoutError:
        raise FormatUnavailable("To make the PDF of so large a session takes too long.") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise RuntimeError(
            f"typst ended with {process.returncode}: {said.decode(errors='replace')}"
        )


def _document(story: Story, needed: Needed) -> Iterator[bytes]:
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
    yield from _list(_message(said, needed) for said in story.messages())
    yield b'],"outputs":['
    yield from _list(_output(made, needed) for made in story.outputs())
    yield b"]}"


def _list(items: Iterable[dict[str, Any]]) -> Iterator[bytes]:
    before = b""
    for item in items:
        yield before + orjson.dumps(item)
        before = b","


def _message(said: Said, needed: Needed) -> dict[str, Any]:
    return {
        "who": _broken(needed.of(said.who), _NAME),
        "sender": said.sender.value,
        "when": said.when,
        "note": said.note,
        "lines": _lines(said.text, needed),
    }


def _output(made: Made, needed: Needed) -> dict[str, Any]:
    return {
        "step": _broken(needed.of(made.step), _NAME),
        "agent": _broken(needed.of(made.agent), _LINE),
        "id": _broken(made.id, _LINE),
        "status": made.status.value,
        "when": made.when,
        "by": _broken(needed.of(made.by), _LINE),
        "decided": made.decided,
        "feedback": _lines(made.feedback, needed) if made.feedback else [],
        "lines": _lines(made.text, needed),
    }


def _lines(text: str, needed: Needed) -> list[dict[str, Any]]:
    return [_line(each) for each in needed.of(text).split("\n")]


def _line(text: str) -> dict[str, Any]:
    """Return a line, in which space at its beginning stays, and the side where it begins."""
    spaced = _INDENT.sub(lambda indent: indent[0].expandtabs(4).replace(" ", "\u00a0"), text)
    broken = _broken(spaced.replace("\t", "\u00a0" * 4), _LINE)
    first = _LETTER.search(text) if _RIGHT_TO_LEFT.search(text) else None
    return {"text": broken, "rtl": bool(first and _RIGHT_TO_LEFT.match(first[0]))}


def _broken(text: str, most: int) -> str:
    """Return the text with places to break runs that are longer, where nothing else says any."""

    def pieces(run: re.Match[str]) -> str:
        return _PIECE.sub("\\g<0>\u200b", run[0]) if len(run[0]) > most else run[0]

    return _RUN.sub(pieces, text)
