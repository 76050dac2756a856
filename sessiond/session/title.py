"""A session's title where nobody gave one: the beginning of the first user message."""

from __future__ import annotations

import re

TITLE_CHARACTERS = 60
_WORD = re.compile(r"[^\s\x00-\x1f\x7f-\x9f]+")


def title_of(content: str) -> str:
    """Return a title for a conversation that begins with this text; "" if it is all blank.

    Runs of white space and control characters become one space. The title ends at the last word
    boundary within 60 characters, or at the 60th character of a longer word.
    """
    # A message may be half a megabyte long: its words are looked at as far as they fit.
    text = ""
    for word in _WORD.finditer(content):
        text = f"{text} {word[0]}" if text else word[0]
        if len(text) > TITLE_CHARACTERS:
            boundary = text.rfind(" ", 0, TITLE_CHARACTERS + 1)
            return text[: TITLE_CHARACTERS if boundary < 0 else boundary]
    return text
