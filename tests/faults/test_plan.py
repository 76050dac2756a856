"""Plans are pure: a seed says all."""

from __future__ import annotations

from collections import Counter

from tests.faults.parts.points import POINTS as WRAPPED
from tests.faults.plan import BLOCK, KINDS, POINTS, kinds_of, plan


def test_a_seed_gives_one_plan() -> None:
    """The same seed gives the same plan, and others give others."""
    assert [plan(seed) for seed in range(200)] == [plan(seed) for seed in range(200)]
    assert len({plan(seed).strikes for seed in range(200)}) == 200


def test_a_block_of_seeds_uses_every_kind_once() -> None:
    """Kinds come equally often, and rounds combine one to three of them."""
    for first in (0, 9 * BLOCK, 1000 * BLOCK):
        plans = [plan(seed) for seed in range(first, first + BLOCK)]
        kinds = [strike.kind for each in plans for strike in each.strikes]
        assert sorted(kinds) == sorted(KINDS)
        assert {len(each.strikes) for each in plans} == {1, 2, 3}


def test_fifty_consecutive_seeds_use_every_kind_twice() -> None:
    """Wherever a run of seeds begins, no kind is left out and none is much more frequent."""
    for first in (0, 7, 1001, 123_456):
        used = Counter(kind for seed in range(first, first + 50) for kind in kinds_of(seed))
        assert set(used) == set(KINDS)
        assert set(used.values()) <= {2, 3, 4}


def test_a_plan_stays_within_its_kinds() -> None:
    """Each fault befalls one that it may befall, for as long as it may, while there is load."""
    for seed in range(500):
        made = plan(seed)
        for strike in made.strikes:
            kind = KINDS[strike.kind]
            assert strike.against in kind.against
            assert kind.seconds[0] <= strike.lasts <= kind.seconds[1]
            assert 0 < strike.at < strike.at + strike.lasts < made.seconds
            assert kind.need in {"", *made.needs}


def test_every_crash_point_of_a_plan_is_wrapped() -> None:
    """What a plan can order is a point that the launcher knows, and none is left out."""
    assert set(POINTS.values()) == set(WRAPPED["live"])
