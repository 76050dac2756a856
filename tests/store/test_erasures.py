"""Erasures: who may ask, when they are done, and what the receipt says."""

from __future__ import annotations

import pytest

from services.store.erasures import Erasures, check_oneself
from services.store.history import Key
from services.store.memory import MemoryRepository
from services.store.writes import CopyPiece, Refused
from sessiond.errors import ErasureNotFound, PermissionDenied, Unavailable
from sessiond.session.access import Actor, Identity, MemberRole, Role
from sessiond.session.changes import SetHold, ShareSession, UnshareSession
from sessiond.store.codec import Building, encode_building_head
from sessiond.v1 import store_pb2 as pb
from sessiond.wire import timestamp_from_wire
from tests.store.author import ADMIN, Author
from tests.store.conftest import Begin, Clock

ALICE = Identity("alice")
BY = Actor("alice", Role.USER)


@pytest.fixture
def erasures(repository: MemoryRepository, clock: Clock) -> Erasures:
    return Erasures(repository, now_ms=clock)


async def complete(erasures: Erasures, sessions: int = 0, shares: int = 0) -> pb.Erasure:
    return await erasures.complete("alice", sessions=sessions, shares=shares)


async def test_asking_again_changes_nothing(erasures: Erasures, clock: Clock) -> None:
    """Whoever asks second hears when it was asked for first, and by whom."""
    first = await erasures.ask(BY, "alice")
    assert timestamp_from_wire(first.requested_at) == clock.ms
    assert (first.user_id, first.requested_by.subject) == ("alice", "alice")
    assert not first.HasField("completed_at")
    clock.ms += 5
    assert await erasures.ask(ADMIN.actor, "alice") == first
    assert await erasures.get("alice") == first
    assert await erasures.pending() == [first]


async def test_there_is_none_that_nobody_asked_for(erasures: Erasures) -> None:
    """Neither to be shown nor to be completed."""
    with pytest.raises(ErasureNotFound):
        await erasures.get("alice")
    with pytest.raises(ErasureNotFound):
        await complete(erasures)
    assert await erasures.pending() == []


async def test_the_oldest_comes_first(erasures: Erasures, clock: Clock) -> None:
    """And what is done does not come."""
    for user_id in ("carol", "alice", "bob"):
        clock.ms += 1
        await erasures.ask(BY, user_id)
    await complete(erasures)
    assert [each.user_id for each in await erasures.pending()] == ["carol", "bob"]


async def test_it_is_not_done_while_sessions_are_left(
    erasures: Erasures, begin: Begin, author: Author
) -> None:
    """Nothing is written until the last of them is gone; a receipt stands for ever after."""
    await begin("s-1")
    await begin("s-2", user="bob")
    await erasures.ask(BY, "alice")
    with pytest.raises(Unavailable):
        await complete(erasures, 1)
    assert len(await erasures.pending()) == 1
    await author.delete("s-1")
    receipt = await complete(erasures, 1)
    assert (receipt.sessions, receipt.shares, receipt.templates) == (1, 0, 0)
    assert list(receipt.held_session_ids) == []
    assert await complete(erasures, 7) == receipt
    assert await erasures.get("alice") == receipt
    assert await erasures.ask(ADMIN.actor, "alice") == receipt


async def test_held_sessions_are_named_and_asked_for_again(
    erasures: Erasures, begin: Begin, author: Author, clock: Clock
) -> None:
    """A hold exempts: the receipt says what stays. What is still there may be asked for anew."""
    for name in ("s-1", "s-2"):
        await begin(name)
    await author.change("s-2", SetHold(True), identity=ADMIN)
    await erasures.ask(BY, "alice")
    with pytest.raises(Unavailable):
        await complete(erasures)
    await author.delete("s-1")
    receipt = await complete(erasures, 1)
    assert (receipt.sessions, list(receipt.held_session_ids)) == (1, ["s-2"])
    clock.ms += 1000
    again = await erasures.ask(BY, "alice")
    assert not again.HasField("completed_at")
    assert timestamp_from_wire(again.requested_at) == clock.ms
    await author.change("s-2", SetHold(False), identity=ADMIN)
    await author.delete("s-2")
    assert (await complete(erasures, 1)).sessions == 1


async def test_what_a_job_that_was_cut_off_did_is_counted(
    erasures: Erasures, begin: Begin, author: Author
) -> None:
    """Its successor knows only of its own, but how many there were was written down."""
    for number in range(5):
        await begin(f"s-{number}")
    await erasures.ask(BY, "alice")
    for number in range(5):
        await author.delete(f"s-{number}")
    assert (await complete(erasures, 2)).sessions == 5


