"""The text of a turn: tokens of which each is unlike all others, so that each can be counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator


def token(number: int) -> str:
    """Return one token. Some go beyond ASCII, and beyond 16 bits: lengths are in characters.

    Example: "t00016 ".
    """
    tail = ("", "é", "語", "🙂")[number % 4]
    return f"t{number:05d}{tail} "


def script(count: int) -> str:
    """Return the text of so many tokens."""
    return "".join(map(token, range(count)))


def whole(text: str, count: int) -> Iterator[str]:
    """Yield what is wrong with a text that should hold so many tokens, each once, in order."""
    if text == script(count):
        return
    found = Counter(text.split())
    wanted = [token(number).strip() for number in range(count)]
    missing = [each for each in wanted if each not in found]
    again = [each for each in wanted if found[each] > 1]
    if missing:
        yield f"{len(missing)} tokens are missing, the first {missing[0]}"
    if again:
        yield f"{len(again)} tokens came more than once, the first {again[0]}"
    if not missing and not again:
        yield "all tokens are there, and the text is another one"


def begun(text: str) -> Iterator[str]:
    """Yield a complaint unless a text is a beginning of the script, and not an empty one."""
    if not text or not script(len(text)).startswith(text):
        yield f"the text of {len(text)} characters is no beginning of what was written"
