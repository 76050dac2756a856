"""The checker is silent on legal rounds, and speaks after any one harm."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.faults.check import check
from tests.faults.check_mutations import HARMS, Harm, harmed
from tests.faults.history import Operation, Outcome
from tests.faults.worlds import World

SEEDS = st.integers(0, 2**32)


@settings(deadline=None, max_examples=100)
@given(seed=SEEDS, clients=st.integers(1, 8), steps=st.integers(1, 500))
def test_a_legal_round_is_never_complained_about(seed: int, clients: int, steps: int) -> None:
    """Concurrent clients, unknown outcomes, late effects, takeovers, deletions: no false alarm."""
    assert check(*World(Random(seed), clients=clients).run(steps)) == []


@pytest.mark.parametrize("harm", HARMS, ids=[harm.__name__ for harm in HARMS])
def test_one_harm_is_always_found(harm: Harm) -> None:
    """Wherever in a random legal round it is done."""

    @settings(deadline=None, max_examples=25)
    @given(seed=SEEDS)
    def found(seed: int) -> None:
        chance = Random(seed)
        # Not every world has a place for every harm; one of so many has, or the harm is vain.
        tries = (harmed(harm, World(chance).run(400), chance) for _ in range(100))
        assert check(*next(each for each in tries if each is not None))

    found()


def test_worlds_hold_every_outcome() -> None:
    """The silence above is worth something: there were unknown outcomes and refusals."""
    history, _ = World(Random(1)).run(2000)
    outcomes = {each.outcome for each in history if isinstance(each, Operation)}
    assert outcomes == set(Outcome)
