from __future__ import annotations

from collections import defaultdict
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from services.store.packing import ALONE_BYTES, BATCH_BYTES, BATCH_COMMITS, Line, Turn, Waiting
from services.store.writes import Commit, Outcome


def _ignore(tag: int, outcome: Outcome) -> None:
    pass


async def _nothing() -> None:
    pass


def waiting(session: int, tag: int, size: int = 1000) -> Waiting:
    return Waiting(Commit(b"i", f"s{session}", b"x", b"y"), size, _ignore, tag)


TURN = Turn(_nothing, lambda: None)

_steps = st.lists(
    st.one_of(
        st.tuples(
            st.just("join"), st.integers(0, 80), st.integers(1, 20) | st.integers(1, 1_400_000)
        ),
        st.tuples(st.just("turn"), st.just(0), st.just(0)),
        st.tuples(st.just("take"), st.just(0), st.just(0)),
        st.tuples(st.just("release"), st.integers(0, 5), st.just(0)),
    ),
    max_size=300,
)


@settings(deadline=None)
@given(_steps)
def test_every_batch_keeps_the_bounds_and_nothing_is_lost(steps: list[Any]) -> None:
    """Whatever joins in whatever order is taken once, within bounds, each session in its order."""
    line = Line()
    joined: dict[str, list[int]] = defaultdict(list)
    taken: dict[str, list[int]] = defaultdict(list)
    flying: list[list[Waiting]] = []
    turns = [0, 0]

    def take() -> bool:
        batch = line.take()
        if batch is None:
            return False
        if isinstance(batch, Turn):
            turns[1] += 1
            return True
        assert 1 <= len(batch) <= BATCH_COMMITS
        if len(batch) > 1:
            assert sum(each.size for each in batch) <= BATCH_BYTES
            assert all(each.size <= ALONE_BYTES for each in batch)
        for each in batch:
            taken[each.commit.session_id].append(each.tag)
        flying.append(list(batch))
        aloft = [each.commit.session_id for one in flying for each in one]
        assert len(set(aloft)) == len(aloft)
        return True

    for tag, (step, first, second) in enumerate(steps):
        match step:
            case "join":
                joined[f"s{first}"].append(tag)
                line.join(waiting(first, tag, second))
            case "turn":
                turns[0] += 1
                line.join_turn(TURN)
            case "take":
                take()
            case "release" if flying:
                line.release(flying.pop(first % len(flying)))
    while take() or flying:
        while flying:
            line.release(flying.pop())
    assert taken == joined
    assert turns[0] == turns[1]
    assert (line.commits, line.size) == (0, 0)


def test_a_large_commit_goes_alone() -> None:
    """A commit over 512 KiB shares its batch with nobody, and does not overtake."""
    line = Line()
    line.join(waiting(1, 1))
    line.join(waiting(2, 2, ALONE_BYTES + 1))
    line.join(waiting(3, 3))
    batches = [line.take(), line.take(), line.take()]
    assert [[each.tag for each in batch] for batch in batches if isinstance(batch, list)] == [
        [1],
        [2],
        [3],
    ]


def test_a_turn_comes_after_all_that_waited_before_it() -> None:
    """What joined before a turn is taken before it, what joined later after it."""
    line = Line()
    line.join(waiting(1, 1))
    line.join_turn(TURN)
    line.join(waiting(2, 2))
    first, second, third = line.take(), line.take(), line.take()
    assert isinstance(first, list) and [each.tag for each in first] == [1]
    assert second is TURN
    assert isinstance(third, list) and [each.tag for each in third] == [2]
