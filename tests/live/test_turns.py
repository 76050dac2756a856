"""A turn in a room: written by one worker, shown as it comes, stored in pieces, ended once."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from services.live.audience import TOKENS_SECONDS
from services.live.operations import REMEMBERED
from services.live.outcome import Verdict
from services.live.room import Room
from services.live.running import AWAY_SECONDS, DRAFT_SECONDS
from sessiond.errors import InvalidArgument, SessionFull, TurnActive, TurnNotFound
from sessiond.session.access import Identity, Role
from sessiond.session.changes import AppendMessage, BeginTurn, CancelTurn, EndTurn
from sessiond.session.events import TurnEnded
from sessiond.session.limits import Limits
from sessiond.session.state import TurnOutcome
from sessiond.store.codec import decode_draft
from sessiond.v1.live_pb2 import TurnProgress
from sessiond.v1.ownership_pb2 import Commit
from tests.live.readers import Reader, Told, made, text_of, told
from tests.live.rooms import House, commit, confirmed, formed

AGENT = Identity("w", Role.AGENT, agents=frozenset({"writer"}))
OTHER = Identity("v", Role.AGENT, agents=frozenset({"writer"}))


def begun(room: Room, worker: Reader, op_id: str = "b1") -> TurnProgress:
    answer = made(room, BeginTurn(), op_id, worker.identity)
    return room.take_up(answer, worker.attachment)


def ended(room: Room) -> TurnEnded:
    record = room.window.record(room.session.seq)
    assert record is not None
    assert isinstance(record.event, TurnEnded)
    return record.event


async def test_tokens_are_shown_as_they_come_and_the_end_tells_the_text() -> None:
    """Readers see the text grow, and then the message that it became."""
    house = House()
    room = house.room()
    worker, reader = Reader(room, AGENT), Reader(room)
    turn = begun(room, worker)
    room.write(worker.attachment, turn.turn_id, 0, "Hel")
    room.write(worker.attachment, turn.turn_id, 3, "lo")
    house.timers.pass_(TOKENS_SECONDS)
    assert text_of(await reader.shown("token")) == "Hello"
    room.write(worker.attachment, turn.turn_id, 5, "!")
    made(room, EndTurn(turn.turn_id, 6), "e1", AGENT)
    shown = await reader.shown("token", "event")
    assert shown[0].text == "!"
    assert shown[1].turn_ended.message.content == "Hello!"
    assert room.session.turn is None


async def test_a_slow_reader_gets_tokens_merged() -> None:
    """However many pieces there were, what waits for a reader is one."""
    house = House()
    room = house.room()
    worker, reader = Reader(room, AGENT), Reader(room)
    turn = begun(room, worker)
    for offset in range(100):
        room.write(worker.attachment, turn.turn_id, offset, "x")
        house.timers.pass_(TOKENS_SECONDS)
    (token,) = await reader.shown("token")
    assert (token.offset, token.text) == (0, "x" * 100)


async def test_what_is_written_is_stored_in_pieces_without_a_change() -> None:
    """A commit of drafts alone leaves the head as it stands."""
    house = House()
    room = house.room()
    worker = Reader(room, AGENT)
    turn = begun(room, worker)
    woken: list[None] = []
    room.wake = lambda: woken.append(None)
    pieces: list[tuple[int, int, str]] = []
    for offset, text in ((0, "one "), (4, "two")):
        room.write(worker.attachment, turn.turn_id, offset, text)
        assert room.form() is None
        house.timers.pass_(DRAFT_SECONDS)
        write = commit(room).write
        assert isinstance(write, Commit)
        assert (write.head, len(write.records), write.HasField("index")) == (b"", 0, False)
        pieces.extend((each.number, *decode_draft(each.value)) for each in write.drafts)
    assert pieces == [(1, 0, "one "), (2, 4, "two")]
    assert len(woken) == 2
    assert room.form() is None


async def test_a_draft_travels_with_changes_that_go_anyway() -> None:
    """One commit, one transaction."""
    room = House().room()
    worker = Reader(room, AGENT)
    turn = begun(room, worker)
    room.write(worker.attachment, turn.turn_id, 0, "one")
    told(room, AppendMessage("hello"), "a")
    write = commit(room).write
    assert isinstance(write, Commit)
    assert [decode_draft(each.value) for each in write.drafts] == [(0, "one")]


async def test_a_draft_never_makes_a_commit_too_large_for_etcd() -> None:
    """Much text at once is stored in several pieces, beside whatever else there is to write."""
    house = House()
    room = house.room()
    worker = Reader(room, AGENT)
    turn = begun(room, worker)
    text = "x" * 500_000
    room.write(worker.attachment, turn.turn_id, 0, text)
    for number in range(3):
        told(room, AppendMessage("y" * 349_000), f"op{number}")
    stored = ""
    house.timers.pass_(DRAFT_SECONDS)
    while (formed := room.form()) is not None:
        assert isinstance(formed.write, Commit)
        assert formed.write.ByteSize() < 1.25 * 1024 * 1024
        for offset, piece in (decode_draft(each.value) for each in formed.write.drafts):
            assert offset == len(stored)
            stored += piece
        room.settle(Verdict.COMMITTED)
    assert stored == text


async def test_the_commit_that_ends_a_turn_removes_its_drafts_and_puts_none() -> None:
    """A put under a delete of the same range would be refused by etcd as a whole."""
    room = House().room()
    worker = Reader(room, AGENT)
    turn = begun(room, worker)
    room.write(worker.attachment, turn.turn_id, 0, "one")
    told(room, EndTurn(turn.turn_id, 3), "e1", AGENT)
    write = commit(room).write
    assert isinstance(write, Commit)
    assert (write.ended_turn, len(write.drafts)) == (turn.turn_id, 0)


async def test_a_worker_that_begins_again_goes_on_where_the_text_is() -> None:
    """The same begin is the same turn, whoever carries it; what is there is not written twice."""
    room = House().room()
    first = Reader(room, AGENT)
    turn = begun(room, first)
    room.write(first.attachment, turn.turn_id, 0, "Hello")
    first.attachment.detach()
    second = Reader(room, AGENT)
    answer = told(room, BeginTurn(), "b1", AGENT)
    room.form()
    again = room.take_up(answer.answer, second.attachment)
    assert (again.turn_id, again.offset, again.ended) == (turn.turn_id, 5, False)
    room.write(second.attachment, turn.turn_id, 3, "lo, world")
    with pytest.raises(TurnNotFound):
        room.write(first.attachment, turn.turn_id, 12, "!")
    made(room, EndTurn(turn.turn_id, 12), "e1", AGENT)
    assert ended(room).content == "Hello, world"


async def test_a_begin_of_a_turn_that_has_ended_says_so() -> None:
    """A worker that was away too long learns that there is nothing to go on with."""
    room = House().room()
    worker = Reader(room, AGENT)
    turn = begun(room, worker)
    made(room, CancelTurn(turn.turn_id), "c1")
    answer = told(room, BeginTurn(), "b1", AGENT)
    room.form()
    again = room.take_up(answer.answer, worker.attachment)
    assert (again.turn_id, again.ended) == (turn.turn_id, True)


async def test_a_begin_is_known_for_as_long_as_its_turn_runs() -> None:
    """However much else happened in the session since."""
    room = House().room()
    worker = Reader(room, AGENT)
    turn = begun(room, worker)
    for number in range(REMEMBERED + 1):
        told(room, AppendMessage("hello"), f"op{number}")
        if number % 50 == 0:
            commit(room)
    while not room.quiet:
        commit(room)
    answer = told(room, BeginTurn(), "b1", AGENT)
    room.form()
    assert room.take_up(answer.answer, worker.attachment).turn_id == turn.turn_id


async def test_another_worker_waits_until_the_turn_has_ended() -> None:
    """One turn at a time, whoever else would speak."""
    room = House().room()
    worker = Reader(room, AGENT)
    turn = begun(room, worker)
    refused = told(room, BeginTurn(), "b1", OTHER)
    confirmed(room)
    assert isinstance(refused.error, TurnActive)
    made(room, CancelTurn(turn.turn_id), "c1")
    assert made(room, BeginTurn(), "b2", OTHER).seq == 4


@pytest.mark.parametrize("who", ["reader", "before begin"])
async def test_only_the_worker_writes(who: str) -> None:
    """A stream that did not begin the turn has no part in its text."""
    room = House().room()
    worker, reader = Reader(room, AGENT), Reader(room, AGENT)
    turn = begun(room, worker)
    with pytest.raises(TurnNotFound):
        if who == "reader":
            room.write(reader.attachment, turn.turn_id, 0, "x")
        else:
            room.write(worker.attachment, "another", 0, "x")


async def test_a_hole_in_the_text_is_refused() -> None:
    """And the turn goes on from where it is whole."""
    room = House().room()
    worker = Reader(room, AGENT)
    turn = begun(room, worker)
    with pytest.raises(InvalidArgument):
        room.write(worker.attachment, turn.turn_id, 3, "lo")
    room.write(worker.attachment, turn.turn_id, 0, "Hel")
    refused = told(room, EndTurn(turn.turn_id, 5), "e1", AGENT)
    confirmed(room)
    assert isinstance(refused.error, InvalidArgument)


async def test_a_worker_that_stays_away_ends_its_turn_as_interrupted() -> None:
    """The text that there was is the message; nobody waits for ever."""
    house = House()
    room = house.room()
    worker = Reader(room, AGENT)
    turn = begun(room, worker)
    room.write(worker.attachment, turn.turn_id, 0, "Hel")
    worker.attachment.detach()
    house.timers.pass_(AWAY_SECONDS)
    commit(room)
    assert (ended(room).outcome, ended(room).content) == (TurnOutcome.INTERRUPTED, "Hel")


async def test_a_worker_that_came_back_in_time_is_not_interrupted() -> None:
    """Being away has one clock, and coming back stops it."""
    house = House()
    room = house.room()
    worker = Reader(room, AGENT)
    begun(room, worker)
    worker.attachment.detach()
    back = Reader(room, AGENT)
    answer = told(room, BeginTurn(), "b1", AGENT)
    room.form()
    room.take_up(answer.answer, back.attachment)
    house.timers.pass_(AWAY_SECONDS)
    assert room.form() is None
    assert room.turn is not None


async def test_a_text_over_the_limit_fails_the_turn_with_what_was_there() -> None:
    """What fits is kept; the rest is nobody's."""
    house = House(limits=Limits(content=5))
    room = house.room()
    worker = Reader(room, AGENT)
    turn = begun(room, worker)
    room.write(worker.attachment, turn.turn_id, 0, "Hello")
    room.write(worker.attachment, turn.turn_id, 5, "!")
    with pytest.raises(TurnNotFound):
        room.write(worker.attachment, turn.turn_id, 5, "?")
    commit(room)
    assert (ended(room).outcome, ended(room).content) == (TurnOutcome.FAILED, "Hello")


