"""What watchers of a turn were shown: each character once, and never another one."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from show import script
from show.audience import Shown, complaints_about, delays


class Somebody:
    """A watcher who has seen what it is given."""

    name = "somebody"
    failed = ""

    def __init__(self, **shown: Shown) -> None:
        self.shown = dict(shown)

    async def open(self) -> None:
        pass

    async def close(self) -> None:
        pass


async def whole() -> Shown:
    """A turn that was seen token by token, over a reconnect, to its end."""
    shown = Shown()
    shown.take(0, "abc")
    shown.take(3, "d")
    shown.begin("abcdef")
    shown.take(4, "efg")
    shown.end("completed", "abcdefgh")
    return shown


def told(shown: Shown) -> list[str]:
    watcher = Somebody(turn=shown)
    return list(complaints_about(watcher, "turn", text="abcdefgh", outcome="completed"))


async def test_what_comes_again_is_dropped() -> None:
    """By offset, as one who joins again is told the text so far."""
    shown = await whole()
    assert shown.text == "abcdefg"
    assert [length for length, _ in shown.arrived] == [3, 4, 6, 7]
    assert told(shown) == []


@pytest.mark.parametrize(
    ("breaks", "complaint"),
    [
        (lambda shown: shown.take(9, "x"), "1 tokens behind a hole"),
        (lambda shown: shown.take(2, "x"), "1 tokens that contradict others"),
        (lambda shown: shown.begin("abX"), "1 tokens that contradict others"),
        (lambda shown: shown.take(7, "x"), "tokens that are not in the text"),
        (lambda shown: shown.end("completed", "abc"), "another text than is stored"),
        (lambda shown: shown.end("failed", "abcdefgh"), "saw the turn end as failed"),
    ],
)
async def test_what_is_wrong_is_named(breaks: Callable[[Shown], None], complaint: str) -> None:
    """Holes, contradictions, what was never written, another text, another end."""
    shown = await whole()
    breaks(shown)
    assert any(complaint in each for each in told(shown)), told(shown)


async def test_one_who_missed_the_end_or_the_turn_is_told() -> None:
    """Nobody may be left behind."""
    unended = Shown(text="abc")
    for watcher in (Somebody(), Somebody(turn=unended)):
        complaints = complaints_about(watcher, "turn", text="abc", outcome="completed")
        assert list(complaints) == ["somebody did not see the turn end"]


async def test_one_who_can_watch_no_longer_is_told() -> None:
    """With its reason."""
    watcher = Somebody(turn=await whole())
    watcher.failed = "it was reset"
    complaints = complaints_about(watcher, "turn", text="abcdefgh", outcome="completed")
    assert list(complaints) == ["somebody can watch no longer: it was reset"]


def test_delays_are_those_of_each_token_apart_from_the_fault() -> None:
    """A token has arrived when the text is as long as it made it."""
    length = len(script.token(0))
    shown = Shown(arrived=[(length, 1.0), (len(script.script(3)), 11.0)])
    usual, around = delays([shown], [0.75, 10.5, 10.75, 12.0], fault=10.0, tokens=4)
    assert (usual, around) == ([0.25], [0.5, 0.25])


def test_a_script_counts_its_tokens() -> None:
    """Every token is unlike all others, and what is missing, doubled or moved is found."""
    text = script.script(100)
    assert len({script.token(number) for number in range(100)}) == 100
    assert list(script.whole(text, 100)) == []
    assert list(script.whole(text.replace(script.token(7), ""), 100)) == [
        "1 tokens are missing, the first t00007🙂"
    ]
    assert list(script.whole(text + script.token(7), 100)) == [
        "1 tokens came more than once, the first t00007🙂"
    ]
    assert list(script.whole(script.token(7) + text.replace(script.token(7), ""), 100)) == [
        "all tokens are there, and the text is another one"
    ]


def test_a_beginning_of_the_script_is_some_of_it_and_nothing_else() -> None:
    """Cut anywhere, but not empty, and not another text."""
    text = script.script(100)
    assert list(script.begun(text[:333])) == []
    assert list(script.begun(""))
    assert list(script.begun(text[1:50]))
    assert list(script.begun(text[:50] + text[40:80]))
