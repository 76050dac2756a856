"""Which fonts show a text. Typst prints a box for what no font has, and says nothing of it."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

import typst
from fontTools.ttLib import TTFont
from fontTools.unicodedata import script, script_name

from sessiond.errors import FontMissing

BASE = "Libertinus Serif"
"""The font that typst brings itself; it comes first, so that documents look alike everywhere."""

BASIC = (
    " -~\u00a0-\u02e4\u0386-\u038a\u038e-\u03a1\u03a3-\u03ce\u0400-\u045f\u0490\u0491"
    "\u05be\u05d0-\u05ea\u05f0-\u05f4\u1ea0-\u1ef9"
    "\u2010-\u2027\u2030-\u2037\u2039-\u203e\u20ac\u2116\u2122\u2190-\u2195\u2212\u2264\u2265\ufffd"
)
"""What that font shows, as the inside of a character class: less than it does, and tested."""

# They show nothing themselves, and no font needs a glyph for them.
_UNSEEN = (
    "\n\t\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\U000e0000-\U000e0fff"
)
_WIDE_SPACE = re.compile("[\u1680\u2000-\u200a\u202f\u205f\u3000]")
_DROPPED = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2060-\u206f\u3164\ufeff\uffa0"
    "\U000e0000-\U000e0fff]"
)

_FAMILIES = {
    "Hani": "Noto Sans CJK SC",
    "Hira": "Noto Sans CJK JP",
    "Kana": "Noto Sans CJK JP",
    "Hang": "Noto Sans CJK KR",
    "Bopo": "Noto Sans CJK TC",
    "Latn": "Noto Sans",
    "Grek": "Noto Sans",
    "Cyrl": "Noto Sans",
    "Arab": "Noto Naskh Arabic",
    "Zinh": "Noto Sans",
}
_EMOJI = re.compile("[\u2600-\u27bf\u2b00-\u2bff\U0001f000-\U0001faff]")


class Needed:
    """What a document shows beyond the basic characters: each with the marks that stand on it."""

    def __init__(self) -> None:
        self.clusters: set[str] = set()

    def of(self, text: str) -> str:
        """Take note of a text, and return it as it is to be set.

        Characters that are none, or nobody's, become U+FFFD: no font is made for them.
        """
        if text.isascii():
            return text
        text = unicodedata.normalize("NFC", _many_marks().sub("\\g<0>\u034f", text))
        text = _DROPPED.sub("", _WIDE_SPACE.sub(" ", text))
        clusters = set(_beyond().findall(text))
        unknown = {
            ord(char): "\ufffd"
            for cluster in clusters - self.clusters
            for char in cluster
            if unicodedata.category(char) in ("Cn", "Co", "Cs")
        }
        if unknown:
            text = text.translate(unknown)
            clusters = set(_beyond().findall(text))
        self.clusters |= clusters
        return text


class Fonts:
    """The fonts of this machine, as typst finds them."""

    def __init__(self) -> None:
        self.found = _fonts()

    def families(self, needed: Needed) -> list[str]:
        """Return the families that together show all that is needed, the base font first.

        Raises:
            FontMissing: they do not.
        """
        chosen = [BASE]
        left = needed.clusters
        if not left:
            return chosen
        shows = _coverage(self.found)
        while left:
            counts = {
                family: sum(1 for cluster in left if chars.issuperset(cluster))
                for family, chars in shows.items()
            }
            best = max(sorted(counts), key=counts.__getitem__, default="")
            if not counts.get(best):
                raise FontMissing(_sentence(left))
            chosen.append(best)
            left = {cluster for cluster in left if not shows[best].issuperset(cluster)}
        return chosen


@lru_cache(maxsize=1)
def _fonts() -> typst.Fonts:
    return typst.Fonts(include_system_fonts=True, include_embedded_fonts=True)


@lru_cache(maxsize=1)
def _coverage(fonts: typst.Fonts) -> dict[str, frozenset[str]]:
    """Return the characters of each family that lies in files: those of all faces that are set."""
    faces: dict[str, list[frozenset[str]]] = {}
    for font in fonts.fonts():
        upright = font.style == "normal" and font.stretch == 1.0
        if font.path is not None and upright and font.weight in (400, 700):
            chars = _characters(font.path, font.index)
            faces.setdefault(font.family, []).append(chars)
    return {family: frozenset.intersection(*found) for family, found in faces.items()}


@lru_cache(maxsize=10_000)
def _characters(path: str, index: int) -> frozenset[str]:
    with TTFont(path, fontNumber=index, lazy=True) as font:
        glyphs = font.getBestCmap() or {}
        return frozenset(chr(code) for code, name in glyphs.items() if name != ".notdef")


@lru_cache(maxsize=1)
def _marks() -> str:
    """Return the marks that stand on other characters, as the inside of a character class."""
    codes = {
        code
        for code in range(0x300, 0x1F000)
        if unicodedata.category(chr(code)) in ("Mn", "Mc", "Me")
        and not re.match(f"[{_UNSEEN}]", chr(code))
    }
    # As ranges: each character of a text is compared with all that stands beyond U+FFFF.
    return "".join(
        f"{chr(first)}-{chr(last)}"
        for first, last in zip(
            sorted(code for code in codes if code - 1 not in codes),
            sorted(code for code in codes if code + 1 not in codes),
            strict=True,
        )
    )


@lru_cache(maxsize=1)
def _many_marks() -> re.Pattern[str]:
    """Return what finds so many marks in a row that no language has them.

    To bring them into their order takes the square of their number.
    """
    return re.compile(f"[{_marks()}]{{30}}")


@lru_cache(maxsize=1)
def _beyond() -> re.Pattern[str]:
    """Return what finds characters beyond the basic ones, and any with marks on it."""
    marks = _marks()
    return re.compile(f"[^{_UNSEEN}{marks}][{marks}]{{1,30}}|[^{BASIC}{_UNSEEN}]")


def _sentence(left: set[str]) -> str:
    scripts: dict[str, list[str]] = {}
    for cluster in sorted(left):
        named = ("Emoji", "Noto Color Emoji") if _EMOJI.match(cluster) else _script(cluster)
        scripts.setdefault(f"{named[0]} (the font {named[1]} does)", []).append(cluster)
    told = "; ".join(
        f"{name}, for example {' '.join(f'U+{ord(each[0]):04X}' for each in found[:3])}"
        for name, found in sorted(scripts.items())
    )
    return f"No font of this installation shows characters of: {told}."


def _script(cluster: str) -> tuple[str, str]:
    code = script(cluster[0])
    if code in ("Zyyy", "Zinh", "Zzzz"):
        return "Symbols", "Noto Sans Symbols 2"
    name = script_name(code).replace("_", " ")
    return name, _FAMILIES.get(code, f"Noto Sans {name}")
