"""A room: the output gate, dense order, exactly once, and what closes it."""

from __future__ import annotations

import pytest

from services.live.forming import COMMIT_BYTES, COMMIT_RECORDS, INDEX_MOVES_AFTER_MS
from services.live.operations import REMEMBERED
from services.live.outcome import Verdict
from services.live.request import RoomClosed, Unsettled
from services.live.room import WAITING
from sessiond.errors import (
    AlreadyDecided,
    IdempotencyMismatch,
    Internal,
    SessionFull,
    SessionNotFound,
    StaleRevision,
    Unavailable,
)
from sessiond.session.access import Identity, Role
from sessiond.session.changes import (
    AppendMessage,
    ApproveOutput,
    Change,
    DeleteSession,
    PauseSession,
    ResumeSession,
    SubmitOutput,
    UpdateSession,
)
from sessiond.session.limits import Limits
from sessiond.session.state import Decision
from sessiond.store.codec import decode_head, decode_outputs, decode_record, load, needed_seqs
from sessiond.v1.ownership_pb2 import Commit, DeleteRequest, ReadHeadRequest
from tests.live.rooms import ALICE, BOB, ME, START_MS, House, asked, commit, confirmed, formed


async def test_nothing_is_answered_before_the_commit_is_known() -> None:
    """The output gate: an answer waits for its commit, and so does the state that others see."""
    room = House().room()
    request = asked(AppendMessage("hello"), "a")
    room.submit(request)
    formed(room)
    assert not request.reply.done()
    assert room.session.seq == 1
    room.settle(Verdict.COMMITTED)
    assert request.reply.result().seq == 2
    assert room.session.seq == 2


async def test_a_refusal_that_rests_on_a_commit_waits_for_it() -> None:
    """Even a refusal may show an event: it is given when that event is stored."""
    room = House().room()
    room.submit(
        asked(SubmitOutput("plan", output_id="o1"), "a", Identity("s", Role.SERVICE, "alice"))
    )
    approved = asked(ApproveOutput("o1"), "b")
    refused = asked(ApproveOutput("o1", decision=Decision.REJECTED), "c")
    room.submit(approved)
    room.submit(refused)
    write = formed(room)
    assert len(write.records) == 2
    assert not refused.reply.done()
    room.settle(Verdict.COMMITTED)
    assert approved.reply.result().seq == 3
    with pytest.raises(AlreadyDecided):
        refused.reply.result()


async def test_what_arrives_in_flight_forms_the_next_commit() -> None:
    """One commit in flight per session; seqs stay dense over commits."""
    room = House().room()
    room.submit(asked(AppendMessage("one"), "a"))
    formed(room)
    later = [asked(AppendMessage(f"later {n}"), f"b{n}") for n in range(3)]
    for request in later:
        room.submit(request)
    assert room.form() is None
    room.settle(Verdict.COMMITTED)
    write = commit(room)
    assert [record.seq for record in write.records] == [3, 4, 5]
    assert [request.reply.result().seq for request in later] == [3, 4, 5]
    assert room.quiet


