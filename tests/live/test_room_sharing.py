"""Sharing in a room: who may do what from which commit on, who is sent away, what is written."""

from __future__ import annotations

import hashlib

import pytest

from services.live.audience import PRESENCE_SECONDS
from services.live.outcome import Verdict
from services.live.room import Room
from services.live.running import AWAY_SECONDS
from sessiond.errors import (
    IdempotencyMismatch,
    PermissionDenied,
    SessionFull,
    SessionNotFound,
    TurnNotFound,
)
from sessiond.session.access import Identity, MemberRole, Role
from sessiond.session.changes import (
    AppendMessage,
    ApproveOutput,
    BeginTurn,
    Change,
    DeleteSession,
    JoinSession,
    MakeLink,
    RevokeLink,
    RewindSession,
    SetHold,
    ShareSession,
    SubmitOutput,
    TransferSession,
    UnshareSession,
)
from sessiond.session.events import TurnEnded
from sessiond.session.limits import Limits
from sessiond.session.standing import LinkMade
from sessiond.session.state import TurnOutcome
from sessiond.store.codec import decode_members
from sessiond.v1.ownership_pb2 import AwaitedWrite, Commit, DeleteRequest
from tests.live.readers import Reader, Told, made, told
from tests.live.rooms import ALICE, BOB, House, commit, confirmed, formed

EDITOR, VIEWER = MemberRole.EDITOR, MemberRole.VIEWER
CAROL = Identity("carol")
ADMIN = Identity("root", Role.ADMIN)
SERVICE = Identity("crm", Role.SERVICE, acting_for="alice")
WRITER = Identity("worker-1", Role.AGENT, agents=frozenset({"writer"}))
FOR_BOB = Identity("crm", Role.SERVICE, acting_for="bob")


def refusal(room: Room, change: Change, op_id: str, identity: Identity) -> Exception:
    """Ask for what is refused, and return why."""
    asked = told(room, change, op_id, identity)
    confirmed(room)
    return asked.error


def written(room: Room) -> Commit:
    """Write what waits, and return the commit."""
    write = commit(room).write
    assert isinstance(write, Commit)
    return write


def pointers(write: Commit) -> list[tuple[str, bool]]:
    return [(each.user_id, each.shared) for each in write.shared]


async def test_a_grant_lets_in_and_a_revocation_shuts_out() -> None:
    """From their commits on; whoever is one no longer finds no session."""
    room = House().room()
    assert isinstance(refusal(room, AppendMessage("x"), "1", BOB), SessionNotFound)
    made(room, ShareSession("bob", EDITOR), "2")
    made(room, AppendMessage("x"), "3", BOB)
    made(room, ShareSession("bob", VIEWER), "4")
    assert isinstance(refusal(room, AppendMessage("x"), "5", BOB), PermissionDenied)
    made(room, UnshareSession("bob"), "6")
    assert isinstance(refusal(room, AppendMessage("x"), "7", BOB), SessionNotFound)


async def test_a_grant_and_its_use_may_stand_in_one_commit() -> None:
    """What is decided rests on what was decided before it."""
    room = House().room()
    asked = [
        told(room, ShareSession("bob", EDITOR), "1"),
        told(room, AppendMessage("x"), "2", BOB),
        told(room, ShareSession("bob", VIEWER), "3"),
    ]
    first = written(room)
    assert (len(first.records), pointers(first)) == (2, [("bob", True)])
    second = written(room)
    assert (len(second.records), pointers(second)) == (1, [("bob", True)])
    assert [each.answer.seq for each in asked] == [2, 3, 4]


async def test_the_table_is_written_when_it_changes() -> None:
    """With members and links, and a pointer for whom a session comes to, or goes from."""
    room = House().room()
    told(room, ShareSession("bob", VIEWER), "1")
    write = written(room)
    assert decode_members(write.members) == (room.session.members, room.session.links)
    told(room, MakeLink(EDITOR), "2").secret = "s"
    write = written(room)
    members, links = decode_members(write.members)
    assert (members, links) == (room.session.members, room.session.links)
    assert pointers(write) == []
    told(room, AppendMessage("x"), "3")
    assert not written(room).HasField("members")
    told(room, RevokeLink("id-1" if "id-1" in room.session.links else next(iter(links))), "4")
    assert decode_members(written(room).members)[1] == {}
    told(room, UnshareSession("bob"), "5")
    write = written(room)
    assert (decode_members(write.members), pointers(write)) == (({}, {}), [("bob", False)])


