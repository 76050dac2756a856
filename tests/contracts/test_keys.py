"""Keys: nothing shares one, everything is found again, order is kept where it matters."""

from __future__ import annotations

import string
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.store.keys import (
    LAST_DRAFT,
    LAST_POSITION_MS,
    LAST_SEQ,
    AwaitedKey,
    CopyKey,
    DeletedKey,
    DraftKey,
    EntryKey,
    ErasureKey,
    EventKey,
    HeadKey,
    JobKey,
    Keys,
    LiveKey,
    OutputsKey,
    TemplateKey,
)

KEYS = Keys()
session_ids = st.text(string.ascii_letters + string.digits + "._~-", min_size=1, max_size=128)
# Any text at all, often with what has a meaning in keys.
names = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
    st.text(":%/;~sessionu\x00\x1f3AFaä\x7f\U0010ffff", min_size=1),
)
seqs = st.integers(0, LAST_SEQ)
positions = st.integers(0, LAST_POSITION_MS)
instances = st.binary(min_size=1, max_size=32)
namespaces = st.sampled_from(["", "prod/", "a:b:", "%3A"])


@given(namespaces, st.tuples(names, names), seqs, positions, instances)
def test_every_key_is_parsed_as_it_was_built(
    namespace: str, ids: tuple[str, str], seq: int, position_ms: int, instance: bytes
) -> None:
    """Whatever text the ids are, a key says exactly what it was built of."""
    keys, (one, other) = Keys(namespace), ids
    for key, meaning in (
        (keys.head(one), HeadKey(one)),
        (keys.event(one, seq), EventKey(one, seq)),
        (keys.outputs(one), OutputsKey(one)),
        (keys.draft(one, other, seq), DraftKey(one, other, seq)),
        (keys.entry(one, position_ms, other), EntryKey(one, position_ms, other)),
        (keys.template(one, other), TemplateKey(one, other)),
        (keys.copy(one, other), CopyKey(one, other)),
        (keys.awaited(one, other), AwaitedKey(one, other)),
        (keys.live(instance), LiveKey(instance)),
        (keys.job(one), JobKey(one)),
        (keys.erasure(one), ErasureKey(one)),
        (keys.deleted(one), DeletedKey(one)),
    ):
        assert keys.parse(key) == meaning


@given(namespaces, names, positions, names)
def test_a_list_reads_the_places_of_its_keys(
    namespace: str, user_id: str, position_ms: int, session_id: str
) -> None:
    """What a key stands for among a user's entries is what `parse` says of it."""
    keys = Keys(namespace)
    entries, key = keys.entries(user_id), keys.entry(user_id, position_ms, session_id)
    assert keys.place_in(entries, key) == (position_ms, session_id)


@pytest.mark.parametrize(
    "place",
    [
        b"",
        b"9999999999999",
        b"9999999999999:",
        b"999:b",
        b"9999999999999:a:b",
        b"9999999999999:%41",
    ],
)
def test_a_place_that_is_written_otherwise_is_refused(place: bytes) -> None:
    """A list is read as strictly as any key."""
    entries = KEYS.entries("u")
    with pytest.raises(ValueError):
        KEYS.place_in(entries, entries.start + place)


def within(key: bytes, span: tuple[bytes, bytes]) -> bool:
    return span[0] <= key < span[1]


@given(names, names, names, seqs, positions)
def test_a_span_holds_its_own_keys_alone(
    one: str, other: str, session_id: str, seq: int, position_ms: int
) -> None:
    """No key of one user, agent or session lies in the span of another."""
    same = one == other
    assert within(KEYS.entry(one, position_ms, session_id), KEYS.entries(other)) is same
    assert within(KEYS.template(one, session_id), KEYS.templates(other)) is same
    assert not within(KEYS.template(one, session_id), KEYS.entries(one))
    assert within(KEYS.copy(one, session_id), KEYS.copies(other)) is same
    assert not within(KEYS.copy(one, session_id), KEYS.entries(one))
    assert within(KEYS.awaited(one, session_id), KEYS.awaiting(other)) is same
    assert within(KEYS.event(one, seq), KEYS.children(other)) is same
    assert within(KEYS.outputs(one), KEYS.children(other)) is same
    assert within(KEYS.draft(one, session_id, seq), KEYS.children(other)) is same
    assert within(KEYS.draft(one, session_id, seq), KEYS.drafts(other, session_id)) is same
    assert within(KEYS.draft(session_id, one, seq), KEYS.drafts(session_id, other)) is same
    assert not within(KEYS.event(one, seq), KEYS.drafts(one, other))
    assert not within(KEYS.outputs(one), KEYS.drafts(one, other))
    assert not within(KEYS.head(one), KEYS.children(other))


@given(st.lists(st.tuples(positions, session_ids)))
def test_entries_sort_by_position_falling_and_then_by_id(
    entries: list[tuple[int, str]],
) -> None:
    """The order of keys is the order of a list."""
    in_order = sorted(entries, key=lambda entry: (-entry[0], entry[1]))
    assert sorted(entries, key=lambda entry: KEYS.entry("u", *entry)) == in_order


