"""A session as a PDF: what is on its pages, and that no page has an empty box."""

from __future__ import annotations

import ctypes
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pypdfium2
import pytest
import typst
from pypdfium2 import raw

from sessiond.errors import FontMissing, FormatUnavailable
from sessiond.export import fonts
from sessiond.export import story as story_module
from sessiond.export.fonts import BASE, BASIC, Fonts, Needed
from sessiond.export.pdf import _document, _Room
from sessiond.export.rendering import Format, chunks
from sessiond.session.access import Actor, Role
from sessiond.session.changes import ApproveOutput, SubmitOutput, UpdateSession
from sessiond.session.events import OutputDecided, OutputSubmitted
from sessiond.session.state import Decision, OutputBody
from tests.unit.lettering import FAMILY, forget_fonts, only_font
from tests.unit.stories import CONSULTANT, Story
from tests.unit.telling import (
    HOSTILE,
    exported,
    happened,
    history,
    history_of,
    said,
    summary_of,
)


def pages(pdf: bytes) -> list[str]:
    """The text of each page."""
    with pypdfium2.PdfDocument(pdf) as document:
        return [page.get_textpage().get_text_range() for page in document]


async def test_the_pages_tell_the_session() -> None:
    """A title page, the steps, the conversation, the outputs with their approval; numbered."""
    story = Story()
    story.make(UpdateSession(title="Launch plan", metadata={"team": "growth"}))
    said(story, "What is the plan?")
    story.make(SubmitOutput("It is this.", "o-1"), CONSULTANT)
    story.make(ApproveOutput(feedback="Go on."))
    first, second = pages(await exported(story, Format.PDF))
    assert first.startswith("Launch plan")
    for fact in ("alice", "growth", "Master workflow", "active", "2023-11-14 22:13:20 UTC"):
        assert fact in first
    assert first.rstrip().endswith("1 / 2") and second.rstrip().endswith("2 / 2")
    for told in (
        *("Progress", "Persona development", "Conversation", "What is the plan?"),
        *("2023-11-14 22:13:22 UTC", "Outputs", "It is this.", "approved by alice", "Go on."),
    ):
        assert told in second


async def test_a_hostile_text_is_shown_as_it_was_written() -> None:
    """Typst's own markup, and that of others, is text."""
    story = Story()
    said(story, HOSTILE)
    pdf = await exported(story, Format.PDF)
    text = "".join(pages(pdf)).replace("\r\n", "").replace("\n", "")
    for written in ('#image("/etc/passwd")', "<script>alert(1)</script>", "# not a heading"):
        assert written in text
    assert "root:" not in text
    assert b"/URI" not in pdf


async def test_the_same_session_gives_the_same_pdf() -> None:
    """Nothing of when it was made is in it."""
    story = Story()
    said(story, "hello")
    assert await exported(story, Format.PDF) == await exported(story, Format.PDF)


async def test_a_line_without_a_space_stays_on_the_page() -> None:
    """It is broken where nothing says that it may be."""
    story = Story()
    said(story, "x" * 5000)
    with pypdfium2.PdfDocument(await exported(story, Format.PDF)) as document:
        text = document[1].get_textpage()
        right = max(text.get_charbox(place)[2] for place in range(text.count_chars()))
        assert right < document[1].get_width()


def test_names_without_a_space_can_be_broken() -> None:
    """Of agents, outputs and users, who may have 128 characters each: wider than a page."""
    story, long = Story(), "W" * 120
    output = OutputBody(f"o-{long}", long, "foundation_gtm", "It is this.", 1_700_000_000_000)
    happened(story, OutputSubmitted(output), OutputDecided(output.id, Decision.APPROVED))
    story.records[-1] = story.records[-1]._replace(actor=Actor(long, Role.ADMIN))
    with story_module.Story(summary_of(story.session)) as told:
        for event in history_of(story.records, story.session.id):
            told.add(event)
        (shown,) = orjson.loads(b"".join(_document(told, Needed(), _Room(Needed()))))["outputs"]
    for field in ("agent", "id", "by"):
        assert shown[field].replace("\u200b", "") in (long, output.id)
        assert max(map(len, shown[field].split("\u200b"))) == 16


