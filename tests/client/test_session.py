"""An attached session on a real stream: state, events, changes, and how it ends."""

from __future__ import annotations

import asyncio

import pytest

from sessiond import Client, Presence, Reset, Token
from sessiond.client.reader import CAPACITY
from sessiond.client.session import AttachedSession
from sessiond.errors import (
    IdempotencyMismatch,
    OutcomeUnknown,
    PayloadTooLarge,
    RateLimited,
    SessionFull,
    SessionNotFound,
    TurnNotFound,
    Unavailable,
)
from sessiond.session.access import MemberRole
from sessiond.session.events import MessageAppended, Record, SessionPaused, SessionUpdated
from sessiond.session.standing import (
    HoldSet,
    LinkMade,
    LinkRevoked,
    MemberGranted,
    MemberRevoked,
    OwnerTransferred,
    Rewound,
)
from sessiond.session.state import Status
from sessiond.v1 import live_pb2
from sessiond.v1.live_pb2 import Goaway, ServerFrame
from tests.client.conftest import opened, opened_beside_others
from tests.client.live import Live
from tests.client.sessions import Conversation, StoredSession

Sessions = dict[str, StoredSession]


async def test_an_attached_session_has_its_state_and_newest_messages(
    client: Client, sessions: Sessions
) -> None:
    for content in ("one", "two", "three"):
        sessions["s"].append(content)
    async with client.attach("s", tail=2) as session:
        assert session.state.seq == 4
        assert session.state.user_id == "alice"
        assert session.state.message_count == 3
        assert [message.content for message in session.messages] == ["two", "three"]
        assert session.turns == {}


async def test_a_change_returns_its_seq_and_the_state_has_it(
    client: Client, sessions: Sessions
) -> None:
    async with client.attach("s") as session:
        assert await session.append("hello") == 2
        assert session.state.last_message == "hello"
        assert session.messages[-1].seq == 2
        assert await session.update(title="A title") == 3
        assert session.state.title == "A title"
        assert await session.pause() == 4
        assert session.state.status.value == Status.PAUSED.value
        assert await session.resume() == 5
        assert session.state.status.value == Status.ACTIVE.value
    assert sessions["s"].head == 5


async def test_an_attached_session_is_shared_and_given_away(
    client: Client, sessions: Sessions
) -> None:
    """On its stream, as every other change."""
    async with client.attach("s") as session:
        assert await session.share("bob", MemberRole.VIEWER) == 2
        assert session.state.members["bob"].role is MemberRole.VIEWER
        link = await session.make_link(MemberRole.EDITOR)
        assert (link.link.link_id, len(link.secret)) == ("l", 43)
        assert await session.revoke_link("l") == 4
        assert session.state.links == {}
        assert await session.transfer("bob") == 5
        assert (session.state.user_id, [*session.state.members]) == ("bob", ["alice"])
        assert await session.unshare("alice") == 6
    assert sessions["s"].head == 6


async def test_a_change_returns_when_its_event_has_come_too(
    client: Client, sessions: Sessions
) -> None:
    async with client.attach("s") as session:
        attachment = sessions["s"].attachments[0]
        late: list[ServerFrame] = []
        say, attachment.say = attachment.say, late.append
        appending = asyncio.create_task(session.append("hello"))
        done, _ = await asyncio.wait([appending], timeout=0.05)
        assert not done, "the reply is there, the event is not"
        attachment.say = say
        for frame in late:
            say(frame)
        assert await appending == session.state.seq == 2


async def test_events_are_iterated_from_the_state_on(client: Client, sessions: Sessions) -> None:
    sessions["s"].append("before")
    async with client.attach("s") as session:
        events = session.events()
        assert session.state.seq == 2
        await session.append("mine")
        await session.update(title="t")
        await session.pause()
        seen = [await anext(events) for _ in range(3)]
        assert [each.seq for each in seen] == [3, 4, 5]
        kinds = [type(each.event) for each in seen if isinstance(each, Record)]
        assert kinds == [MessageAppended, SessionUpdated, SessionPaused]


