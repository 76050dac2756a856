"""The past that a rewind goes back to, and the room that it fills."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest

from services.live.outcome import Verdict
from services.live.past import past_of
from services.live.request import Asked
from services.live.room import Room
from sessiond.errors import (
    DeadlineExceeded,
    IdempotencyMismatch,
    InvalidArgument,
    PermissionDenied,
    SessionNotFound,
    StaleRevision,
    Unavailable,
)
from sessiond.session.access import Identity, Role
from sessiond.session.changes import (
    AppendMessage,
    ApproveOutput,
    Change,
    RewindSession,
    SubmitOutput,
    UpdateSession,
)
from sessiond.session.state import Session
from sessiond.store.codec import (
    decode_entry,
    decode_head,
    decode_outputs,
    decode_record,
    encode_record,
    load,
    needed_seqs,
)
from sessiond.v1.ownership_pb2 import Commit
from tests.live.readers import Reader
from tests.live.rooms import ALICE, BOB, House, asked, commit, confirmed, formed

WRITER = Identity("w", Role.AGENT, agents=frozenset({"writer"}))


@dataclass
class Log:
    """A room's session as Store has it: it counts what is read, and fails when told to."""

    room: Room
    kept: list[bytes] = field(default_factory=list)
    read: int = 0
    failure: Exception | None = None

    def __post_init__(self) -> None:
        self.keep()

    def keep(self) -> None:
        for seq in range(len(self.kept) + 1, self.room.session.seq + 1):
            record = self.room.window.record(seq)
            assert record is not None
            self.kept.append(encode_record(record))

    async def records(
        self, session_id: str, first_seq: int, last_seq: int, *, enough: int | None = None
    ) -> list[bytes]:
        if self.failure is not None:
            raise self.failure
        found = self.kept[first_seq - 1 : last_seq]
        assert len(found) == last_seq - first_seq + 1
        self.read += len(found)
        return found[:3] if enough is not None else found

    async def past(self, request: Asked) -> Session | None:
        store: Any = self
        return await past_of(store, self.room, request)

    async def make(self, change: Change, op_id: str, identity: Identity = ALICE) -> Commit:
        """Make a change as Live does, and return what it wrote."""
        request = asked(change, op_id, identity)
        request.past = await self.past(request)
        self.room.submit(request)
        write = commit(self.room).write
        assert isinstance(write, Commit)
        request.reply.result()
        self.keep()
        return write


@pytest.fixture
async def log() -> Log:
    """A session with a step done: texts, an output, inputs, and twice a title."""
    log = Log(House().room())
    await log.make(AppendMessage("first"), "a")  # 2
    await log.make(SubmitOutput("plan", "o-1"), "b", WRITER)  # 3
    await log.make(ApproveOutput("o-1"), "c")  # 4
    await log.make(UpdateSession(title="Ours", user_inputs='{"a":1}'), "d")  # 5
    await log.make(AppendMessage("second"), "e")  # 6
    return log


def loaded(write: Commit, log: Log) -> Session:
    """The session as the next owner loads it of what was written last."""
    head, outputs = decode_head(write.head), decode_outputs(write.outputs)
    needed = [decode_record(log.kept[seq - 1]) for seq in needed_seqs(head, outputs)]
    return load(head, outputs, needed)


@pytest.mark.parametrize("to_seq", range(1, 6))
async def test_the_room_holds_what_the_next_owner_loads(log: Log, to_seq: int) -> None:
    """State, head, table of outputs and entry are of one rewind."""
    write = await log.make(RewindSession(to_seq), "r")
    assert log.room.session == loaded(write, log)
    assert log.room.session.seq == 7
    entry = decode_entry(write.index.entry)
    assert (entry.message_count, entry.last_message) == (
        log.room.session.message_count,
        log.room.session.last_message,
    )
    assert write.HasField("outputs")


async def test_a_rewind_to_before_a_rewind_is_whole(log: Log) -> None:
    """The past is filled, though its own log has gone back."""
    before = log.room.session
    await log.make(RewindSession(3), "r1")
    await log.make(ApproveOutput("o-1"), "again")
    assert log.room.session.current_step == 1
    write = await log.make(RewindSession(6), "r2")
    assert log.room.session == loaded(write, log)
    assert log.room.session.outputs == before.outputs
    assert log.room.session.user_inputs == '{"a":1}'
    write = await log.make(RewindSession(8), "r3")
    assert log.room.session == loaded(write, log)
    assert (log.room.session.user_inputs, log.room.session.current_step) == ("{}", 1)