async def test_a_full_session_can_still_end_its_turn() -> None:
    """Otherwise it would run for ever, in a session that takes nothing else."""
    house = House(limits=Limits(events=3))
    room = house.room()
    worker = Reader(room, AGENT)
    turn = begun(room, worker)
    made(room, AppendMessage("the last one"), "a")
    refused = told(room, AppendMessage("one more"), "b")
    confirmed(room)
    assert isinstance(refused.error, SessionFull)
    made(room, EndTurn(turn.turn_id, 0), "e1", AGENT)
    assert room.session.turn is None


async def test_a_session_without_a_byte_left_can_still_end_its_turn() -> None:
    """The same for the size of the whole."""
    house = House(limits=Limits(session=2000))
    room = house.room()
    worker = Reader(room, AGENT)
    turn = begun(room, worker)
    room.write(worker.attachment, turn.turn_id, 0, "x" * 3000)
    made(room, EndTurn(turn.turn_id, 3000), "e1", AGENT)
    assert ended(room).content == "x" * 3000


async def test_nothing_is_written_after_the_end_was_asked_for() -> None:
    """The text of the ending event is fixed when the end is decided."""
    room = House().room()
    worker = Reader(room, AGENT)
    turn = begun(room, worker)
    room.write(worker.attachment, turn.turn_id, 0, "Hello")
    told(room, EndTurn(turn.turn_id, 5), "e1", AGENT)
    formed(room)
    with pytest.raises(TurnNotFound):
        room.write(worker.attachment, turn.turn_id, 5, "!")
    room.settle(Verdict.COMMITTED)
    assert ended(room).content == "Hello"


