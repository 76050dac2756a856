"""Sessions go straight to their owner where the client knows its address, and miss nothing."""

from __future__ import annotations

import pytest

from sessiond.client import stream
from sessiond.session.events import Record
from tests.client.conftest import opened, tasks
from tests.client.live import Live
from tests.client.sessions import StoredSession

Sessions = dict[str, StoredSession]


async def test_a_session_moves_to_its_owner_and_misses_nothing(
    live: Live, other: Live, sessions: Sessions
) -> None:
    """Who is attached elsewhere is attached at the owner by its cursor, and leaves the detour."""
    sessions["s"].owner = other.address
    async with opened(live, other) as client, client.attach("s") as session:
        events = session.events()
        sessions["s"].append("on the way")
        await other.came.wait()
        await other.newest.hears("attach", 1)
        sessions["s"].append("there")
        assert await session.append("mine") == 4
        seen = [await anext(events) for _ in range(3)]
        assert [record.seq for record in seen if isinstance(record, Record)] == [2, 3, 4]
        await live.newest.closed.wait()
        assert live.newest.kinds()[-2:] == ["detach", "close"]
        assert other.newest.kinds() == ["hello", "attach", "append"]
        assert other.newest.heard[1].attach.cursor


async def test_sessions_of_one_owner_share_a_stream(
    live: Live, other: Live, sessions: Sessions
) -> None:
    """A stream to an owner carries all of its sessions, and the others stay where they are."""
    for session_id in ("t", "u"):
        sessions[session_id] = StoredSession(session_id)
    sessions["s"].owner = sessions["t"].owner = other.address
    sessions["u"].owner = live.address
    async with opened(live, other) as client, client.attach("s"), client.attach("t"):
        async with client.attach("u") as stays:
            await other.came.wait()
            await other.newest.hears("attach", 2)
            assert await stays.append("hello") == 2
            assert live.newest.kinds()[-1] == "append"
        assert len(live.connections) == len(other.connections) == 1


async def test_nothing_is_given_up_before_the_owner_answers(
    live: Live, other: Live, sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the owner's address says no welcome the session is served over the detour."""
    monkeypatch.setattr(stream, "CONNECT_SECONDS", 0.05)
    other.silent = True
    sessions["s"].owner = other.address
    async with opened(live, other) as client, client.attach("s") as session:
        await other.came.wait()
        assert await session.append("hello") == 2
        await other.newest.closed.wait()
        assert await session.append("again") == 3
        assert live.newest.kinds() == ["hello", "attach", "append", "append"]


async def test_an_owner_at_an_unknown_address_is_reached_through_the_others(
    live: Live, other: Live, sessions: Sessions
) -> None:
    """The client dials no address but those that it was given."""
    sessions["s"].owner = other.address
    async with opened(live) as client, client.attach("s") as session:
        for number in range(3):
            assert await session.append("hello") == 2 + number
        sessions["s"].move()
        assert await session.append("after") == 5
        assert not other.connections
        assert len(live.connections) == 1


async def test_a_session_that_is_given_away_is_attached_at_its_new_owner_at_once(
    live: Live, other: Live, sessions: Sessions
) -> None:
    """The word that ends the attachment names the owner, and no detour is made."""
    sessions["s"].owner = live.address
    async with opened(live, other) as client, client.attach("s") as session:
        sessions["s"].owner = other.address
        sessions["s"].move()
        assert await session.append("after") == 2
        assert live.newest.kinds().count("attach") == 1
        assert other.newest.kinds() == ["hello", "attach", "append"]


async def test_a_turn_is_written_on_where_its_session_has_moved(
    live: Live, other: Live, sessions: Sessions
) -> None:
    """Its worker begins again there, and each character is stored once."""
    sessions["s"].owner = live.address
    async with opened(live, other) as client, client.attach("s") as session:
        async with session.turn() as turn:
            await turn.write("one ")
            sessions["s"].owner = other.address
            sessions["s"].move()
            await turn.write("two ")
            await other.came.wait()
            await other.newest.hears("begin_turn", 1)
            await turn.write("three")
        last = sessions["s"].events[-1]
        assert last.turn_ended.message.content == "one two three"


async def test_who_leaves_while_the_owner_is_dialled_leaves_nothing_behind(
    live: Live, other: Live, sessions: Sessions
) -> None:
    """A stream that was opened for a session that has gone is closed."""
    sessions["s"].owner = other.address
    other.silent = True
    async with opened(live, other) as client:
        async with client.attach("s"):
            await other.came.wait()
        other.silent = False
        await live.newest.closed.wait()
    assert not tasks()


async def test_the_same_session_twice_goes_to_its_owner_twice(
    live: Live, other: Live, sessions: Sessions
) -> None:
    """Each of them on a stream of its own, since a stream carries a session once."""
    sessions["s"].owner = other.address
    async with opened(live, other) as client, client.attach("s") as one:
        await other.came.wait()
        first = other.newest
        await first.hears("attach", 1)
        other.came.clear()
        async with client.attach("s") as two:
            await other.came.wait()
            assert other.newest is not first
            await other.newest.hears("attach", 1)
            assert await one.append("hello") == 2
            assert await two.append("hello") == 3
