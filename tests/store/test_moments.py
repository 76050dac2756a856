"""A session as it was: after an event, or at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from services.store.memory import MemoryRepository
from services.store.moments import Moment
from services.store.sessions import PAST_AT_ONCE, PAST_WAITING, Sessions
from sessiond.errors import Internal, InvalidArgument, SessionNotFound, Unavailable
from sessiond.session.access import Identity, Role
from sessiond.session.changes import (
    AppendMessage,
    ApproveOutput,
    CreateSession,
    RewindSession,
    SubmitOutput,
    UpdateSession,
)
from sessiond.v1.session_pb2 import Session
from tests.store.author import Author
from tests.store.conftest import Begin, Clock, sessions_of
from tests.store.test_get_session import Holed

ALICE = Identity("alice")
AGENT = Identity("worker", Role.AGENT, agents=frozenset({"gtm-consultant"}))


@pytest.fixture
async def states(sessions: Sessions, author: Author, begin: Begin) -> list[Session]:
    """What a load gave after each event of a session that was rewound twice, by revision."""
    await begin("s-1", workflow="master-workflow-v2")
    loaded = [Session(), await sessions.load(ALICE, "s-1")]
    for identity, change in (
        (ALICE, AppendMessage("one")),
        (AGENT, SubmitOutput("plan", "o-1")),
        (ALICE, ApproveOutput("o-1")),
        (ALICE, UpdateSession(title="Ours", user_inputs='{"a":1}')),
        (ALICE, AppendMessage("two")),
        (ALICE, RewindSession(3)),
        (ALICE, AppendMessage("three")),
        (ALICE, ApproveOutput("o-1")),
        (ALICE, RewindSession(6)),
        (ALICE, AppendMessage("four")),
    ):
        await author.change("s-1", change, identity=identity, apart_ms=1000)
        loaded.append(await sessions.load(ALICE, "s-1"))
    return loaded


async def test_every_revision_is_there_as_it_was_loaded_then(
    sessions: Sessions, states: list[Session]
) -> None:
    """Texts, outputs, inputs and the history, before, between and after rewinds."""
    for revision, expected in enumerate(states[1:], 1):
        found = await sessions.get(ALICE, "s-1", moment=Moment(seq=revision))
        assert found.session == expected
    said = [message.content for message in states[-1].conversation_history]
    assert said == ["one", "two", "four"]


async def test_a_time_is_the_last_event_before_it(
    sessions: Sessions, states: list[Session]
) -> None:
    """That of its own time included."""
    for expected in states[1:]:
        time_ms = expected.last_active.ToMilliseconds()
        for asked in (time_ms, time_ms + 999):
            found = await sessions.get(ALICE, "s-1", moment=Moment(time_ms=asked))
            assert found.session == expected


async def test_a_tail_is_that_of_then(sessions: Sessions, states: list[Session]) -> None:
    """The newest messages of the conversation as it was."""
    found = await sessions.get(ALICE, "s-1", tail=1, moment=Moment(seq=9))
    assert [message.content for message in found.session.conversation_history] == ["three"]
    found = await sessions.get(ALICE, "s-1", tail=0, moment=Moment(seq=9))
    assert not found.session.conversation_history
    assert found.session.revision == 9


@pytest.mark.usefixtures("states")
@pytest.mark.parametrize("seq", [-1, 0, 12, 1 << 60])
async def test_there_is_no_revision_but_its_own(sessions: Sessions, seq: int) -> None:
    """1 to the present one."""
    with pytest.raises(InvalidArgument) as refused:
        await sessions.get(ALICE, "s-1", moment=Moment(seq=seq))
    assert [each.field for each in refused.value.violations] == ["at_seq"]


async def test_before_it_was_created_there_is_nothing(
    sessions: Sessions, states: list[Session]
) -> None:
    """A future time is the present."""
    created_ms = states[1].created_at.ToMilliseconds()
    with pytest.raises(InvalidArgument) as refused:
        await sessions.get(ALICE, "s-1", moment=Moment(time_ms=created_ms - 1))
    assert [each.field for each in refused.value.violations] == ["at_time"]
    found = await sessions.get(ALICE, "s-1", moment=Moment(time_ms=1 << 45))
    assert found.session == states[-1]


@pytest.mark.usefixtures("states")
async def test_who_may_see_it_now_may_see_it_then(sessions: Sessions) -> None:
    """The agent of that step has gone with its step; strangers find nothing, and not its size."""
    for identity in (Identity("bob"), AGENT):
        for seq in (3, 999):
            with pytest.raises(SessionNotFound):
                await sessions.get(identity, "s-1", moment=Moment(seq=seq))


class Compacting(MemoryRepository):
    """Forgets history on demand."""

    compactions = 0

    async def records(
        self, session_id: str, first_seq: int, last_seq: int, *, revision: int
    ) -> list[bytes]:
        if self.compactions:
            self.compactions -= 1
            self._kept.write({("other",): str(self.compactions).encode()})
            self.compact()
        return await super().records(session_id, first_seq, last_seq, revision=revision)


async def test_compaction_begins_it_again(clock: Clock) -> None:
    """What never ends is Unavailable."""
    repository = Compacting()
    sessions, author = sessions_of(repository, clock), await Author(repository).register()
    await sessions.create(ALICE, CreateSession(id="s-1", workflow_id="chat"), None)
    await author.say("s-1", "one", "two")
    repository.compactions = 2
    found = await sessions.get(ALICE, "s-1", moment=Moment(seq=2))
    assert [message.content for message in found.session.conversation_history] == ["one"]
    repository.compactions = 1000
    with pytest.raises(Unavailable):
        await sessions.get(ALICE, "s-1", moment=Moment(seq=2))


@pytest.mark.parametrize(
    "spoil",
    [lambda records: records[1:], lambda records: [b"\xff\xff", *records[1:]]],
    ids=["missing", "not a record"],
)
async def test_a_hole_in_the_log_is_our_fault(
    clock: Clock, spoil: Callable[[list[bytes]], list[bytes]]
) -> None:
    """Internal, never another past."""
    repository = Holed(spoil)
    sessions, author = sessions_of(repository, clock), await Author(repository).register()
    await sessions.create(ALICE, CreateSession(id="s-1", workflow_id="chat"), None)
    await author.say("s-1", "one", "two", "three")
    with pytest.raises(Internal):
        await sessions.get(ALICE, "s-1", moment=Moment(seq=2))


async def test_few_read_the_past_at_the_same_time(
    states: list[Session],
    sessions: Sessions,
    repository: MemoryRepository,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Others wait, as many as may; the present is read all the same."""
    go_on, read = asyncio.Event(), repository.records
    inside = 0

    async def held(*asked: Any, **where: Any) -> list[bytes]:
        nonlocal inside
        inside += 1
        await go_on.wait()
        return await read(*asked, **where)

    async def asking() -> Session:
        return (await sessions.get(ALICE, "s-1", tail=0, moment=Moment(seq=4))).session

    monkeypatch.setattr(repository, "records", held)
    tasks = [asyncio.create_task(asking()) for _ in range(PAST_AT_ONCE + PAST_WAITING)]
    for _ in range(20):
        await asyncio.sleep(0)
    assert inside == PAST_AT_ONCE
    with pytest.raises(Unavailable):
        await asking()
    assert (await sessions.load(ALICE, "s-1", tail=0)).revision == len(states) - 1
    go_on.set()
    assert {each.revision for each in await asyncio.gather(*tasks)} == {4}
