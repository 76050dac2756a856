"""Who follows a room: events once they are stored, presence soon, and nobody waits for anybody."""

from __future__ import annotations

from services.live.audience import LISTED, PRESENCE_SECONDS, TYPING_SECONDS
from services.live.outcome import Verdict
from sessiond.session.access import Identity, Role
from sessiond.session.changes import AppendMessage, ApproveOutput, DeleteSession, SubmitOutput
from tests.live.readers import Reader, made, told
from tests.live.rooms import House, asked, commit, formed

WRITER = Identity("w", Role.AGENT, agents=frozenset({"writer"}))


async def test_nothing_is_shown_before_it_is_stored() -> None:
    """The output gate holds for everybody, not for the caller alone."""
    room = House().room()
    reader = Reader(room)
    room.submit(asked(AppendMessage("hello"), "a"))
    formed(room)
    assert await reader.shown("event") == []
    room.settle(Verdict.COMMITTED)
    (event,) = await reader.shown("event")
    assert (event.seq, event.message_appended.message.content) == (2, "hello")


async def test_what_is_never_stored_is_never_shown() -> None:
    """A commit that another owner forestalled leaves no trace at its readers."""
    room = House().room()
    reader = Reader(room)
    room.submit(asked(AppendMessage("hello"), "a"))
    formed(room)
    room.settle(Verdict.LOST)
    assert await reader.shown("event") == []


async def test_every_reader_gets_the_same_bytes_in_order() -> None:
    """Encoded once: nobody can see another event at a seq than the others."""
    room = House().room()
    readers = [Reader(room), Reader(room)]
    for number in range(3):
        room.submit(asked(AppendMessage(f"m{number}"), f"op{number}"))
    commit(room)
    shown = [await reader.outbox.take() for reader in readers]
    assert shown[0] == shown[1]


async def test_a_full_reader_leaves_and_the_others_go_on() -> None:
    """A slow reader hurts itself alone."""
    room = House().room()
    slow, quick = Reader(room, capacity=2000), Reader(room)
    for number in range(10):
        made(room, AppendMessage("x" * 500), f"op{number}")
    assert slow.overflows == 1
    assert len(await quick.shown("event")) == 10


async def test_what_happens_while_a_reader_catches_up_waits_for_it() -> None:
    """What was shown of the past comes first; what came meanwhile follows without a gap."""
    room = House().room()
    reader = Reader(room)
    reader.attachment.wait_again()
    made(room, AppendMessage("meanwhile"), "a")
    assert await reader.shown("event") == []
    reader.attachment.caught_up()
    made(room, AppendMessage("then"), "b")
    assert [event.seq for event in await reader.shown("event")] == [2, 3]


async def test_a_reader_that_is_overtaken_says_so() -> None:
    """Beyond the bound nothing is kept for it: it begins again with a snapshot."""
    room = House().room()
    reader = Reader(room)
    reader.attachment.wait_again()
    for number in range(4):
        made(room, AppendMessage("x" * 500_000), f"op{number}")
    assert reader.attachment.overtaken


async def test_the_end_of_a_room_is_told_with_the_place_to_resume_from() -> None:
    """Readers come back by their cursor, wherever the session goes."""
    room = House().room()
    reader = Reader(room)
    made(room, AppendMessage("hello"), "a")
    await reader.shown()
    room.close()
    (goaway,) = await reader.shown("goaway")
    assert (goaway.session_id, goaway.reason, goaway.reconnect) == ("s1", "SESSION_MOVED", True)
    assert (goaway.cursor, goaway.retry_after_ms) == ("0000000000000007.2", 0)
    assert reader.ended == [reader.attachment]


async def test_a_deleted_session_is_gone_for_its_readers() -> None:
    """They hear what everybody hears of a session that is not there."""
    room = House().room()
    reader = Reader(room)
    told(room, DeleteSession(), "a")
    commit(room)
    (goaway,) = await reader.shown("goaway")
    assert (goaway.reason, goaway.reconnect) == ("SESSION_NOT_FOUND", False)


async def test_an_agent_whose_step_is_over_is_sent_away() -> None:
    """Access is looked at on open streams: what was a right is none any more."""
    room = House().room()
    agent, owner = Reader(room, WRITER), Reader(room)
    made(room, SubmitOutput("plan", output_id="o1"), "a", WRITER)
    made(room, ApproveOutput("o1"), "b")
    (goaway,) = await agent.shown("goaway")
    assert (goaway.reason, goaway.reconnect) == ("SESSION_NOT_FOUND", False)
    assert await owner.shown("goaway") == []


async def test_who_is_here_is_shown_to_all_soon_and_once() -> None:
    """Many that come together are one frame, and each caller stands in it once."""
    house = House()
    room = house.room()
    readers = [Reader(room), Reader(room), Reader(room, Identity("helper", Role.SERVICE, "alice"))]
    assert await readers[0].shown("presence") == []
    house.timers.pass_(PRESENCE_SECONDS)
    (presence,) = await readers[0].shown("presence")
    assert presence.count == 2
    assert {(who.subject, who.role) for who in presence.members} == {
        ("alice", "user"),
        ("helper", "service"),
    }


async def test_who_leaves_is_shown_too() -> None:
    """Presence is right again after a stream broke."""
    house = House()
    room = house.room()
    stays, leaves = Reader(room), Reader(room, Identity("bob", Role.ADMIN))
    house.timers.pass_(PRESENCE_SECONDS)
    await stays.shown()
    leaves.attachment.detach()
    house.timers.pass_(PRESENCE_SECONDS)
    (presence,) = await stays.shown("presence")
    assert [who.subject for who in presence.members] == ["alice"]


async def test_typing_ends_by_itself() -> None:
    """Who stops saying that it types, types no longer."""
    house = House()
    room = house.room()
    reader = Reader(room)
    house.timers.pass_(PRESENCE_SECONDS)
    room.audience.typing(reader.attachment, True)
    house.timers.pass_(PRESENCE_SECONDS)
    assert [p.members[0].typing for p in await reader.shown("presence")] == [True]
    house.timers.pass_(TYPING_SECONDS)
    house.timers.pass_(PRESENCE_SECONDS)
    assert [p.members[0].typing for p in await reader.shown("presence")] == [False]


async def test_a_crowd_is_counted_and_not_listed() -> None:
    """A frame has a bound; who types is named before those who are silent."""
    house = House()
    room = house.room()
    readers = [Reader(room, Identity(f"u{n}", Role.ADMIN)) for n in range(LISTED + 10)]
    room.audience.typing(readers[-1].attachment, True)
    house.timers.pass_(PRESENCE_SECONDS)
    (presence,) = await readers[0].shown("presence")
    assert (presence.count, len(presence.members)) == (LISTED + 10, LISTED)
    assert presence.members[0].subject == readers[-1].identity.subject


async def test_only_the_newest_presence_waits() -> None:
    """A reader that does not read is not told the past of who was here."""
    house = House()
    room = house.room()
    reader = Reader(room)
    for typing in (True, False, True):
        room.audience.typing(reader.attachment, typing)
        house.timers.pass_(PRESENCE_SECONDS)
    (presence,) = await reader.shown("presence")
    assert presence.members[0].typing


async def test_a_room_that_closed_has_nothing_left_to_do() -> None:
    """No timer of a closed room wakes anybody."""
    house = House()
    room = house.room()
    Reader(room)
    room.close()
    assert all(due.cancelled for due in house.timers.waiting)
