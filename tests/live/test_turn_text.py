"""A running turn's text: it grows at its end, and repeated pieces leave it as it is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.live.turns import TurnText
from sessiond.errors import InvalidArgument
from sessiond.session.access import Actor, Role
from sessiond.session.state import Turn

MANY = 1_000_000
TURN = Turn(id="t1", actor=Actor("worker", Role.AGENT), op_id="b1", agent_id="writer", seq=2)


def test_pieces_follow_one_another() -> None:
    """The text is what was written, in order."""
    text = TurnText(TURN)
    assert text.write(0, "Hel", limit=MANY)
    assert text.write(3, "lo", limit=MANY)
    assert (text.text, text.length) == ("Hello", 5)


def test_a_repeated_piece_leaves_what_is_there() -> None:
    """A worker that comes back may say again what was stored, and something new after it."""
    text = TurnText(TURN)
    text.write(0, "Hello", limit=MANY)
    assert text.write(3, "XX, world", limit=MANY)
    assert text.text == "Hello, world"


def test_a_piece_that_leaves_a_hole_is_refused() -> None:
    """What is lost on the way is never papered over."""
    text = TurnText(TURN)
    text.write(0, "Hello", limit=MANY)
    with pytest.raises(InvalidArgument):
        text.write(6, "world", limit=MANY)
    assert text.text == "Hello"


def test_lengths_count_characters_and_the_limit_counts_bytes() -> None:
    """Offsets are code points on every side; the limit is what etcd has to hold."""
    text = TurnText(TURN)
    assert text.write(0, "🌍é", limit=6)
    assert text.length == 2
    assert not text.write(2, "x", limit=6)
    assert text.text == "🌍é"


def test_drafts_give_the_text_back() -> None:
    """A new owner goes on where the drafts end."""
    text = TurnText(TURN, [(0, "He"), (2, "llo")])
    assert (text.text, text.stored, text.pieces, text.unstored) == ("Hello", 5, 2, 0)
    with pytest.raises(ValueError, match="begins at 3"):
        TurnText(TURN, [(0, "He"), (3, "lo")])


def test_what_is_stored_is_not_stored_again() -> None:
    """Each piece begins where the one before ended, also when writing went on meanwhile."""
    text = TurnText(TURN)
    text.write(0, "one ", limit=MANY)
    number, offset, piece = text.store()
    text.write(4, "two", limit=MANY)
    text.keep(offset + len(piece))
    assert (number, offset, piece) == (1, 0, "one ")
    assert text.store() == (2, 4, "two")


@given(st.lists(st.tuples(st.sampled_from(["write", "store", "read"]), st.text(max_size=5))))
def test_every_suffix_is_right_whatever_was_joined_before(steps: list[tuple[str, str]]) -> None:
    """Readers ask for the end of the text at any moment, and get just that."""
    text, whole = TurnText(TURN), ""
    for step, piece in steps:
        if step == "write":
            text.write(len(whole), piece, limit=MANY)
            whole += piece
        elif step == "store":
            _, offset, stored = text.store()
            assert stored == whole[offset:]
            text.keep(offset + len(stored))
        else:
            assert text.text == whole
        assert all(text.after(n) == whole[n:] for n in range(len(whole) + 1))
