from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import grpc
import pytest

from services.serving.context import Call, current_call
from services.store import event_log
from services.store.event_log import read_history
from services.store.memory import MemoryRepository
from sessiond.errors import (
    InvalidArgument,
    PermissionDenied,
    SessiondError,
    SessionNotFound,
    Unauthenticated,
)
from sessiond.event_wire import event_from_wire
from sessiond.session.access import Identity, Role
from sessiond.session.changes import (
    AppendMessage,
    ApproveOutput,
    PauseSession,
    ResumeSession,
    SubmitOutput,
)
from sessiond.status import from_rpc_error
from sessiond.store.codec import decode_record
from sessiond.v1 import store_pb2 as pb
from sessiond.v1.store_pb2 import HistoryEvent, ReadHistoryResponse
from tests.store.author import CRM, Author
from tests.store.conftest import Begin, Serve

ALICE = Identity("alice")


async def parts(
    repository: MemoryRepository, *asked: int, identity: Identity = ALICE
) -> list[ReadHistoryResponse]:
    """All that a reading of s-1 answers."""
    return [part async for part in read_history(repository, identity, "s-1", *asked)]


def events_of(responses: list[ReadHistoryResponse]) -> list[HistoryEvent]:
    return [event for response in responses for event in response.events]


def seqs(responses: list[ReadHistoryResponse]) -> list[int]:
    return [each.event.seq for each in events_of(responses)]


async def test_a_history_is_the_session_and_then_every_event(
    repository: MemoryRepository, author: Author, begin: Begin
) -> None:
    """The session as its list shows it; of each record what an export tells, and nothing else."""
    await begin("s-1", workflow="master-workflow-v2", title="Plan")
    await author.say("s-1", "one", "two")
    await author.change("s-1", SubmitOutput("x" * 100, "o-1"), ApproveOutput(), identity=CRM)
    first, *rest = await parts(repository)
    listed = await repository.entries("alice", after=None, limit=1, revision=None)
    from sessiond.store.codec import decode_entry
    from sessiond.wire import summary_to_wire

    assert first == ReadHistoryResponse(
        session=summary_to_wire(decode_entry(listed.entries[0].value))
    )
    assert not any(response.HasField("session") for response in rest)
    stored = await repository.records("s-1", 1, 5, revision=listed.revision)
    records = [decode_record(data) for data in stored]
    found = events_of(rest)
    assert [each.event.seq for each in found] == [1, 2, 3, 4, 5]
    assert [each.hash for each in found] == [record.hash.hex() for record in records]
    for each, record in zip(found, records, strict=True):
        known = record._replace(hash=b"", epoch=0, instance=b"", commit_id=b"")
        assert event_from_wire(each.event) == known
        assert each.event.session_id == "s-1"


async def test_a_history_may_be_read_from_a_seq_on_and_up_to_one(
    repository: MemoryRepository, author: Author, begin: Begin
) -> None:
    """One that has everything may ask again, as one whose call broke at the end does."""
    await begin("s-1")
    await author.say("s-1", "one", "two", "three")
    assert seqs(await parts(repository, 3)) == [3, 4]
    assert seqs(await parts(repository, 2, 3)) == [2, 3]
    assert seqs(await parts(repository, 5, 4)) == []
    assert seqs(await parts(repository, 5)) == []
    for asked, field in (((6,), "first_seq"), ((1, 5), "last_seq"), ((4, 2), "first_seq")):
        with pytest.raises(InvalidArgument) as refused:
            await parts(repository, *asked)
        assert [each.field for each in refused.value.violations] == [field]


