"""Placement: every session has one place, places are even, and little moves."""

from __future__ import annotations

from dataclasses import dataclass

from services.serving.placement import placed

SESSIONS = [f"session-{n}" for n in range(6000)]


@dataclass(frozen=True)
class Place:
    id: bytes
    draining: bool = False


def places(count: int) -> list[Place]:
    return [Place(bytes([n]) * 16) for n in range(count)]


def where(instances: list[Place]) -> dict[str, Place | None]:
    return {session_id: placed(session_id, instances) for session_id in SESSIONS}


def test_sessions_are_spread_evenly() -> None:
    """Each of six instances has a sixth of the sessions, give or take a tenth of that."""
    found = list(where(places(6)).values())
    for place in places(6):
        assert 900 <= found.count(place) <= 1100


def test_an_instance_that_joins_takes_its_share_and_moves_nothing_else() -> None:
    """What moves goes to the new one, and about a fourth of all does."""
    before, after = where(places(3)), where(places(4))
    moved = {after[each] for each in SESSIONS if before[each] != after[each]}
    assert moved == {places(4)[3]}
    assert 1350 <= sum(before[each] != after[each] for each in SESSIONS) <= 1650


def test_only_the_sessions_of_one_that_leaves_move() -> None:
    """The others stay where they are."""
    before, after = where(places(4)), where(places(4)[1:])
    leaver = places(4)[0]
    assert all(after[each] == before[each] for each in SESSIONS if before[each] != leaver)
    assert {after[each] for each in SESSIONS} == set(places(4)[1:])


def test_nothing_is_placed_on_one_that_drains() -> None:
    """An instance about to leave counts as gone; where only such are left, there is no place."""
    first, *others = places(4)
    leaving = Place(first.id, draining=True)
    assert where([leaving, *others]) == where(others)
    assert placed("s", [leaving]) is None
    assert placed("s", []) is None


def test_the_order_in_which_instances_are_known_does_not_matter() -> None:
    """Two processes that know the same instances agree."""
    assert where(places(5)) == where(places(5)[::-1])


def test_placement_is_the_same_in_every_process_and_version() -> None:
    """Replicas of two releases run side by side, so the hash is part of what they agree on."""
    chosen = [placed(f"session-{n}", places(4)) for n in range(8)]
    assert [each.id[0] for each in chosen if each is not None] == [1, 1, 1, 0, 2, 1, 1, 0]
