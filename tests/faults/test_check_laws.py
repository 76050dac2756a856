"""Each law has a tale that breaks it and no other, and a neighbour that breaks none."""

from __future__ import annotations

import pytest

from tests.faults.check import Law
from tests.faults.check_stories import Tale, story
from tests.faults.check_tales import TALES


def test_the_story_breaks_no_law() -> None:
    """All tales start from a legal round."""
    assert story().laws() == set()


@pytest.mark.parametrize(("law", "tale"), TALES, ids=[tale.__name__ for _, tale in TALES])
def test_a_broken_law_is_named_and_its_neighbour_passes(law: Law, tale: Tale) -> None:
    """The checker misses nothing that it can know, and raises no false alarm."""
    broken, legal = story(), story()
    tale(broken, True)
    tale(legal, False)
    assert broken.laws() == {law}
    assert legal.laws() == set()


def test_every_law_has_its_tale() -> None:
    """No name stands in the checker that it was never seen to say."""
    assert {law for law, _ in TALES} == set(Law)