async def test_an_iteration_ends_when_the_session_is_left(client: Client) -> None:
    async with client.attach("s") as session:
        await session.append("one")
        events = session.events()
    assert [event async for event in events] == []
    assert [event async for event in session] == []


async def test_who_reads_updates_sees_tokens_and_presence_too(
    client: Client, sessions: Sessions
) -> None:
    async with client.attach("s") as session, client.attach("s") as worker:
        updates = session.updates()
        events = session.events()
        async with worker.turn() as turn:
            await turn.write("Hel")
            await turn.write("lo")
            assert isinstance(await anext(updates), Record)
            token = await anext(updates)
            assert token == Token(turn.id, 0, "Hello")
            assert session.turns[turn.id].text == "Hello"
            presence = live_pb2.Presence(session_id="s", count=1)
            presence.members.add(subject="alice", role="user", typing=True)
            for attachment in sessions["s"].attachments:
                attachment.say(ServerFrame(presence=presence))
            seen = await anext(updates)
            assert isinstance(seen, Presence)
            assert seen.members[0].typing
            assert session.present == seen
        assert [(await anext(events)).seq for _ in range(2)] == [2, 3]
        assert session.turns == {}
        assert session.messages[-1].content == "Hello"


async def test_the_same_session_can_be_attached_twice(client: Client, live: Live) -> None:
    async with client.attach("s") as one, client.attach("s") as two:
        await one.append("hello")
        events = two.events()
        await two.append("world")
        while two.state.seq < 3:
            await anext(events)
        assert len(live.connections) == 2


async def test_typing_is_shown(client: Client, sessions: Sessions) -> None:
    async with client.attach("s") as session:
        session.typing()
        session.typing(False)
        await session.append("behind it")
        assert sessions["s"].presence == [True, False]


async def test_a_session_that_is_not_there_is_told(client: Client) -> None:
    with pytest.raises(SessionNotFound):
        async with client.attach("absent"):
            pass


async def test_an_attach_that_may_pass_later_is_repeated(
    client: Client, sessions: Sessions, live: Live
) -> None:
    sessions["s"].refuse["attach"] = [Unavailable(), RateLimited()]
    async with client.attach("s") as session:
        assert session.state.seq == 1
    assert live.newest.kinds().count("attach") == 3


async def test_a_refusal_is_raised(client: Client, sessions: Sessions) -> None:
    sessions["s"].refuse["append"] = [SessionFull()]
    async with client.attach("s") as session:
        with pytest.raises(SessionFull):
            await session.append("too much")
        assert await session.append("less") == 2


async def test_a_change_that_may_pass_later_is_repeated_as_it_was(
    client: Client, sessions: Sessions
) -> None:
    sessions["s"].refuse["append"] = [RateLimited(), OutcomeUnknown()]
    async with client.attach("s") as session:
        assert await session.append("hello", op_id="one") == 2
        assert sessions["s"].sinces["one"] == {1}


async def test_an_operation_id_does_a_change_once(client: Client, sessions: Sessions) -> None:
    async with client.attach("s") as session:
        seqs = await asyncio.gather(*(session.append("hello", op_id="one") for _ in range(3)))
        assert seqs == [2, 2, 2]
        assert await session.append("hello", op_id="one") == 2
        assert sessions["s"].head == 2
        waiting = asyncio.create_task(session.append("hello", op_id="two"))
        await asyncio.sleep(0)
        with pytest.raises(IdempotencyMismatch):
            await session.append("other", op_id="two")
        assert await waiting == 3


async def test_a_change_that_no_frame_can_hold_is_refused_at_once(
    client: Client, live: Live
) -> None:
    async with client.attach("s") as session:
        with pytest.raises(PayloadTooLarge):
            await session.append("x" * 1024 * 1024)
        assert await session.append("small") == 2
    assert len(live.connections) == 1


async def test_there_is_nothing_to_cancel_where_no_turn_runs(client: Client) -> None:
    async with client.attach("s") as session:
        with pytest.raises(TurnNotFound):
            await session.cancel()


