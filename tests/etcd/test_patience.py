"""How long a batch is waited for."""

from __future__ import annotations

from services.store.etcd.patience import LONGEST, SHORTEST, Patience


def test_patience_grows_while_nothing_answers_and_stays_bounded() -> None:
    """Each loss lets it wait longer, up to a second."""
    patience = Patience()
    waits = []
    for _ in range(10):
        waits.append(patience.seconds)
        patience.lost()
    assert waits == sorted(waits)
    assert (waits[0], waits[-1]) == (SHORTEST, LONGEST)
    assert waits[1] > waits[0]


def test_a_quick_answer_makes_it_short_again() -> None:
    """A leader's death costs the writes after it nothing."""
    patience = Patience()
    patience.lost()
    patience.answered(0.002)
    assert patience.seconds == SHORTEST


def test_an_etcd_that_stays_slow_is_not_written_everything_twice() -> None:
    """Answers that take nearly as long as was waited keep the patience that they needed."""
    patience = Patience()
    lost = 0
    for _ in range(100):
        if patience.seconds < 0.6:
            patience.lost()
            lost += 1
        else:
            patience.answered(0.6)
    assert lost < 5