async def test_a_reader_that_joins_in_the_middle_gets_the_rest_without_a_repeat() -> None:
    """What it was told when it came is not shown again."""
    house = House()
    room = house.room()
    worker = Reader(room, AGENT)
    turn = begun(room, worker)
    room.write(worker.attachment, turn.turn_id, 0, "Hello")
    late = Reader(room)
    late.attachment.has_text(turn.turn_id, 5)
    room.write(worker.attachment, turn.turn_id, 5, ", world")
    house.timers.pass_(TOKENS_SECONDS)
    (token,) = await late.shown("token")
    assert (token.offset, token.text) == (5, ", world")


# --- ends that meet ----------------------------------------------------------------------------


@pytest.mark.parametrize("first", ["end", "cancel", "away"])
async def test_of_ends_that_meet_one_counts(first: str) -> None:
    """Whoever comes second hears that no such turn runs, and the text is told once."""
    house = House()
    room = house.room()
    worker = Reader(room, AGENT)
    turn = begun(room, worker)
    room.write(worker.attachment, turn.turn_id, 0, "Hello")
    told(room, AppendMessage("in flight"), "a")
    formed(room)
    worker.attachment.detach()
    ends: dict[str, Callable[[], Told | None]] = {
        "end": lambda: told(room, EndTurn(turn.turn_id, 5), "e1", AGENT),
        "cancel": lambda: told(room, CancelTurn(turn.turn_id), "c1"),
        "away": lambda: house.timers.pass_(AWAY_SECONDS),
    }
    asked = {name: ends[name]() for name in sorted(ends, key=lambda each: each != first)}
    room.settle(Verdict.COMMITTED)
    while not room.quiet:
        commit(room)
    outcomes = {
        "end": TurnOutcome.COMPLETED,
        "cancel": TurnOutcome.CANCELLED,
        "away": TurnOutcome.INTERRUPTED,
    }
    assert (room.session.seq, room.session.turn) == (4, None)
    assert (ended(room).outcome, ended(room).content) == (outcomes[first], "Hello")
    for name, one in asked.items():
        if one is not None and name == first:
            assert one.answer.seq == 4
        elif one is not None:
            assert isinstance(one.error, TurnNotFound)