async def test_until_it_is_done_nothing_is_said_to_be(erasures: Erasures, begin: Begin) -> None:
    """How many there were is not how many went."""
    await begin("s-1")
    asked = await erasures.ask(BY, "alice")
    assert (asked.sessions, asked.shares, asked.templates) == (0, 0, 0)


async def test_pointers_and_templates_go_with_the_receipt(
    erasures: Erasures, repository: MemoryRepository, begin: Begin
) -> None:
    """A pointer to what the user may not enter is stray; templates belong to no session."""
    await begin("of-bob", user="bob")
    repository._kept.write(
        {
            ("shared", "alice", "of-bob"): b"",
            ("shared", "alice", "gone"): b"",
            ("template", "alice", "t-1"): b"t",
            ("template", "bob", "t-1"): b"t",
        }
    )
    await erasures.ask(BY, "alice")
    receipt = await complete(erasures)
    assert (receipt.shares, receipt.templates) == (2, 1)
    assert not (await repository.remains("alice")).anything
    assert (await repository.remains("bob")).templates == 1


async def test_a_copy_that_was_given_up_goes_as_well(
    erasures: Erasures, repository: MemoryRepository, clock: Clock
) -> None:
    """Nobody sees it, and it holds what the user wrote; others' copies are not touched."""
    for user_id in ("alice", "bob"):
        head = encode_building_head(1, Building(Actor(user_id, Role.USER), "", b"", clock.ms))
        await repository.begin_copy(f"of-{user_id}", head, maker_id=user_id)
        written = encode_building_head(2, Building(Actor(user_id, Role.USER), "", b"", clock.ms))
        await repository.write_copy(CopyPiece(f"of-{user_id}", head, written, 1, (b"said",)))
    assert not (await erasures.ask(BY, "alice")).HasField("completed_at")
    assert (await complete(erasures)).HasField("completed_at")
    assert await repository.snapshot("of-alice") is None
    assert repository._kept.range(("record", "of-alice")) == []
    assert await repository.snapshot("of-bob") is not None
    assert not (await repository.remains("alice")).anything


async def test_a_stray_key_takes_nobody_elses_copy_along(
    erasures: Erasures, repository: MemoryRepository, begin: Begin, clock: Clock
) -> None:
    """What it names is neither removed nor waited for; the key goes with the receipt."""
    await begin("session", user="bob")
    head = encode_building_head(1, Building(Actor("bob", Role.USER), "", b"", clock.ms))
    await repository.begin_copy("copy", head, maker_id="bob")
    strays: dict[Key, bytes | None] = {
        ("copy", "alice", name): b"" for name in ("copy", "session", "gone")
    }
    repository._kept.write(strays)
    await erasures.ask(BY, "alice")
    assert (await complete(erasures)).HasField("completed_at")
    for name in ("copy", "session"):
        assert await repository.snapshot(name) is not None
    assert await repository.copies("bob") == ("copy",)
    assert not (await repository.remains("alice")).anything


async def test_it_is_not_done_while_a_copy_goes_on(
    erasures: Erasures, repository: MemoryRepository, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that somebody just wrote to is not removed, and no receipt says that it is."""
    head = encode_building_head(1, Building(Actor("alice", Role.USER), "", b"", clock.ms))
    await repository.begin_copy("copy", head, maker_id="alice")
    await erasures.ask(BY, "alice")

    async def written(session_id: str, head: bytes, *, maker_id: str) -> Refused:
        return Refused(b"another", registered=True)

    monkeypatch.setattr(repository, "drop_copy", written)
    with pytest.raises(Unavailable):
        await complete(erasures)
    assert await repository.copies("alice") == ("copy",)


async def test_it_is_not_done_while_a_session_may_be_entered(
    erasures: Erasures, repository: MemoryRepository, begin: Begin, author: Author
) -> None:
    """A pointer to a session that the user is a member of is no stray one: that ends first."""
    await begin("of-bob", user="bob")
    await author.change("of-bob", ShareSession("alice", MemberRole.VIEWER))
    await erasures.ask(BY, "alice")
    repository._kept.write({("shared", "alice", "of-bob"): b""})
    with pytest.raises(Unavailable):
        await complete(erasures)
    await author.change("of-bob", UnshareSession("alice"))
    assert (await complete(erasures)).completed_at


def test_only_oneself_and_administrators_may_ask() -> None:
    """A service may for the user that it acts for."""
    for identity in (ALICE, ADMIN, Identity("crm", Role.SERVICE, acting_for="alice")):
        check_oneself(identity, "alice")
    for identity in (
        Identity("bob"),
        Identity("crm", Role.SERVICE),
        Identity("alice", Role.SERVICE),
        Identity("crm", Role.SERVICE, acting_for="bob"),
        Identity("alice", Role.AGENT),
    ):
        with pytest.raises(PermissionDenied):
            check_oneself(identity, "alice")
