from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from services.store.answers import ScopeChange
from services.store.pending import INTERVAL_SECONDS, Change, Pending


def entered(revision: int, session_id: str, value: bytes = b"") -> ScopeChange:
    return ScopeChange(revision, ((session_id, value or str(revision).encode()),), ())


def left(revision: int, session_id: str) -> ScopeChange:
    return ScopeChange(revision, (), (session_id,))


def test_the_first_change_is_told_at_once() -> None:
    """Nobody waits for a timer."""
    pending = Pending([5])
    pending.offer(0, entered(6, "a"), 100.0)
    assert pending.take(100.0) == Change("a", b"6")
    assert pending.take(100.0) is None
    assert pending.revisions == [6]


def test_a_session_is_told_four_times_a_second_and_the_newest_wins() -> None:
    """What comes sooner waits, and only its last state is told."""
    pending = Pending([0])
    told = []
    for step in range(100):  # a change every 10 ms
        now = 100 + step / 100
        pending.offer(0, entered(step + 1, "a"), now)
        if (change := pending.take(now)) is not None:
            told.append((now, change.entry))
    assert told == [(100.0, b"1"), (100.25, b"26"), (100.5, b"51"), (100.75, b"76")]
    assert pending.next_due == 101.0
    assert pending.take(101.0) == Change("a", b"100")


def test_other_sessions_do_not_wait() -> None:
    """The limit is one session's own."""
    pending = Pending([0])
    pending.offer(0, entered(1, "a"), 1.0)
    assert pending.take(1.0) is not None
    pending.offer(0, entered(2, "a"), 1.1)
    pending.offer(0, entered(3, "b"), 1.1)
    assert pending.take(1.1) == Change("b", b"3")
    assert pending.take(1.1) is None


def test_a_cursor_never_passes_what_was_not_told() -> None:
    """While a change of revision 2 waits, the cursor stands at 1, whatever else was told."""
    pending = Pending([0])
    pending.offer(0, entered(1, "a"), 1.0)
    pending.take(1.0)
    pending.offer(0, entered(2, "a"), 1.1)
    pending.offer(0, entered(3, "b"), 1.1)
    pending.take(1.1)
    assert pending.revisions == [1]
    pending.take(1.25)
    assert pending.revisions == [3]


def test_silence_moves_the_cursor() -> None:
    """A scope that is known to be unchanged up to a revision needs nothing before it again."""
    pending = Pending([5, 7])
    pending.offer(0, ScopeChange(50, (), ()), 1.0)
    assert pending.revisions == [50, 7]


def test_a_session_that_moves_between_scopes_stays() -> None:
    """Leaving one and entering the other at one revision is no removal, in either order."""
    for order in ((0, 1), (1, 0)):
        pending = Pending([10, 10], [("a", 10)])
        brought = (left(11, "a"), entered(11, "a"))
        for scope in order:
            pending.offer(scope, brought[scope], 1.0)
        assert pending.take(1.0) == Change("a", b"11")
        assert pending.take(2.0) is None


def test_a_scope_that_lags_tells_nothing_old() -> None:
    """What another scope has overtaken is not told any more."""
    pending = Pending([10, 10])
    pending.offer(1, entered(12, "a"), 1.0)
    pending.offer(1, left(20, "a"), 1.0)
    assert pending.take(1.0) == Change("a", None)
    pending.offer(0, entered(11, "a"), 2.0)
    pending.offer(0, left(12, "a"), 2.0)
    assert pending.take(2.0) is None
    assert pending.revisions == [12, 20]


def test_what_was_listed_later_is_not_taken_back() -> None:
    """A removal older than the listing that showed the session is not told."""
    pending = Pending([10, 15], [("a", 15)])
    pending.offer(0, left(12, "a"), 1.0)
    assert pending.take(1.0) is None


def test_it_says_when_it_is_full() -> None:
    """So that feeds wait, and memory stays bounded."""
    pending = Pending([0], capacity=2)
    full = []
    for change in (entered(1, "a"), entered(2, "a"), entered(3, "b")):
        pending.offer(0, change, 1.0)
        full.append(pending.full)
    pending.take(1.0)
    full.append(pending.full)
    assert full == [False, False, True, False]


_steps = st.lists(
    st.tuples(
        st.sampled_from("abc"), st.booleans(), st.floats(0.0, 0.4), st.booleans(), st.booleans()
    ),
    max_size=60,
)


@settings(deadline=None)
@given(_steps)
def test_the_last_state_is_told_in_the_end(
    steps: list[tuple[str, bool, float, bool, bool]],
) -> None:
    """Whatever comes when: at most every 250 ms per session, and ending with the truth."""
    pending = Pending([0])
    truth: dict[str, bytes | None] = {}
    held: dict[str, bytes | None] = {}
    last: dict[str, float] = {}
    now = 0.0

    def take_all() -> None:
        while (change := pending.take(now)) is not None:
            told = last.get(change.session_id)
            assert told is None or now - told >= INTERVAL_SECONDS - 1e-9
            last[change.session_id] = now
            held[change.session_id] = change.entry

    for revision, (name, here, wait, reads, silent) in enumerate(steps, 1):
        now += wait
        if silent:
            pending.offer(0, ScopeChange(revision, (), ()), now)
            continue
        change = entered(revision, name) if here else left(revision, name)
        pending.offer(0, change, now)
        truth[name] = str(revision).encode() if here else None
        if reads:
            take_all()
    while (due := pending.next_due) is not None:
        now = max(now, due)
        take_all()
    assert held == truth
    if steps:
        assert pending.revisions == [len(steps)]
