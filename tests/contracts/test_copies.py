"""Copies: written piece by piece, seen by nobody, and then there all at once."""

from __future__ import annotations

import dataclasses

from services.store.answers import Existing, Snapshot
from services.store.repository import Repository
from services.store.writes import Committed, CopyEnd, CopyPiece, Refused
from sessiond.session.access import Identity
from sessiond.store.codec import Building, encode_building_head
from tests.contracts.chats import (
    START_MS,
    all_records,
    creation,
    head_bytes,
    listed,
    new_chat,
    now,
    own,
    register,
    some_bytes,
)

BUILDING = Building(Identity("alice").actor, "op", b"h" * 16, START_MS)


def building_head(seq: int = 0, touched_ms: int = START_MS) -> bytes:
    """Return the head of a copy that differs from all others."""
    log_id = int.from_bytes(some_bytes()[-8:], "big")
    building = BUILDING._replace(touched_ms=touched_ms)
    return encode_building_head(log_id, building, seq=seq, size=seq)


async def begin(repository: Repository, session_id: str) -> Committed | Existing:
    """Begin a copy of alice's making."""
    return await repository.begin_copy(session_id, building_head(), maker_id="alice")


async def begun(repository: Repository, session_id: str) -> bytes:
    """Begin a copy, and return its head."""
    head = building_head()
    assert await repository.begin_copy(session_id, head, maker_id="alice") == Committed()
    return head


async def written(repository: Repository, session_id: str, *records: bytes) -> bytes:
    """Begin a copy and write a piece of it; return its head."""
    before, after = await begun(repository, session_id), building_head(len(records))
    piece = CopyPiece(session_id, before, after, 1, records)
    assert await repository.write_copy(piece) == Committed()
    return after


def end_of(session_id: str, head: bytes) -> CopyEnd:
    """Return what makes a copy visible in alice's list, and to two members and an agent."""
    return CopyEnd(
        session_id=session_id,
        expected_head=head,
        head=head_bytes(seq=2),
        maker_id="alice",
        user_id="alice",
        entry=b"entry",
        position_ms=START_MS,
        outputs=b"outputs",
        members=b"members",
        shared_with=("bob", "carol"),
        awaited_agent="writer",
    )


async def test_a_copy_that_is_being_written_is_in_no_list_and_nobody_owns_it(
    repository: Repository,
) -> None:
    """Its head and records stand, and only whoever asks for them finds them."""
    head = await written(repository, "abc", b"one", b"two")
    assert (await now(repository, "abc")).head == head
    assert await all_records(repository, "abc") == [b"one", b"two"]
    assert await listed(repository) == []
    assert await repository.count("alice") == 0
    assert await repository.acquire("abc", await register(repository), some_bytes()) is None
    assert (await now(repository, "abc")).head == head


async def test_a_copy_that_is_finished_is_a_session_like_any_other(repository: Repository) -> None:
    """Head, tables, entry and all places appear together, and an instance may own it."""
    end = end_of("abc", await written(repository, "abc", b"one", b"two"))
    assert await repository.finish_copy(end) == Committed()
    snapshot = await now(repository, "abc")
    assert (snapshot.head, snapshot.outputs, snapshot.members) == (
        end.head,
        b"outputs",
        b"members",
    )
    page = await repository.entries("alice", after=None, limit=9, revision=None)
    assert [(each.session_id, each.position_ms, each.value) for each in page.entries] == [
        ("abc", START_MS, b"entry")
    ]
    assert (await repository.awaited("writer")).entries == (("abc", b"entry"),)
    for user_id in ("bob", "carol"):
        assert (await repository.shared(user_id, revision=None)).session_ids == ("abc",)
    chat = await own(repository, "abc", await register(repository))
    assert chat.stored.meta.epoch == 1
    await chat.write(repository, dataclasses.replace(chat.commit(b"three"), index=None))
    assert await all_records(repository, "abc") == [b"one", b"two", b"three"]


async def test_a_copy_without_tables_and_places_leaves_none(repository: Repository) -> None:
    """What is empty is not written."""
    head = await written(repository, "abc", b"one")
    end = CopyEnd("abc", head, head_bytes(), "alice", "alice", b"entry", START_MS)
    assert await repository.finish_copy(end) == Committed()
    snapshot = await now(repository, "abc")
    assert (snapshot.outputs, snapshot.members) == (b"", b"")
    assert await listed(repository) == ["abc"]


