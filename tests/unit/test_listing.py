from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from services.store.listing import LAG_MS, Place, Placing

# Times close together, so that positions, ties and the lag meet often.
_entries = st.dictionaries(
    st.text("abcz~-.", min_size=1, max_size=4),
    st.tuples(st.integers(1000, 2500), st.integers(0, LAG_MS - 1)),
    max_size=60,
)
Stored = list[tuple[int, str, int]]


def in_key_order(entries: dict[str, tuple[int, int]]) -> Stored:
    """Return (position, id, last active) as etcd gives them."""
    rows = [(position, key, position + lag) for key, (position, lag) in entries.items()]
    return sorted(rows, key=lambda row: (-row[0], row[1]))


def page(stored: Stored, after: Place | None, size: int, read_at_once: int) -> list[Place]:
    """Return one page by the rules of listing, reading a few keys at a time."""
    placing: Placing[None] = Placing(after)
    if after is not None:
        position, last_id = after.read_after
        stored = [row for row in stored if (-row[0], row[1]) > (-position, last_id)]
    found: list[Place] = []
    start = 0
    while len(found) < size:
        run = stored[start : start + read_at_once]
        start += len(run)
        for _, session_id, last_active in run:
            placing.add(Place.of(last_active, session_id), None)
        more = start < len(stored)
        found += [place for place, _ in placing.placed(run[-1][0] if more else None)]
        if not more:
            break
    return found[:size]


@settings(deadline=None)
@given(_entries, st.integers(1, 12), st.integers(1, 9))
def test_pages_are_exactly_the_sorted_list(
    entries: dict[str, tuple[int, int]], size: int, read_at_once: int
) -> None:
    """Newest activity first, ties by id: page after page, nothing twice and nothing left out."""
    stored = in_key_order(entries)
    expected = sorted(Place.of(last_active, session_id) for _, session_id, last_active in stored)
    listed: list[Place] = []
    after: Place | None = None
    while found := page(stored, after, size, read_at_once):
        listed += found
        after = found[-1]
    assert listed == expected


def test_an_entry_waits_until_no_unread_one_can_come_before_it() -> None:
    """It may be placed at lastActive = t of the next key + 250 ms, and no sooner."""
    placing: Placing[None] = Placing()
    placing.add(Place.of(1249, "a"), None)
    assert placing.placed(1000) == []
    assert [place.session_id for place, _ in placing.placed(999)] == ["a"]


def test_the_last_entries_are_placed_when_nothing_is_unread() -> None:
    """Ties are in the order of their ids."""
    placing: Placing[None] = Placing()
    for session_id in ("b", "a"):
        placing.add(Place.of(5, session_id), None)
    assert [place.session_id for place, _ in placing.placed(None)] == ["a", "b"]
