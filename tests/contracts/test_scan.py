"""A scan of all lists: every entry once, whatever else users have."""

from __future__ import annotations

import pytest

from services.store.answers import Entry, RevisionCompacted
from services.store.keys import Keys
from services.store.repository import Repository
from tests.contracts.chats import START_MS, creation, new_chat
from tests.contracts.places import EtcdPlace, Place

USERS = ("a", "a:b", "a;", "ab", "%", "ä")


async def scanned(repository: Repository, limit: int) -> list[Entry]:
    """Scan everything, piece by piece at the first one's revision."""
    found: list[Entry] = []
    after, revision = None, None
    while True:
        piece = await repository.scan(after, limit, revision)
        assert revision in (None, piece.revision)
        assert len(piece.entries) <= limit
        found += piece.entries
        if not piece.more:
            return found
        after, revision = piece.last_key, piece.revision


async def test_pieces_together_are_all_lists(repository: Repository) -> None:
    """User by user, each user's as they are listed, however long a piece is."""
    for number, user_id in enumerate(USERS * 3):
        made = creation(f"s{number:02}", user_id, position_ms=START_MS + number % 5)
        await repository.create(made)
    expected: list[Entry] = []
    for user_id in sorted(USERS, key=lambda each: Keys().entries(each)):
        page = await repository.entries(user_id, after=None, limit=99, revision=None)
        expected += page.entries
    assert len(expected) == 18
    for limit in (1, 5, 17, 18, 19):
        assert await scanned(repository, limit) == expected


async def test_nothing_is_scanned_where_nothing_is(repository: Repository) -> None:
    """No entries, and no more."""
    piece = await repository.scan(None, 9, None)
    assert (piece.entries, piece.last_key, piece.more) == ((), b"", False)


async def test_a_scan_stays_at_its_revision(place: Place) -> None:
    """What comes or moves meanwhile is not in it, and once it is compacted it says so."""
    repository = place.repository
    chat = await new_chat(repository, "s1")
    await repository.create(creation("s2", "bob"))
    first = await repository.scan(None, 1, None)
    await repository.create(creation("s3", "bob"))
    await chat.write(repository, chat.commit(b"text", position_ms=START_MS + 1000))
    rest = await repository.scan(first.last_key, 9, first.revision)
    assert [each.session_id for each in (*first.entries, *rest.entries)] == ["s1", "s2"]
    await place.compact()
    with pytest.raises(RevisionCompacted):
        await repository.scan(first.last_key, 9, first.revision)


async def test_what_users_have_beside_their_lists_is_passed_over(etcd_place: EtcdPlace) -> None:
    """Pointers and templates stand between the lists; their values are never asked for."""
    repository, keys = etcd_place.repository, Keys(etcd_place.namespace)
    for user_id in ("alice", "bob"):
        await repository.create(creation(f"of-{user_id}", user_id))
        await etcd_place.etcd.put(keys.shared_with(user_id).start + b"x", b"")
        await etcd_place.etcd.put(keys.templates(user_id).start + b"t", bytes(1000))
        await etcd_place.etcd.put(keys.users.start + b"zoe:something:else", b"?")
    for limit in (1, 2, 3, 99):
        found = await scanned(repository, limit)
        assert [each.session_id for each in found] == ["of-alice", "of-bob"]
    empty = await repository.scan(keys.templates("alice").start, 1, None)
    assert (empty.entries, empty.more) == ((), True)