@given(session_ids, st.lists(seqs))
def test_records_sort_by_seq(session_id: str, some: list[int]) -> None:
    """The order of keys is the order of the log."""
    assert sorted(some, key=lambda seq: KEYS.event(session_id, seq)) == sorted(some)


@given(session_ids, st.lists(seqs))
def test_drafts_sort_by_number(turn_id: str, some: list[int]) -> None:
    """The order of keys is the order of the text."""
    assert sorted(some, key=lambda number: KEYS.draft("s", turn_id, number)) == sorted(some)


@given(seqs, seqs, seqs)
def test_a_span_of_records_has_both_its_ends(seq: int, first: int, last: int) -> None:
    """The span holds first and last, and nothing beyond them."""
    assert within(KEYS.event("s", seq), KEYS.events("s", first, last)) is (first <= seq <= last)


@given(st.binary(max_size=60))
def test_what_we_would_not_write_is_not_parsed(key: bytes) -> None:
    """Any other bytes are refused; what is taken is built again to the bit."""
    prefixed = b"session:" + key
    try:
        parsed = KEYS.parse(prefixed)
    except ValueError:
        return
    match parsed:
        case HeadKey(session_id):
            assert KEYS.head(session_id) == prefixed
        case EventKey(session_id, seq):
            assert KEYS.event(session_id, seq) == prefixed
        case OutputsKey(session_id):
            assert KEYS.outputs(session_id) == prefixed
        case DraftKey(session_id, turn_id, number):
            assert KEYS.draft(session_id, turn_id, number) == prefixed
        case other:
            pytest.fail(f"{other} is no part of a session")


@pytest.mark.parametrize(
    "key",
    [
        b"",
        b"session",
        b"session:",
        b"session:a:event:1",
        b"session:a:event:-000000001",
        b"session:a:event:00000000011",
        b"session:a:other",
        b"session:a:draft:t",
        b"session:a:draft:t:1",
        b"session:a:draft::0000000001",
        b"session:%3a",
        b"session:%41",
        b"session:%",
        b"session:\xff",
        b"user:a:sessions:1:b",
        b"user:a:sessions:9999999999999:",
        b"user:a:template:",
        b"user:a:template:b:c",
        b"live:",
        b"live:AB",
        b"live:a",
        b"batch",
        b"other:a",
    ],
)
def test_foreign_keys_are_refused(key: bytes) -> None:
    """A key that is not written as ours are has no meaning here."""
    with pytest.raises(ValueError):
        KEYS.parse(key)


def test_ordinary_ids_give_the_documented_keys() -> None:
    """What `keys` documents is what stands there, to the letter."""
    assert KEYS.head("abc-123") == b"session:abc-123"
    assert KEYS.event("abc-123", 42) == b"session:abc-123:event:0000000042"
    assert KEYS.outputs("abc-123") == b"session:abc-123:outputs"
    assert KEYS.draft("abc-123", "t-1", 42) == b"session:abc-123:draft:t-1:0000000042"
    assert KEYS.drafts("abc", "t") == (b"session:abc:draft:t:", b"session:abc:draft:t;")
    assert KEYS.entry("alice", 1_700_000_000_000, "abc") == b"user:alice:sessions:8299999999999:abc"
    assert KEYS.entry("a:b", 0, "abc") == b"user:a%3Ab:sessions:9999999999999:abc"
    assert KEYS.template("alice", "plan") == b"user:alice:template:plan"
    assert KEYS.templates("alice") == (b"user:alice:template:", b"user:alice:template;")
    assert KEYS.copy("alice", "abc") == b"user:alice:copy:abc"
    assert KEYS.awaited("planner", "abc") == b"agent:planner:abc"
    assert KEYS.live(b"\x00\xff") == b"live:00ff"
    assert KEYS.children("abc") == (b"session:abc:", b"session:abc;")
    assert Keys("prod/").head("abc") == b"prod/session:abc"
    assert Keys("prod/").batch == b"prod/batch"


def test_what_no_key_can_hold_is_refused() -> None:
    """Empty ids and numbers with too many digits would break order or meaning."""
    builds: list[Callable[[], bytes]] = [
        lambda: KEYS.head(""),
        lambda: KEYS.awaited("", "abc"),
        lambda: KEYS.entry("", 0, "abc"),
        lambda: KEYS.live(b""),
        lambda: KEYS.event("abc", -1),
        lambda: KEYS.event("abc", LAST_SEQ + 1),
        lambda: KEYS.draft("abc", "", 1),
        lambda: KEYS.draft("abc", "t", -1),
        lambda: KEYS.draft("abc", "t", LAST_DRAFT + 1),
        lambda: KEYS.entry("a", -1, "abc"),
        lambda: KEYS.entry("a", LAST_POSITION_MS + 1, "abc"),
        lambda: KEYS.head("\ud800"),
    ]
    for build in builds:
        with pytest.raises(ValueError):
            build()