async def test_parts_are_of_a_size(
    repository: MemoryRepository, author: Author, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many events that are; an event that is larger comes alone."""
    monkeypatch.setattr(event_log, "_PART_BYTES", 3000)
    await begin("s-1")
    for _ in range(20):
        await author.say("s-1", "x" * 1000)
    await author.say("s-1", "y" * 5000, "z")
    _, *rest = await parts(repository)
    assert seqs(rest) == list(range(1, 24))
    assert all(len(part.events) > 0 for part in rest)
    assert [len(part.events) for part in rest if part.ByteSize() > 3500] == [1]


async def test_what_comes_later_is_not_read(
    repository: MemoryRepository, author: Author, begin: Begin
) -> None:
    """The history ends where it stood when the call began."""
    await begin("s-1")
    await author.say("s-1", "one")
    reading = read_history(repository, ALICE, "s-1")
    session = (await anext(reading)).session
    await author.say("s-1", "two")
    assert session.revision == 2
    assert seqs([part async for part in reading]) == [1, 2]


async def test_compaction_does_not_end_a_reading(
    repository: MemoryRepository, author: Author, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each part is read at the present; records never change."""
    monkeypatch.setattr(event_log, "run_length", lambda _: 2)
    await begin("s-1")
    await author.say("s-1", *"abcdef")
    found: list[ReadHistoryResponse] = []
    async for part in read_history(repository, ALICE, "s-1"):
        found.append(part)
        await author.change("s-1", PauseSession(), ResumeSession())
        repository.compact()
    assert seqs(found) == list(range(1, 8))


async def test_a_deletion_ends_a_reading(
    repository: MemoryRepository, author: Author, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a session that is not there."""
    monkeypatch.setattr(event_log, "run_length", lambda _: 2)
    await begin("s-1")
    await author.say("s-1", *"abcdef")
    reading = read_history(repository, ALICE, "s-1")
    assert seqs([await anext(reading), await anext(reading)]) == [1, 2]
    await author.delete("s-1")
    with pytest.raises(SessionNotFound):
        await anext(reading)


async def test_an_expired_token_ends_a_reading(
    repository: MemoryRepository, author: Author, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the next part, also where that was read already: a slow reader gets no more time."""
    monkeypatch.setattr(event_log, "_PART_BYTES", 1)
    await begin("s-1")
    await author.say("s-1", *"abcdef")
    now = 100.0
    reading = read_history(repository, ALICE, "s-1", seconds=60, clock=lambda: now)
    assert seqs([await anext(reading), await anext(reading)]) == [1]
    now = 159.9
    assert seqs([await anext(reading)]) == [2]
    now = 160.0
    with pytest.raises(Unauthenticated, match="expired"):
        await anext(reading)


@pytest.mark.parametrize(
    "identity", [Identity("bob"), Identity("worker", Role.AGENT, agents=frozenset({"other"}))]
)
async def test_a_stranger_reads_nothing(
    repository: MemoryRepository, begin: Begin, identity: Identity
) -> None:
    """It looks as if there were none."""
    await begin("s-1")
    with pytest.raises(SessionNotFound):
        await parts(repository, identity=identity)


async def test_the_token_of_the_call_is_the_one_that_expires(
    repository: MemoryRepository, begin: Begin, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The caller hears that they need another one."""
    await begin("s-1")

    def about_to_expire() -> Call:
        call = current_call()
        assert call is not None and time.time() < call.expires_at < time.time() + 86_400
        return replace(call, expires_at=time.time())

    monkeypatch.setattr(event_log, "current_call", about_to_expire)
    async with serve(repository) as served:
        call = served.store.ReadHistory(
            pb.ReadHistoryRequest(session_id="s-1"), metadata=served.bearer("alice")
        )
        first = await call.read()
        assert isinstance(first, ReadHistoryResponse) and first.HasField("session")
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await call.read()
        assert isinstance(from_rpc_error(failed.value, mutating=False), Unauthenticated)


async def test_a_history_comes_over_the_wire(
    repository: MemoryRepository, author: Author, begin: Begin, serve: Serve
) -> None:
    """And bad requests name their fields."""
    await begin("s-1")
    await author.change("s-1", AppendMessage("hello"))
    async with serve(repository) as served:

        async def read(**asked: Any) -> list[ReadHistoryResponse]:
            call = served.store.ReadHistory(
                pb.ReadHistoryRequest(**asked), metadata=served.bearer("alice")
            )
            return [response async for response in call]

        async def refused(**asked: Any) -> SessiondError:
            with pytest.raises(grpc.aio.AioRpcError) as failed:
                await read(**asked)
            return from_rpc_error(failed.value, mutating=False)

        assert seqs(await read(session_id="s-1")) == [1, 2]
        bad = await refused(session_id="/", first_seq=0, last_seq=-1)
        assert isinstance(bad, InvalidArgument)
        assert {each.field for each in bad.violations} == {"session_id", "first_seq", "last_seq"}
        assert isinstance(await refused(session_id="s-2"), SessionNotFound)
        assert not isinstance(await refused(session_id="s-2"), PermissionDenied)
