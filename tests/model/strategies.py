"""What hypothesis chooses from: small worlds, so that things meet."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import strategies as st

from tests.model.speaking import canonical


@dataclass(frozen=True)
class Aim:
    """Who acts on which session, under which operation id, expecting which revision."""

    who: str
    pick: int
    op: str
    revision: str


numbers = st.integers(0, 1000)
callers = st.sampled_from(
    ["alice"] * 8 + ["bob", "root", "gtm", "guest", "desk", "desk of bob", "nobody's desk"]
)
operations = st.sampled_from(["none", "new", "new", "new", "any"])
revisions = st.sampled_from(["none", "none", "none", "right", "stale", "ahead"])
aims = st.builds(Aim, callers, numbers, operations, revisions)

words = st.sampled_from(["hi", "One two", "  spaced \n out ", "über größe", "word " * 40, "x" * 90])
contents = st.one_of(words, words, st.just(""))
leaves = st.one_of(st.integers(-2, 2), st.sampled_from([0.5, 1.0, True, False, "é"]), st.none())
keys = st.sampled_from(["a", "b", "c"])
objects = st.dictionaries(keys, st.one_of(leaves, st.dictionaries(keys, leaves)), max_size=3)
texts = objects.map(canonical)
maybe_object = st.none() | texts
agents = st.sampled_from([None, None, None, "gtm-consultant", "somebody"])
titles = st.sampled_from([None, None, "", "A title", "Ein anderer", "y" * 200])
outputs = st.sampled_from([None, None, "o1", "o2", "o3"])
values = st.none() | st.sampled_from(["v", "w", "é", "z" * 2100])
