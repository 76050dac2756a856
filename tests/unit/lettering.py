"""A font for tests: a few letters of scripts that few machines have a font for."""

from __future__ import annotations

from pathlib import Path

import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen

from sessiond.export import fonts

FAMILY = "Lettering"
LETTERS = "مرحبا漢字はい한글"


def only_font(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Let the machine have this font, and no other. Linux finds fonts by this setting."""
    files, setting = folder / "fonts", folder / "fonts.conf"
    files.mkdir()
    setting.write_text(
        '<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd">'
        f"<fontconfig><dir>{files}</dir></fontconfig>"
    )
    _make(files / "lettering.ttf")
    monkeypatch.setenv("FONTCONFIG_FILE", str(setting))
    forget_fonts()


def forget_fonts() -> None:
    """Let them be looked for again."""
    fonts._fonts.cache_clear()
    fonts._coverage.cache_clear()


def _make(path: Path) -> None:
    """A letter is a bar, each a little wider than the one before; what has no letter is empty."""
    letters = sorted(set(LETTERS))
    names = [f"u{ord(letter):04X}" for letter in letters]
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder([".notdef", *names])
    builder.setupCharacterMap(dict(zip(map(ord, letters), names, strict=True)))
    glyphs = {".notdef": TTGlyphPen(None).glyph()}
    for place, name in enumerate(names, 1):
        pen = TTGlyphPen(None)
        pen.moveTo((50, 0))
        for point in ((50, 700), (200 + 30 * place, 700), (200 + 30 * place, 0)):
            pen.lineTo(point)
        pen.closePath()
        glyphs[name] = pen.glyph()
    builder.setupGlyf(glyphs)
    builder.setupHorizontalMetrics(dict.fromkeys(glyphs, (900, 50)))
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    naming = ("familyName", "fullName", "psName", "uniqueFontIdentifier")
    builder.setupNameTable({"styleName": "Regular"} | dict.fromkeys(naming, FAMILY))
    builder.setupOS2(usWeightClass=400, usWidthClass=5)
    builder.setupPost()
    builder.save(path)