async def test_a_deleted_session_ends_every_wait(client: Client, sessions: Sessions) -> None:
    async with client.attach("s") as session:
        events = session.events()
        sessions["s"].refuse["append"] = [RateLimited()] * 1000
        waiting = asyncio.create_task(session.append("never"))
        await asyncio.sleep(0)
        goaway = Goaway(session_id="s", reason="SESSION_NOT_FOUND", detail="It was deleted.")
        sessions["s"].attachments[0].say(ServerFrame(goaway=goaway))
        with pytest.raises(SessionNotFound, match="deleted"):
            await anext(events)
        with pytest.raises(SessionNotFound):
            await waiting
        with pytest.raises(SessionNotFound):
            await session.append("late")
        with pytest.raises(SessionNotFound):
            await anext(session.events())


async def test_leaving_says_detach_and_goodbye(sessions: Sessions, live: Live) -> None:
    sessions["t"] = StoredSession("t")
    async with opened(live) as client:
        async with client.attach("t"):
            async with client.attach("s") as session:
                pass
            assert session.id == "s"
        await live.newest.closed.wait()
    assert live.newest.kinds() == ["hello", "attach", "attach", "detach", "detach", "close"]
    assert sessions["s"].attachments == sessions["t"].attachments == []


async def test_a_client_that_is_left_leaves_its_sessions(live: Live) -> None:
    async with opened_beside_others(live) as client:
        leaving = client.attach("s")
        session = await leaving.__aenter__()
        sessions_of = live.sessions["s"]
        sessions_of.refuse["append"] = [RateLimited()] * 1000
        waiting = asyncio.create_task(session.append("never"))
        await asyncio.sleep(0)
    with pytest.raises(OutcomeUnknown):
        await waiting
    await leaving.__aexit__(None, None, None)


async def test_a_stream_carries_as_many_sessions_as_the_server_allows(
    client: Client, sessions: Sessions, live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Conversation, "most_attached", 2)
    sessions.update({name: StoredSession(name) for name in "abc"})
    async with client.attach("s"), client.attach("a"), client.attach("b"), client.attach("c"):
        assert [len(each.kinds()) for each in live.connections] == [3, 3]


async def fill(session: AttachedSession, count: int) -> None:
    for begin in range(0, count, 100):
        await asyncio.gather(*(session.append(f"{begin + n}") for n in range(100)))


async def test_a_slow_reader_misses_nothing_and_holds_a_bounded_number(
    client: Client, sessions: Sessions
) -> None:
    async with client.attach("s") as session:
        slow = session.events()
        await fill(session, 3 * CAPACITY)
        assert session.state.seq == 3 * CAPACITY + 1
        assert slow.waiting == CAPACITY
        seen = []
        async for event in slow:
            assert isinstance(event, Record)
            assert slow.waiting <= CAPACITY
            seen.append(event.seq)
            if event.seq == session.state.seq:
                break
        assert seen == list(range(2, 3 * CAPACITY + 2))
        assert len(session.messages) == 3 * CAPACITY
        assert await session.append("still here") == 3 * CAPACITY + 2


async def test_a_reader_that_appends_does_not_wait_for_itself(
    client: Client, sessions: Sessions
) -> None:
    async with client.attach("s") as session:
        events = session.events()
        await fill(session, CAPACITY + 100)
        assert await session.append("answer") == CAPACITY + 102
        assert (await anext(events)).seq == 2


async def test_a_reader_too_far_behind_is_told_of_a_reset(
    client: Client, sessions: Sessions
) -> None:
    async with client.attach("s") as session:
        slow = session.events()
        await fill(session, CAPACITY + 100)
        sessions["s"].oldest = sessions["s"].head
        seen = []
        async for event in slow:
            seen.append(event)
            if isinstance(event, Reset):
                break
        assert [event.seq for event in seen[:-1]] == list(range(2, CAPACITY + 2))
        assert seen[-1] == Reset("CURSOR_TOO_OLD", CAPACITY + 101)
        assert session.state.seq == CAPACITY + 101
        assert len(session.messages) == 50
        await session.append("next")
        assert (await anext(slow)).seq == CAPACITY + 102