async def test_a_transfer_moves_the_entry_and_both_pointers() -> None:
    """From one list into the other, in one commit; later ones name no former owner."""
    room = House().room()
    made(room, ShareSession("bob", VIEWER), "1")
    told(room, TransferSession("bob"), "2")
    write = written(room)
    assert (write.index.user_id, write.index.previous_user_id) == ("bob", "alice")
    assert sorted(pointers(write)) == [("alice", True), ("bob", False)]
    told(room, AppendMessage("x"), "3", BOB)
    write = written(room)
    assert (write.index.user_id, write.index.HasField("previous_user_id")) == ("bob", False)


async def test_a_transfer_puts_the_summary_anew_that_an_agent_finds() -> None:
    """It says whose session it is; who awaits it stays the same."""
    room = House().room()
    made(room, ShareSession("bob", VIEWER), "1")
    agent = room.session.awaited_agent
    assert agent
    told(room, TransferSession("bob"), "2")
    assert written(room).awaited == AwaitedWrite(agent=agent)
    told(room, AppendMessage("x"), "3", BOB)
    assert not written(room).HasField("awaited")


async def test_a_deletion_names_with_whom_it_was_shared() -> None:
    """So that their pointers go with it."""
    room = House().room()
    made(room, ShareSession("bob", VIEWER), "1")
    made(room, ShareSession("carol", EDITOR), "2")
    told(room, DeleteSession(), "3")
    write = formed(room).write
    assert isinstance(write, DeleteRequest)
    assert sorted(write.shared_with) == ["bob", "carol"]


async def test_who_may_no_longer_read_is_sent_away_at_once() -> None:
    """With the event that says why as the last; who is left is seen to be."""
    house = House()
    room = house.room()
    made(room, ShareSession("bob", VIEWER), "1")
    alice, bob = Reader(room), Reader(room, BOB)
    house.timers.pass_(PRESENCE_SECONDS)
    (presence,) = await alice.shown("presence")
    assert [member.subject for member in presence.members] == ["alice", "bob"]
    room.submit(told_only(UnshareSession("bob"), "2"))
    formed(room)
    assert await bob.shown("event", "goaway") == []
    room.settle(Verdict.COMMITTED)
    event, goaway = await bob.shown("event", "goaway")
    assert (event.member_revoked.user_id, event.actor.subject) == ("bob", "alice")
    assert (goaway.reason, goaway.reconnect) == ("SESSION_NOT_FOUND", False)
    assert bob.ended == [bob.attachment]
    made(room, AppendMessage("secret"), "3")
    house.timers.pass_(PRESENCE_SECONDS)
    (presence,) = await alice.shown("presence")
    assert [member.subject for member in presence.members] == ["alice"]


@pytest.mark.parametrize("again", [False, True])
async def test_who_may_no_longer_read_is_shown_nothing_of_the_same_commit(again: bool) -> None:
    """What stands after the revocation is not theirs, though all of it was written at once.

    Nor where the commit gives back in the end what it took: an agent's step, taken up again.
    """
    room = House().room()
    made(room, ShareSession("bob", VIEWER), "1")
    made(room, SubmitOutput("x", output_id="o-1"), "2", SERVICE)
    alice, bob, writer = Reader(room), Reader(room, BOB), Reader(room, WRITER)
    past = room.session
    last = [
        told(room, change, op_id)
        for change, op_id in (
            (AppendMessage("for all of us"), "3"),
            (UnshareSession("bob"), "4"),
            (AppendMessage("of bob"), "5"),
            (ApproveOutput("o-1"), "6"),
            (AppendMessage("of the writer"), "7"),
        )
    ]
    if again:
        back = told_only(RewindSession(past.seq), "8")
        back.past = past
        room.submit(back)
    write = written(room)
    assert len(write.records) == len(last) + again
    assert [event.seq for event in await bob.shown("event")] == [4, 5]
    assert [event.seq for event in await writer.shown("event")] == [4, 5, 6, 7]
    assert [event.seq for event in await alice.shown("event")][:5] == [4, 5, 6, 7, 8]
    assert [len(reader.ended) for reader in (alice, bob, writer)] == [0, 1, 1]


async def test_a_right_can_be_taken_in_a_full_session() -> None:
    """Of events or of bytes; nobody is let in, and a hold can be set."""
    for full in (Limits(events=4), Limits(session=900)):
        house = House()
        room = house.room()
        made(room, ShareSession("bob", VIEWER), "1")
        link = told(room, MakeLink(EDITOR), "2")
        link.secret = "s"
        commit(room)
        made(room, AppendMessage("x" * 300), "3")
        room._limits = full
        for change in (AppendMessage("y" * 300), ShareSession("carol", VIEWER)):
            assert isinstance(refusal(room, change, "4", ALICE), SessionFull)
        made(room, UnshareSession("bob"), "5", BOB)
        made(room, RevokeLink(next(iter(room.session.links))), "6")
        made(room, SetHold(True, "x" * 500), "7", ADMIN)
        assert (room.session.members, room.session.links) == ({}, {})
        assert room.session.held
        assert room.meta.size > 900


