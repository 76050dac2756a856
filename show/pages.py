"""The pages of a PDF as pictures, to be looked at; an empty one is seen without anybody's eyes."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import NamedTuple

import pypdfium2

_SCALE = 1.5
"""Of 72 dots an inch."""

_FOOTER = 0.09
"""Of a page's height: what stands there is on every page."""


class Picture(NamedTuple):
    """One page: rows of three bytes for each dot, without anything between them."""

    width: int
    height: int
    dots: bytes

    @property
    def blank(self) -> bool:
        """Whether nothing is to be seen above the footer."""
        above = self.dots[: 3 * self.width * int(self.height * (1 - _FOOTER))]
        return above == above[:3] * (len(above) // 3)

    def png(self) -> bytes:
        """Return it as a PNG."""
        row = 3 * self.width
        rows = b"".join(
            b"\0" + self.dots[start : start + row] for start in range(0, len(self.dots), row)
        )
        head = struct.pack(">IIBBBBB", self.width, self.height, 8, 2, 0, 0, 0)
        parts = ((b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
        return b"\x89PNG\r\n\x1a\n" + b"".join(
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
            for kind, data in parts
        )


def pictures(pdf: bytes) -> list[Picture]:
    """Return the pages of a PDF, in their order."""
    with pypdfium2.PdfDocument(pdf) as document:
        return [_picture(page) for page in document]


def write_pages(pdf: bytes, beside: Path) -> tuple[int, list[str]]:
    """Write each page of a PDF beside it, as `name-1.png` and so on; pages of before are removed.

    Returns how many there are, and what is wrong.
    """
    for old in beside.parent.glob(f"{beside.stem}-*.png"):
        old.unlink()
    wrong: list[str] = []
    pages = pictures(pdf)
    for number, picture in enumerate(pages, 1):
        beside.with_name(f"{beside.stem}-{number}.png").write_bytes(picture.png())
        if picture.blank:
            wrong.append(f"page {number} of the PDF is blank")
    return len(pages), wrong


def _picture(page: pypdfium2.PdfPage) -> Picture:
    bitmap = page.render(scale=_SCALE, rev_byteorder=True, prefer_bgrx=False)
    try:
        row, data = 3 * bitmap.width, bytes(bitmap.buffer)
        rows = range(0, bitmap.height * bitmap.stride, bitmap.stride)
        dots = b"".join(data[start : start + row] for start in rows)
        return Picture(bitmap.width, bitmap.height, dots)
    finally:
        bitmap.close()