async def test_a_commit_takes_whole_changes_up_to_its_bounds() -> None:
    """At most 54 records and 1 MiB: the rest waits for the next commit, in order."""
    room = House().room()
    for n in range(COMMIT_RECORDS + 1):
        room.submit(asked(AppendMessage("x"), f"n{n}"))
    assert len(commit(room).records) == COMMIT_RECORDS
    assert len(commit(room).records) == 1
    large = "x" * (COMMIT_BYTES // 2 - 2000)
    for n in range(3):
        room.submit(asked(AppendMessage(large), f"large{n}"))
    assert [len(commit(room).records) for _ in range(2)] == [2, 1]


async def test_a_commit_compares_the_very_bytes_that_were_written() -> None:
    """The head is fenced by value: each commit expects exactly the bytes of the one before."""
    room = House().room()
    before = room.head
    room.submit(asked(AppendMessage("one"), "a"))
    first = commit(room).write
    room.submit(asked(AppendMessage("two"), "b"))
    second = commit(room).write
    assert isinstance(first, Commit)
    assert isinstance(second, Commit)
    assert first.expected_head == before
    assert second.expected_head == first.head


async def test_what_is_written_loads_as_what_is_held() -> None:
    """Head, outputs and records of all commits give back the state that the room holds."""
    room = House().room()
    service = Identity("s", Role.SERVICE, "alice")
    first = room.window.record(1)
    assert first is not None
    records = [first]
    outputs = b""
    steps: list[tuple[Change, Identity]] = [
        (AppendMessage("hello there"), ALICE),
        (SubmitOutput("plan", output_id="o1"), service),
        (ApproveOutput(), ALICE),
        (UpdateSession(title="Mine", user_inputs='{"a":1}'), ALICE),
        (PauseSession(), ALICE),
        (ResumeSession(), ALICE),
    ]
    for n, (change, who) in enumerate(steps):
        room.submit(asked(change, f"op{n}", who))
        write = commit(room).write
        assert isinstance(write, Commit)
        records += [decode_record(record) for record in write.records]
        outputs = write.outputs if write.HasField("outputs") else outputs
    head, rows = decode_head(room.head), decode_outputs(outputs)
    needed = [records[seq - 1] for seq in needed_seqs(head, rows)]
    assert load(head, rows, needed) == room.session
    assert head.meta == room.meta


async def test_the_index_entry_moves_only_after_a_quarter_second() -> None:
    """An entry keeps its key within 250 ms, and from then on leaves it for a new one."""
    house = House()
    room = house.room()
    house.clock.ms += INDEX_MOVES_AFTER_MS - 1
    room.submit(asked(AppendMessage("soon"), "a"))
    stays = commit(room).write
    house.clock.ms += 1
    room.submit(asked(AppendMessage("later"), "b"))
    moves = commit(room).write
    assert isinstance(stays, Commit)
    assert isinstance(moves, Commit)
    assert (stays.index.previous_position_ms, stays.index.position_ms) == (START_MS, START_MS)
    assert moves.index.previous_position_ms == START_MS
    assert moves.index.position_ms == START_MS + INDEX_MOVES_AFTER_MS


async def test_a_clock_that_steps_back_moves_nothing_back() -> None:
    """A session's times never decrease."""
    house = House()
    room = house.room()
    house.clock.ms -= 60_000
    room.submit(asked(AppendMessage("early"), "a"))
    assert commit(room).records[0].time_ms == START_MS


async def test_the_same_operation_gets_its_answer_and_another_change_is_refused() -> None:
    """Exactly once: same actor, operation id and change give the original seq."""
    room = House().room()
    room.submit(asked(AppendMessage("hello"), "a"))
    commit(room)
    room.submit(asked(AppendMessage("more"), "b"))
    commit(room)
    again = asked(AppendMessage("hello"), "a")
    other = asked(AppendMessage("other"), "a")
    room.submit(again)
    room.submit(other)
    confirmed(room)
    assert again.reply.result().seq == 2
    with pytest.raises(IdempotencyMismatch):
        other.reply.result()


async def test_an_operation_in_flight_or_waiting_is_joined() -> None:
    """A twin that comes before the answer gets the same answer, and one record is written."""
    room = House().room()
    twins = [asked(AppendMessage("hello"), "a") for _ in range(3)]
    room.submit(twins[0])
    room.submit(twins[1])
    write = formed(room)
    room.submit(twins[2])
    assert len(write.records) == 1
    room.settle(Verdict.COMMITTED)
    assert room.form() is None
    assert [twin.reply.result().seq for twin in twins] == [2, 2, 2]


async def test_operation_ids_belong_to_their_actor() -> None:
    """Another actor's equal key is a change of its own."""
    room = House().room()
    mine = asked(AppendMessage("hello"), "a")
    theirs = asked(AppendMessage("hello"), "a", Identity("s", Role.SERVICE, "alice"))
    room.submit(mine)
    room.submit(theirs)
    assert len(commit(room).records) == 2
    assert [mine.reply.result().seq, theirs.reply.result().seq] == [2, 3]


async def test_access_comes_before_the_operation_id_and_that_before_the_revision() -> None:
    """The order of checks: access, operation id, expected revision, rules."""
    room = House().room()
    room.submit(asked(AppendMessage("hello"), "a"))
    commit(room)
    stranger = asked(AppendMessage("other"), "a", BOB, expected_revision=99)
    repeated = asked(AppendMessage("hello"), "a", expected_revision=1)
    stale = asked(AppendMessage(""), "b", expected_revision=1)
    for request in (stranger, repeated, stale):
        room.submit(request)
    confirmed(room)
    with pytest.raises(SessionNotFound):
        stranger.reply.result()
    assert repeated.reply.result().seq == 2
    with pytest.raises(StaleRevision) as caught:
        stale.reply.result()
    assert caught.value.revision == 2


async def test_what_changes_nothing_writes_nothing_and_is_remembered() -> None:
    """A change without an event is answered with the revision of its moment, again and again."""
    room = House().room()
    room.submit(asked(ResumeSession(), "r"))
    confirmed(room)
    room.submit(asked(AppendMessage("hello"), "a"))
    commit(room)
    again = asked(ResumeSession(), "r")
    room.submit(again)
    assert room.form() is None
    assert again.reply.result().seq == 1


async def test_an_answer_without_a_write_waits_until_the_head_is_seen_to_stand() -> None:
    """Refusals, too: the session may have another owner, and be another there."""
    room = House().room()
    unchanged = asked(ResumeSession(), "r")
    refused = asked(AppendMessage("x"), "a", expected_revision=9)
    for request in (unchanged, refused):
        room.submit(request)
    write = formed(room)
    assert write.write == ReadHeadRequest(session_id=room.session.id)
    assert not unchanged.reply.done()
    assert not refused.reply.done()
    room.settle(Verdict.LOST)
    for request in (unchanged, refused):
        assert isinstance(request.reply.exception(), RoomClosed)


async def test_the_last_thousand_operations_are_remembered() -> None:
    """The promise holds for 1000 changes and not by accident for more."""
    room = House().room()
    for n in range(REMEMBERED + 1):
        room.submit(asked(AppendMessage("x"), f"n{n}"))
        if n % COMMIT_RECORDS == COMMIT_RECORDS - 1 or n == REMEMBERED:
            commit(room)
    kept, forgotten = asked(AppendMessage("x"), "n1"), asked(AppendMessage("x"), "n0")
    room.submit(kept)
    assert room.form() is None
    assert kept.reply.result().seq == 3
    room.submit(forgotten)
    assert len(commit(room).records) == 1


async def test_a_deletion_goes_alone_and_closes_the_room() -> None:
    """What waits before it is committed first, what waits behind it finds the session gone."""
    room = House().room()
    before, deletion = asked(AppendMessage("last"), "a"), asked(DeleteSession(), "d")
    behind = asked(AppendMessage("late"), "b")
    for request in (before, deletion, behind):
        room.submit(request)
    assert isinstance(commit(room).write, Commit)
    assert isinstance(formed(room).write, DeleteRequest)
    room.settle(Verdict.COMMITTED)
    assert before.reply.result().seq == 2
    assert deletion.reply.result().seq == 2
    with pytest.raises(RoomClosed):
        behind.reply.result()
    with pytest.raises(RoomClosed):
        room.submit(asked(AppendMessage("later"), "c"))


@pytest.mark.parametrize(
    ("verdict", "in_flight", "waiting"),
    [
        (Verdict.FENCED, RoomClosed, RoomClosed),
        (Verdict.LOST, RoomClosed, RoomClosed),
        (Verdict.LOST_UNKNOWN, Unsettled, RoomClosed),
        (Verdict.GONE, RoomClosed, RoomClosed),
        (Verdict.GONE_UNKNOWN, Unsettled, RoomClosed),
        (Verdict.UNSTORABLE, SessionFull, RoomClosed),
        (Verdict.BROKEN, Internal, Internal),
    ],
)
async def test_every_other_verdict_closes_the_room_honestly(
    verdict: Verdict, in_flight: type[Exception], waiting: type[Exception]
) -> None:
    """Who was in flight and who waited each hear what is true of them."""
    room = House().room()
    flying, queued = asked(AppendMessage("one"), "a"), asked(AppendMessage("two"), "b")
    room.submit(flying)
    formed(room)
    room.submit(queued)
    room.settle(verdict)
    assert type(flying.reply.exception()) is in_flight
    assert type(queued.reply.exception()) is waiting
    assert room.closed is not None
    assert room.form() is None


async def test_a_closed_room_leaves_its_flight_unsettled() -> None:
    """A dead instance does not say that a commit in flight failed: it does not know."""
    room = House().room()
    flying = asked(AppendMessage("one"), "a")
    room.submit(flying)
    formed(room)
    room.close()
    assert isinstance(flying.reply.exception(), Unsettled)


@pytest.mark.parametrize("verdict", Verdict)
async def test_a_verdict_that_comes_after_the_room_closed_is_passed_over(verdict: Verdict) -> None:
    """Whoever waited for it was told that nobody knows; nothing broke."""
    room = House().room()
    flying = asked(AppendMessage("one"), "a")
    room.submit(flying)
    formed(room)
    room.close()
    room.settle(verdict)
    assert isinstance(room.closed, RoomClosed)
    assert isinstance(flying.reply.exception(), Unsettled)
    assert room.session.seq == 1


async def test_the_queue_of_a_room_has_a_bound() -> None:
    """Beyond it a caller is told to come back, and nothing was changed."""
    room = House().room()
    for n in range(WAITING):
        room.submit(asked(AppendMessage("x"), f"n{n}"))
    with pytest.raises(Unavailable):
        room.submit(asked(AppendMessage("x"), "one too many"))


async def test_who_has_gone_is_not_served() -> None:
    """A change whose caller stopped waiting before it was decided is not made."""
    room = House().room()
    request = asked(AppendMessage("x"), "a")
    room.submit(request)
    request.reply.cancel()
    assert room.form() is None
    assert room.session.seq == 1


async def test_a_full_session_takes_no_more() -> None:
    """The bytes of all records have a limit, at which a change is refused and nothing stored."""
    room = House(limits=Limits(session=3000)).room()
    fits, too_much = asked(AppendMessage("x" * 1000), "a"), asked(AppendMessage("x" * 2000), "b")
    room.submit(fits)
    room.submit(too_much)
    assert len(commit(room).records) == 1
    assert fits.reply.result().seq == 2
    with pytest.raises(SessionFull):
        too_much.reply.result()


async def test_records_say_who_wrote_them_when_and_in_which_epoch() -> None:
    """Each record holds epoch, instance, commit, actor, operation and hash."""
    room = House().room()
    room.submit(asked(AppendMessage("x"), "a"))
    (record,) = commit(room).records
    assert (record.epoch, record.instance, record.actor, record.op_id) == (1, ME, ALICE.actor, "a")
    assert record.hash
    assert record.commit_id == decode_head(room.head).meta.commit_id


async def test_what_is_put_off_was_never_there() -> None:
    """Its callers hear that nothing was changed, the room goes on, and the same change passes."""
    room = House().room()
    head, seq = room.head, room.session.seq
    first, paused, again = (
        asked(AppendMessage("one"), "a"),
        asked(PauseSession(), "b"),
        asked(PauseSession(), "c"),  # changes nothing, if the one before is stored
    )
    for request in (first, paused, again):
        room.submit(request)
    formed(room)
    room.settle(Verdict.PUT_OFF)
    for request in (first, paused, again):
        with pytest.raises(Unavailable):
            request.reply.result()
    assert (room.head, room.session.seq, room.closed) == (head, seq, None)
    repeated = [asked(PauseSession(), "c"), asked(AppendMessage("one"), "a")]
    for request in repeated:
        room.submit(request)
    commit(room)
    assert [request.reply.result().seq for request in repeated] == [seq + 1, seq + 2]


async def test_what_needs_nothing_put_off_is_answered() -> None:
    """A change that was stored before gets its answer, whatever becomes of its neighbours."""
    room = House().room()
    room.submit(asked(AppendMessage("one"), "a"))
    commit(room)
    repeated, new = asked(AppendMessage("one"), "a"), asked(AppendMessage("two"), "b")
    room.submit(repeated)
    room.submit(new)
    formed(room)
    room.settle(Verdict.PUT_OFF)
    assert repeated.reply.result().seq == 2
    with pytest.raises(Unavailable):
        new.reply.result()