async def test_a_worker_that_comes_back_as_its_time_is_over_is_told_so() -> None:
    """It was taken for lost before its begin was looked at: it must not write into nothing."""
    house = House()
    room = house.room()
    worker = Reader(room, AGENT)
    turn = begun(room, worker)
    told(room, AppendMessage("in flight"), "a")
    formed(room)
    worker.attachment.detach()
    house.timers.pass_(AWAY_SECONDS)
    back = Reader(room, AGENT)
    begin = told(room, BeginTurn(), "b1", AGENT)
    room.settle(Verdict.COMMITTED)
    commit(room)
    again = room.take_up(begin.answer, back.attachment)
    assert (again.turn_id, again.ended) == (turn.turn_id, True)


async def test_a_turn_that_ends_as_another_begins_leaves_the_new_one_alone() -> None:
    """Both may stand in one commit."""
    house = House()
    room = house.room()
    worker = Reader(room, AGENT)
    turn = begun(room, worker)
    room.write(worker.attachment, turn.turn_id, 0, "Hello")
    told(room, CancelTurn(turn.turn_id), "c1")
    begin = told(room, BeginTurn(), "b2", AGENT)
    write = commit(room).write
    assert isinstance(write, Commit)
    assert (write.ended_turn, len(write.records), len(write.drafts)) == (turn.turn_id, 2, 0)
    second = room.take_up(begin.answer, worker.attachment)
    assert (second.offset, second.ended) == (0, False)
    with pytest.raises(TurnNotFound):
        room.write(worker.attachment, turn.turn_id, 5, "!")
    room.write(worker.attachment, second.turn_id, 0, "Anew")
    made(room, EndTurn(second.turn_id, 4), "e2", AGENT)
    assert ended(room).content == "Anew"


@pytest.mark.parametrize("verdict", [Verdict.LOST, Verdict.LOST_UNKNOWN, Verdict.GONE])
async def test_a_draft_that_another_owner_forestalled_ends_the_room(verdict: Verdict) -> None:
    """Its worker is told to come again, and no timer of the room is left."""
    house = House()
    room = house.room()
    worker = Reader(room, AGENT)
    turn = begun(room, worker)
    room.write(worker.attachment, turn.turn_id, 0, "Hello")
    house.timers.pass_(DRAFT_SECONDS)
    formed(room)
    room.settle(verdict)
    (goaway,) = await worker.shown("goaway")
    assert goaway.reconnect == (verdict is not Verdict.GONE)
    with pytest.raises(TurnNotFound):
        room.write(worker.attachment, turn.turn_id, 5, "!")
    assert all(due.cancelled for due in house.timers.waiting)


async def test_a_room_that_closes_while_its_turn_ends_leaves_no_timer() -> None:
    """Deleted or handed over with the end in flight: nothing of it happens later."""
    house = House()
    room = house.room()
    worker = Reader(room, AGENT)
    turn = begun(room, worker)
    room.write(worker.attachment, turn.turn_id, 0, "Hello")
    end = told(room, EndTurn(turn.turn_id, 5), "e1", AGENT)
    formed(room)
    room.close()
    assert end.answers == []
    assert len(end.failures) == 1
    assert all(due.cancelled for due in house.timers.waiting)