async def test_what_takes_a_right_or_holds_does_not_wait_for_space() -> None:
    """Whatever else travels with it."""
    room = House().room()
    told(room, ShareSession("bob", VIEWER), "1")
    told(room, MakeLink(EDITOR), "2").secret = "s"
    assert not commit(room).urgent
    link_id = next(iter(room.session.links))
    urgent: tuple[Change, ...] = UnshareSession("bob"), RevokeLink(link_id), SetHold(True)
    for number, change in enumerate(urgent):
        told(room, AppendMessage("x"), f"a{number}")
        told(room, change, f"b{number}", ADMIN)
        told(room, AppendMessage("x"), f"c{number}")
        assert commit(room).urgent
    told(room, AppendMessage("x"), "3")
    assert not commit(room).urgent


def told_only(change: Change, op_id: str) -> Told:
    """Return a change that nobody asked yet."""
    return Told(change=change, identity=ALICE, op_id=op_id)


async def test_a_worker_that_may_no_longer_write_is_away() -> None:
    """It reads on, its text is taken no more, and its turn ends with what there is."""
    house = House()
    room = house.room()
    made(room, ShareSession("bob", EDITOR), "1")
    bob = Reader(room, FOR_BOB)
    turn = room.take_up(made(room, BeginTurn(), "2", FOR_BOB), bob.attachment)
    room.write(bob.attachment, turn.turn_id, 0, "So far")
    made(room, ShareSession("bob", VIEWER), "3")
    with pytest.raises(TurnNotFound):
        room.write(bob.attachment, turn.turn_id, 6, " and more")
    assert bob.ended == []
    house.timers.pass_(AWAY_SECONDS)
    commit(room)
    record = room.window.record(room.session.seq)
    assert record is not None
    assert isinstance(record.event, TurnEnded)
    assert (record.event.outcome, record.event.content) == (TurnOutcome.INTERRUPTED, "So far")


async def test_a_member_leaves_and_hears_so_again() -> None:
    """The repeat of what took one's own right away is answered; nobody else learns anything."""
    room = House().room()
    made(room, ShareSession("bob", VIEWER), "1")
    assert isinstance(refusal(room, UnshareSession("carol"), "2", BOB), PermissionDenied)
    left = made(room, UnshareSession("bob"), "3", BOB)
    again = told(room, UnshareSession("bob"), "3", BOB)
    assert room.form() is None
    assert again.answer.seq == left.seq
    assert isinstance(refusal(room, UnshareSession("bob"), "4", BOB), SessionNotFound)
    assert isinstance(refusal(room, UnshareSession("carol"), "3", CAROL), SessionNotFound)


async def test_a_transfer_is_answered_again() -> None:
    """Though who asked for it may not do it any more."""
    room = House().room()
    made(room, ShareSession("bob", EDITOR), "1")
    given = made(room, TransferSession("bob"), "2")
    again = told(room, TransferSession("bob"), "2")
    assert room.form() is None
    assert again.answer.seq == given.seq
    assert isinstance(refusal(room, TransferSession("carol"), "2", ALICE), IdempotencyMismatch)
    assert isinstance(refusal(room, TransferSession("carol"), "3", ALICE), PermissionDenied)
    made(room, AppendMessage("still an editor"), "4")
    made(room, UnshareSession("alice"), "5", BOB)
    assert isinstance(refusal(room, TransferSession("bob"), "2", ALICE), SessionNotFound)


async def test_a_join_is_decided_by_the_secret_and_answered_again() -> None:
    """Also when the link is good no longer: the operation was made."""
    room = House().room()
    asked = told(room, MakeLink(EDITOR), "1")
    asked.secret = "s"
    commit(room)
    record = asked.answer.record
    assert record is not None
    assert isinstance(record.event, LinkMade)
    assert record.event.secret_hash == hashlib.sha256(b"s").digest()
    good = JoinSession(hashlib.sha256(b"s").hexdigest())
    bad = JoinSession(hashlib.sha256(b"t").hexdigest())
    assert isinstance(refusal(room, bad, "2", BOB), SessionNotFound)
    joined = made(room, good, "3", BOB)
    made(room, AppendMessage("x"), "4", BOB)
    made(room, RevokeLink(record.event.link_id), "5")
    again = told(room, good, "3", BOB)
    assert room.form() is None
    assert again.answer.seq == joined.seq
    assert isinstance(refusal(room, good, "6", CAROL), SessionNotFound)
    made(room, UnshareSession("bob"), "7")
    assert isinstance(refusal(room, good, "3", BOB), SessionNotFound)
