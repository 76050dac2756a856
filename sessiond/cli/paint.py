"""Text for people: coloured on a terminal, and free of what would take a terminal over."""

from __future__ import annotations

import os
import re
from typing import TextIO

BOLD, DIM, RED, GREEN, YELLOW, BLUE, CYAN = "1", "2", "31", "32", "33", "34", "36"

# What others wrote may hold escape sequences: only line ends and tabs are let through. Half a pair
# of surrogates, of a file's name that is no UTF-8 or out of JSON, cannot be printed at all.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def plain(text: str) -> str:
    """Return the text with every control character but line end and tab replaced."""
    return _CONTROL.sub("�", text.replace("\r\n", "\n"))


def one_line(text: str, width: int) -> str:
    """Return the text without line ends, cut to a width in characters."""
    text = " ".join(plain(text).split())
    return text if len(text) <= width else text[: max(0, width - 1)] + "…"


def is_coloured(stream: TextIO) -> bool:
    """Return whether colours are wanted: on a terminal that has them, unless NO_COLOR is set."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


class Brush:
    """Paints text with the styles above, or not at all."""

    def __init__(self, *, coloured: bool) -> None:
        self._coloured = coloured

    def __call__(self, text: str, *styles: str) -> str:
        """Return the text in these styles."""
        if not self._coloured or not styles or not text:
            return text
        return f"\x1b[{';'.join(styles)}m{text}\x1b[0m"
