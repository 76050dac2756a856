from __future__ import annotations

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.store.tokens import Fact, seal, unseal
from sessiond.errors import InvalidArgument

QUERY: list[Fact] = ["list", "alice", None, None, "q"]
FACTS: list[Fact] = [41, 1_800_000_000_000, "s-1"]
KINDS = (int, int, str)


def test_a_token_gives_its_facts_back() -> None:
    """What was sealed for a query is found under the same query."""
    assert unseal(seal(QUERY, FACTS), QUERY, KINDS, field="page_token") == FACTS


@settings(deadline=None)
@given(st.data())
def test_a_damaged_token_is_noticed(data: st.DataObject) -> None:
    """Whichever character is changed, the caller hears which field is wrong."""
    token = seal(QUERY, FACTS)
    place = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.characters().filter(lambda character: character != token[place]))
    damaged = token[:place] + other + token[place + 1 :]
    try:
        found = unseal(damaged, QUERY, KINDS, field="page_token")
    except InvalidArgument as refused:
        assert refused.violations[0].field == "page_token"
    else:
        # base64 leaves some bits of the last character unused: nothing was changed.
        assert found == FACTS
        assert place == len(token) - 1


@pytest.mark.parametrize(
    "query",
    [
        ["list", "bob", None, None, "q"],
        ["list", "alice", "active", None, "q"],
        ["list", "alice", None, "q", None],
        ["watch", "alice", None, None, "q"],
    ],
)
def test_a_token_of_another_query_is_refused(query: list[Fact]) -> None:
    """It cannot be taken to another user's list, nor to other filters."""
    with pytest.raises(InvalidArgument):
        unseal(seal(QUERY, FACTS), query, KINDS, field="page_token")


@pytest.mark.parametrize("text", ["", "A", "ä", "====", "x" * 5000, "\udcff", "AAAA" * 20])
def test_what_never_was_a_token_is_refused(text: str) -> None:
    """Any text at all gives the same plain refusal."""
    with pytest.raises(InvalidArgument):
        unseal(text, QUERY, KINDS, field="page_token")


@pytest.mark.parametrize("facts", [[], [1, 2], [1, 2, 3], ["1", 2, "s"], [True, 2, "s"]])
def test_a_token_of_other_facts_is_refused(facts: list[Fact]) -> None:
    """Even with a right checksum only the expected kinds of facts are taken."""
    with pytest.raises(InvalidArgument):
        unseal(seal(QUERY, facts), QUERY, KINDS, field="cursor")


def test_a_token_is_safe_in_a_url() -> None:
    """It needs no escaping in a query string."""
    token = seal(QUERY, FACTS)
    assert base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    assert token.replace("-", "").replace("_", "").isalnum()
