"""Values of the rules are compared by what they are, and none can be taken for another."""

from __future__ import annotations

import importlib
import pkgutil
from itertools import combinations
from typing import get_type_hints

import pytest

import sessiond.session
from sessiond.session.events import Record, SessionPaused
from tests.unit.stories import ALICE, Story


def named_tuples() -> list[type[tuple[object, ...]]]:
    """Every named tuple of the rules."""
    modules = pkgutil.iter_modules(sessiond.session.__path__, "sessiond.session.")
    defined = {
        kind
        for module in modules
        for kind in vars(importlib.import_module(module.name)).values()
        if isinstance(kind, type) and issubclass(kind, tuple) and hasattr(kind, "_fields")
    }
    return sorted(defined, key=lambda kind: kind.__name__)


def could_be_equal(one: type, other: type) -> bool:
    """Whether tuples of them may be equal: not if one begins with text, and one with a number."""
    if len(one.__match_args__) != len(other.__match_args__):  # type: ignore[attr-defined]
        return False
    firsts = {get_type_hints(kind)[kind.__match_args__[0]] for kind in (one, other)}  # type: ignore[attr-defined]
    return firsts != {str, int}


def test_no_named_tuple_of_the_rules_equals_one_of_another_kind() -> None:
    """Tuples are equal when their members are, whatever their kinds: so kinds differ by more."""
    kinds = named_tuples()
    assert Record in kinds
    for one, other in combinations(kinds, 2):
        assert not could_be_equal(one, other), (one, other)


def test_values_cannot_be_changed() -> None:
    """Whoever holds one may rely on it."""
    story = Story()
    record = Record(2, 0, ALICE.actor, SessionPaused())
    for value in (story.session, record, record.actor):
        with pytest.raises(AttributeError):
            value.seq = 7  # type: ignore[misc, union-attr]
    with pytest.raises(TypeError):
        story.session.outputs["o"] = None  # type: ignore[index]
