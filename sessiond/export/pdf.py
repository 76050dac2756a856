"""A session as a PDF: a title page, the progress of its workflow, the conversation, the outputs.

Typst sets it by a template of ours. What people and agents wrote reaches it as strings in a file of
data, never as markup. The same session gives the same PDF wherever the same fonts are.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO

import orjson
import typst

from sessiond.export.fonts import Fonts, Needed
from sessiond.export.story import Made, Said, Story, when
from sessiond.mapping.spelling import time_text
from sessiond.numbers import STATUS_WORD

TEMPLATE = Path(__file__).with_name("document.typ")

_INDENT = re.compile(r"^[ \t]+")
# Nothing says where such a run may be broken, and a line is as long as the page is wide.
_LONG_RUN = re.compile(r"[^\s\u200b]{16}(?=[^\s\u200b])")
_RIGHT_TO_LEFT = re.compile(
    "[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\U00010800-\U00010fff\U0001e800-\U0001efff]"
)
_LETTER = re.compile(r"[^\W\d_]")

# Typst takes a core and memory by the page: those who want a PDF at once wait for one another.
_one_at_a_time = threading.Lock()


def render(story: Story) -> BinaryIO:
    """Return the PDF, in a file without a name.

    Raises:
        FontMissing: no font here shows some characters; it names the script and a font for it.
    """
    with _one_at_a_time, TemporaryDirectory(prefix="sessiond-pdf-") as folder:
        root = Path(folder)
        fonts = Fonts()
        needed = Needed()
        with (root / "data.json").open("wb") as data:
            data.writelines(_document(story, needed))
        families = fonts.families(needed)
        (root / "fonts.json").write_bytes(orjson.dumps(families))
        typst.compile(
            TEMPLATE.read_bytes(),
            output=str(root / "document.pdf"),
            root=folder,
            font_paths=fonts.found,
            timestamp=story.session.last_active.seconds,
        )
        return (root / "document.pdf").open("rb")


def _document(story: Story, needed: Needed) -> Iterator[bytes]:
    shown, session = needed.of, story.session
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
        "facts": [[shown(name), shown(fact)] for name, fact in facts],
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
        "who": needed.of(said.who),
        "sender": said.sender.value,
        "when": said.when,
        "note": said.note,
        "lines": _lines(said.text, needed),
    }


def _output(made: Made, needed: Needed) -> dict[str, Any]:
    return {
        "step": needed.of(made.step),
        "agent": needed.of(made.agent),
        "id": made.id,
        "status": made.status.value,
        "when": made.when,
        "by": needed.of(made.by),
        "decided": made.decided,
        "feedback": _lines(made.feedback, needed) if made.feedback else [],
        "lines": _lines(made.text, needed),
    }


def _lines(text: str, needed: Needed) -> list[dict[str, Any]]:
    return [_line(each) for each in needed.of(text).split("\n")]


def _line(text: str) -> dict[str, Any]:
    """Return a line, in which space at its beginning stays, and the side where it begins."""
    spaced = _INDENT.sub(lambda indent: indent[0].expandtabs(4).replace(" ", "\u00a0"), text)
    broken = _LONG_RUN.sub("\\g<0>\u200b", spaced.replace("\t", "\u00a0\u00a0\u00a0\u00a0"))
    first = _LETTER.search(text) if _RIGHT_TO_LEFT.search(text) else None
    return {"text": broken, "rtl": bool(first and _RIGHT_TO_LEFT.match(first[0]))}