async def test_the_present_is_at_hand(log: Log) -> None:
    """Nothing is read, and nothing written."""
    request = asked(RewindSession(6), "r")
    request.past = await log.past(request)
    assert request.past is log.room.session
    log.room.submit(request)
    confirmed(log.room)
    assert request.reply.result().seq == 6
    assert log.read == 0


@pytest.mark.parametrize("to_seq", [-1, 0, 7, 1 << 40])
async def test_no_past_is_looked_for_that_is_not_there(log: Log, to_seq: int) -> None:
    """The rules say what is wrong with it."""
    request = asked(RewindSession(to_seq), "r")
    assert await log.past(request) is None
    log.room.submit(request)
    confirmed(log.room)
    with pytest.raises(InvalidArgument):
        request.reply.result()
    assert log.read == 0


async def test_nobody_else_makes_us_read(log: Log) -> None:
    """Access is checked before; and what was answered is not read again."""
    await log.make(RewindSession(2), "r")
    read = log.read
    assert await log.past(asked(RewindSession(2), "r")) is None
    assert await log.past(asked(AppendMessage("x"), "y")) is None
    assert log.read == read


async def test_who_is_refused_hears_it_from_who_is_sure_to_own_the_session(log: Log) -> None:
    """Nothing is read for them, and a former owner, who may be wrong, tells them nothing."""
    editor = Identity("e", Role.AGENT, agents=frozenset({"editor"}))
    await log.make(UpdateSession(title="Theirs"), "used")
    for identity, op_id, refused in (
        (BOB, "r", SessionNotFound),
        (editor, "r", PermissionDenied),
        (ALICE, "used", IdempotencyMismatch),
    ):
        request = asked(RewindSession(2), op_id, identity)
        request.past = await log.past(request)
        log.room.submit(request)
        confirmation = formed(log.room)
        assert not confirmation.records
        assert not request.reply.done()
        log.room.settle(Verdict.COMMITTED)
        with pytest.raises(refused):
            request.reply.result()
    assert log.read == 0


async def test_a_store_that_does_not_answer_changed_nothing(log: Log) -> None:
    """Reading is no change: whatever is unknown of a read, this is known."""
    for failure in (Unavailable(), DeadlineExceeded()):
        log.failure = failure
        with pytest.raises(Unavailable):
            await log.past(asked(RewindSession(2), "r"))


async def test_what_happens_while_the_past_is_read_is_undone_too(log: Log) -> None:
    """A record never changes, so a past is good for ever; who minds names a revision."""
    request, minding = asked(RewindSession(2), "r"), asked(RewindSession(2), "m", ALICE, 6)
    request.past, minding.past = await log.past(request), await log.past(minding)
    await log.make(AppendMessage("third"), "f")
    log.room.submit(minding)
    confirmed(log.room)
    with pytest.raises(StaleRevision):
        minding.reply.result()
    log.room.submit(request)
    write = commit(log.room).write
    log.keep()
    assert isinstance(write, Commit)
    assert log.room.session == loaded(write, log)
    assert log.room.session.message_count == 1


async def test_an_event_of_the_same_commit_is_nowhere_to_go_back_to(log: Log) -> None:
    """It was not there when the caller asked."""
    first, then = asked(AppendMessage("third"), "f"), asked(RewindSession(7), "r")
    then.past = await log.past(then)
    log.room.submit(first)
    log.room.submit(then)
    assert len(formed(log.room).records) == 1
    log.room.settle(Verdict.COMMITTED)
    assert first.reply.result().seq == 7
    assert then.reply.result().seq == 7, "after it, the session stands there"


async def test_who_may_not_read_any_more_is_sent_away(log: Log) -> None:
    """The step goes back, and the agent of the later one has nothing to do here again."""
    reader = Reader(log.room, Identity("e", Role.AGENT, agents=frozenset({"editor"})))
    await log.make(RewindSession(2), "r")
    assert reader.attachment.ended


async def test_a_past_is_read_by_one_at_a_time(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be as large as a session is; who asks meanwhile waits, and holds nothing."""
    at_work = most = 0
    records = log.records

    async def slowly(*span: Any, **more: Any) -> list[bytes]:
        nonlocal at_work, most
        at_work += 1
        most = max(most, at_work)
        await asyncio.sleep(0)
        at_work -= 1
        return await records(*span, **more)

    monkeypatch.setattr(log, "records", slowly)
    asking = (log.past(asked(RewindSession(3), f"r{number}")) for number in range(9))
    assert [past.seq for past in await asyncio.gather(*asking) if past] == [3] * 9
    assert most == 1