async def test_an_iterator_that_nobody_holds_costs_nothing(client: Client) -> None:
    async with client.attach("s") as session:
        appending = asyncio.create_task(session.append("one"))
        async for _ in session:
            assert session.readers == 1
            break
        await appending
        assert session.readers == 0


async def test_readers_are_independent(client: Client) -> None:
    async with client.attach("s") as session:
        early, later = session.events(), session.updates()
        await session.append("one")
        third = session.events()
        await session.append("two")
        assert [(await anext(early)).seq, (await anext(early)).seq] == [2, 3]
        seen = [await anext(later), await anext(later)]
        assert [each.seq for each in seen if isinstance(each, Record)] == [2, 3]
        assert (await anext(third)).seq == 3


async def test_who_may_enter_is_changed_as_all_else_is(client: Client, sessions: Sessions) -> None:
    """Each returns its seq, and a link its secret; the state says whose the session is."""
    async with client.attach("s") as session:
        events = session.events()
        assert await session.share("bob", MemberRole.EDITOR) == 2
        made = await session.make_link(MemberRole.VIEWER)
        assert made.link.link_id == "l" and made.secret
        assert await session.revoke_link("l") == 4
        assert await session.unshare("bob") == 5
        assert await session.set_hold(True) == 6
        assert session.state.held
        assert await session.transfer("carol", op_id="t") == 7
        assert await session.transfer("carol", op_id="t") == 7
        assert session.state.user_id == "carol"
        told = [await anext(events) for _ in range(6)]
    kinds = [type(each.event) for each in told if isinstance(each, Record)]
    assert kinds == [
        *(MemberGranted, LinkMade, LinkRevoked, MemberRevoked),
        *(HoldSet, OwnerTransferred),
    ]


async def test_a_rewind_loads_the_session_anew(client: Client, sessions: Sessions) -> None:
    """Who asks finds it done; who reads sees it happen, and then that all was loaded."""
    for content in ("one", "two", "three"):
        sessions["s"].append(content)
    async with client.attach("s") as session:
        events = session.events()
        assert await session.rewind(2) == 5
        assert session.state.seq == 5
        assert [message.content for message in session.messages] == ["one"]
        happened = await anext(events)
        assert isinstance(happened, Record)
        assert isinstance(happened.event, Rewound)
        assert happened.event.to_seq == 2
        assert await anext(events) == Reset("REWOUND", 5)
        await session.append("another way")
        happened = await anext(events)
        assert isinstance(happened, Record)
        assert happened.seq == 6
        assert [message.content for message in session.messages] == ["one", "another way"]
        assert session.state.message_count == 2


async def test_a_rewind_that_is_told_twice_is_done_once(client: Client, sessions: Sessions) -> None:
    """By its operation id."""
    sessions["s"].append("one")
    async with client.attach("s") as session:
        assert await session.rewind(1, op_id="r") == 3
        assert await session.rewind(1, op_id="r") == 3
    assert sessions["s"].head == 3


async def test_a_connection_that_breaks_at_a_rewind_leaves_nothing_half_done(
    client: Client, sessions: Sessions
) -> None:
    """The event came and the snapshot did not: it comes on the next attachment."""
    stored = sessions["s"]
    stored.append("one")
    stored.append("two")
    async with client.attach("s") as session:
        events = session.events()
        attachments, stored.attachments = stored.attachments, []
        stored.rewind(2)
        for attachment in attachments:
            attachment.say(ServerFrame(event=stored.events[-1]))
        stored.attachments = attachments
        assert isinstance((await anext(events)), Record)
        assert [message.content for message in session.messages] == ["one", "two"]
        stored.move()
        reset = await anext(events)
        assert isinstance(reset, Reset)
        assert reset.seq == 4
        assert [message.content for message in session.messages] == ["one"]