async def test_each_write_again_is_the_same_write(repository: Repository) -> None:
    """Whoever does not know what became of one repeats it."""
    before = building_head()
    for _ in range(2):
        assert await repository.begin_copy("abc", before, maker_id="alice") == Committed()
    piece = CopyPiece("abc", before, building_head(1), 1, (b"one",))
    for _ in range(2):
        assert await repository.write_copy(piece) == Committed()
    end = end_of("abc", piece.head)
    for _ in range(2):
        assert await repository.finish_copy(end) == Committed()
    assert await all_records(repository, "abc") == [b"one"]


async def test_a_copy_does_not_begin_where_anything_stands(repository: Repository) -> None:
    """A session, a tombstone or another copy: it is told, and stays as it is."""
    made = creation("abc")
    await repository.create(made)
    assert await begin(repository, "abc") == Existing(made.head, made.record)
    chat = await new_chat(repository, "gone")
    deletion = chat.deletion()
    await repository.delete(deletion)
    assert await begin(repository, "gone") == Existing(deletion.head, b"")
    other = await written(repository, "copy", b"one")
    assert await begin(repository, "copy") == Existing(other, b"one")
    assert (await now(repository, "copy")).head == other


async def test_a_session_is_not_created_where_a_copy_is_written(repository: Repository) -> None:
    """The id is taken."""
    head = await written(repository, "abc", b"one")
    assert await repository.create(creation("abc")) == Existing(head, b"one")
    assert await listed(repository) == []


async def test_of_two_that_write_one_copy_one_is_refused(repository: Repository) -> None:
    """It is shown the head that stands, and stores nothing."""
    head = await begun(repository, "abc")
    first = CopyPiece("abc", head, building_head(1), 1, (b"one",))
    assert await repository.write_copy(first) == Committed()
    late = CopyPiece("abc", head, building_head(2), 1, (b"uno", b"dos"))
    assert await repository.write_copy(late) == Refused(first.head, registered=True)
    end = end_of("abc", head)
    assert await repository.finish_copy(end) == Refused(first.head, registered=True)
    assert await all_records(repository, "abc") == [b"one"]
    assert await listed(repository) == []


async def test_a_copy_that_is_dropped_leaves_nothing(repository: Repository) -> None:
    """Nor does dropping it twice; its id is free again."""
    head = await written(repository, "abc", b"one", b"two")
    neighbour = await written(repository, "abc-1", b"uno")
    for _ in range(2):
        assert await repository.drop_copy("abc", head, maker_id="alice") == Committed()
    assert await repository.snapshot("abc") is None
    revision = (await now(repository, "abc-1")).revision
    assert await repository.records("abc", 1, 9, revision=revision) == []
    assert (await now(repository, "abc-1")).head == neighbour
    assert await repository.create(creation("abc")) == Committed()


async def test_only_the_copy_that_was_seen_is_dropped(repository: Repository) -> None:
    """Somebody went on with it, or finished it: it stays."""
    head = await begun(repository, "abc")
    piece = CopyPiece("abc", head, building_head(1), 1, (b"one",))
    await repository.write_copy(piece)
    assert await repository.drop_copy("abc", head, maker_id="alice") == Refused(
        piece.head, registered=True
    )
    end = end_of("abc", piece.head)
    await repository.finish_copy(end)
    assert await repository.drop_copy("abc", piece.head, maker_id="alice") == Refused(
        end.head, registered=True
    )
    found = await repository.snapshot("abc")
    assert isinstance(found, Snapshot) and found.head == end.head


async def test_its_maker_can_find_a_copy_until_it_is_finished_or_dropped(
    repository: Repository,
) -> None:
    """It is in no other list, and what is begun by others is not theirs."""
    assert await repository.copies("alice") == ()
    head = await written(repository, "abc", b"one")
    dropped = await begun(repository, "abc-1")
    await repository.begin_copy("of-bob", building_head(), maker_id="bob")
    assert sorted(await repository.copies("alice")) == ["abc", "abc-1"]
    remains = await repository.remains("alice")
    assert (sorted(remains.copies), remains.anything) == (["abc", "abc-1"], True)
    assert await repository.count("alice") == 0
    assert (await repository.scan(None, 9, None)).entries == ()
    await repository.drop_copy("abc-1", dropped, maker_id="alice")
    assert await repository.copies("alice") == ("abc",)
    await repository.finish_copy(end_of("abc", head))
    assert await repository.copies("alice") == ()
    assert await repository.copies("bob") == ("of-bob",)