async def test_a_script_without_a_font_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a font that has it; and nothing is made."""
    monkeypatch.setattr(fonts, "_coverage", lambda _: {"Other": frozenset("שלום")})
    story = Story()
    said(story, "שלום", "漢字 はい", "ไทย", "😀", "e\u0323\u0331")
    with pytest.raises(FontMissing) as failed:
        await exported(story, Format.PDF)
    detail = failed.value.detail
    for named in ("Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans Thai", "Noto Color Emoji"):
        assert named in detail
    assert "U+6F22" in detail
    assert "Hebrew" not in detail


@pytest.fixture
def lettering(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """The one font of the machine."""
    only_font(monkeypatch, tmp_path)
    yield
    forget_fonts()


@pytest.mark.usefixtures("lettering")
@pytest.mark.parametrize(
    ("word", "family", "from_the_right"),
    [
        ("שלום", "LibertinusSerif", True),
        ("مرحبا", FAMILY, True),
        ("漢字", FAMILY, False),
        ("はい", FAMILY, False),
        ("한글", FAMILY, False),
    ],
    ids=["Hebrew", "Arabic", "Han", "Hiragana", "Hangul"],
)
async def test_a_script_with_a_font_is_set_in_it(
    word: str, family: str, from_the_right: bool
) -> None:
    """Each letter is of that font, and to be seen, from the side where the script begins."""
    story = Story()
    said(story, word)
    with pypdfium2.PdfDocument(await exported(story, Format.PDF)) as document:
        page = document[1]
        assert fonts_of(page, word) == {family}
        text = page.get_textpage()
        chars = text.get_text_range()
        boxes = [text.get_charbox(chars.index(letter)) for letter in word]
        assert all(inked(page, box) for box in boxes)
        lefts = [box[0] for box in boxes]
        assert all((left > page.get_width() / 2) is from_the_right for left in lefts)
        assert lefts == sorted(lefts, reverse=from_the_right)


@pytest.mark.usefixtures("lettering")
async def test_what_that_font_lacks_is_named() -> None:
    """One letter is enough: it would be an empty box."""
    story = Story()
    said(story, "漢字 国")
    with pytest.raises(FontMissing, match=r"Noto Sans CJK SC does\), for example U\+56FD\."):
        await exported(story, Format.PDF)


def fonts_of(page: pypdfium2.PdfPage, letters: str) -> set[str]:
    """The families of the objects whose text is these letters, in either order."""
    found: set[str] = set()
    text = page.get_textpage()
    for item in page.get_objects(filter=[raw.FPDF_PAGEOBJ_TEXT]):
        size = raw.FPDFTextObj_GetText(item, text, None, 0)
        buffer = ctypes.create_string_buffer(size)
        words = ctypes.cast(buffer, ctypes.POINTER(ctypes.c_ushort))
        raw.FPDFTextObj_GetText(item, text, words, size)
        if set(buffer.raw.decode("utf-16-le").rstrip("\0")) & set(letters):
            name = ctypes.create_string_buffer(200)
            raw.FPDFFont_GetBaseFontName(raw.FPDFTextObj_GetFont(item), name, 200)
            found.add(re.sub(r"^[A-Z]{6}\+|-.*$", "", name.value.decode()))
    return found


def inked(page: pypdfium2.PdfPage, box: tuple[float, float, float, float]) -> bool:
    """Whether something is to be seen there."""
    left, bottom, right, top = box
    crop = (left, bottom, page.get_width() - right, page.get_height() - top)
    bitmap = page.render(scale=4, crop=crop, grayscale=True)
    try:
        return min(bytes(bitmap.buffer)) < 128
    finally:
        bitmap.close()


@pytest.mark.parametrize("weight", [400, 700])
def test_the_base_font_shows_the_basic_characters(weight: int) -> None:
    """A sample of them, and the ends of each range: none is the box that typst prints instead."""
    inside = re.compile(f"[{BASIC}]")
    basic = [code for code in range(0x21, 0x2700) if inside.match(chr(code))] + [0xFFFD]
    edges = {code for code in basic if code - 1 not in basic or code + 1 not in basic}
    drawn = edges | set(random.Random(7).sample(basic, 120))
    drawn -= {0xA0, 0xAD}
    boxes = _drawn([0xA015, *sorted(drawn)], weight)
    assert [
        hex(code) for code, box in zip(sorted(drawn), boxes[1:], strict=True) if box == boxes[0]
    ] == []


def _drawn(codes: list[int], weight: int) -> list[bytes]:
    source = f"""
        #set page(width: 40pt, height: 30pt, margin: 4pt)
        #set text(font: "{BASE}", weight: {weight}, fallback: false, size: 16pt)
        #for code in ({",".join(map(str, codes))}) {{ page(str.from-unicode(code)) }}
    """
    drawn: Any = typst.compile(source.encode(), ignore_system_fonts=True, format="png", ppi=48)
    return list(drawn)


def test_what_is_no_character_is_replaced() -> None:
    """No font is made for it, and none is missed."""
    needed = Needed()
    assert needed.of("a\ue000b\uffffc\U0010fffdd") == "a\ufffdb\ufffdc\ufffdd"
    assert Fonts().families(needed) == [BASE]


def test_a_text_of_basic_characters_needs_no_other_font() -> None:
    """Also where marks stand beside letters that have a form with them."""
    needed = Needed()
    assert needed.of("naïve — “ok” … Ελλάδα Россия e\u0301 a\u3000b\u200d\ufe0f") == (
        "naïve — “ok” … Ελλάδα Россия é a b\u200d\ufe0f"
    )
    assert needed.clusters == set()


async def test_a_session_that_is_too_long_is_refused_before_it_is_read() -> None:
    """The limit is the installation's, and the error names it."""
    story = Story()
    said(story, "one", "two")
    with pytest.raises(FormatUnavailable, match="at most 1 messages"):
        await exported(story, Format.PDF, most_messages=1)
    assert await exported(story, Format.PDF, most_messages=2)


async def test_an_installation_without_typst_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other forms need nothing."""
    import sys

    monkeypatch.setitem(sys.modules, "sessiond.export.pdf", None)
    story = Story()
    with pytest.raises(FormatUnavailable, match="pdf"):
        await anext(chunks(history(story), Format.PDF))
    assert await exported(story, Format.MARKDOWN)
