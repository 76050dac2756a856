from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from services.store.memory import MemoryRepository
from services.store.sessions import Sessions
from services.store.writes import Creation
from sessiond.errors import Internal, SessionNotFound, Unavailable
from sessiond.session.access import Identity, Role
from sessiond.session.apply import message_of
from sessiond.session.changes import (
    AppendMessage,
    ApproveOutput,
    CreateSession,
    EndTurn,
    PauseSession,
    ResumeSession,
    RewindSession,
    SubmitOutput,
    UpdateSession,
)
from sessiond.session.state import Decision, Sender
from sessiond.store.codec import decode_record
from sessiond.wire import message_to_wire
from tests.store.author import ADMIN, CRM, Author
from tests.store.conftest import Begin, Clock, sessions_of

ALICE = Identity("alice")
AGENT = Identity("worker", Role.AGENT, agents=frozenset({"gtm-consultant"}))


class Counting(MemoryRepository):
    """Counts the records that were read, and forgets history on demand."""

    def __init__(self) -> None:
        super().__init__()
        self.read = 0
        self.compactions = 0

    async def records(
        self, session_id: str, first_seq: int, last_seq: int, *, revision: int
    ) -> list[bytes]:
        if self.compactions:
            self.compactions -= 1
            await self.create(_another(self.compactions))
            self.compact()
        found = await super().records(session_id, first_seq, last_seq, revision=revision)
        self.read += len(found)
        return found

    async def records_at(
        self, session_id: str, seqs: Sequence[int], *, revision: int
    ) -> list[bytes]:
        found = await super().records_at(session_id, seqs, revision=revision)
        self.read += len(found)
        return found


def _another(number: int) -> Creation:
    return Creation(f"other-{number}", "other", b"head", b"record", b"entry", 1)


@pytest.fixture
def repository() -> Counting:
    """A repository that counts what is read."""
    return Counting()


async def test_a_session_is_loaded_with_all_that_happened(
    sessions: Sessions, author: Author, begin: Begin
) -> None:
    """Messages of every kind, outputs, decisions, inputs and title: as the rules made them."""
    await begin("s-1", workflow="master-workflow-v2")
    await author.say("s-1", "Launch a newsletter in the EU", "soon")
    await author.change(
        "s-1",
        AppendMessage("Here is a plan", sender=Sender.AGENT, metadata='{"tokens": 12}'),
        SubmitOutput("Plan A", output_id="o-1"),
        identity=AGENT,
    )
    await author.change("s-1", ApproveOutput(decision=Decision.REJECTED, feedback="no"))
    await author.change("s-1", SubmitOutput("Plan B", output_id="o-2"), identity=AGENT)
    final = await author.change(
        "s-1",
        ApproveOutput(),
        UpdateSession(user_inputs='{"market": "EU"}', metadata={"k": "v"}),
        PauseSession(),
        ResumeSession(),
    )
    session = await sessions.load(ALICE, "s-1")
    assert session.revision == final.seq == 11
    assert [message.seq for message in session.conversation_history] == [2, 3, 4]
    plan = session.conversation_history[2]
    assert (plan.agent_id, plan.metadata.text) == ("gtm-consultant", '{"tokens": 12}')
    assert not session.conversation_history[0].HasField("metadata")
    assert {key: output.content for key, output in session.agent_outputs.items()} == {
        "o-1": "Plan A",
        "o-2": "Plan B",
    }
    assert session.agent_outputs["o-1"].user_feedback == "no"
    assert session.agent_outputs["o-2"].approved_by == "alice"
    assert session.user_inputs.text == '{"market":"EU"}'
    assert session.title == "Launch a newsletter in the EU"
    assert session.progress.completed_steps == session.current_step == 1


async def test_a_turns_message_stands_among_the_others(
    sessions: Sessions, author: Author, begin: Begin, repository: Counting
) -> None:
    """As the rules have it, with and without all that may be left out; one without text is none."""
    await begin("s-1")
    await author.say("s-1", "hello")
    for text, ended in (
        ("Good day", {"metadata": '{"tokens": 12}'}),
        ("", {}),
        ("Any news?", {"failed": True}),
    ):
        turn_id = await author.begin_turn("s-1")
        end = EndTurn(turn_id, len(text), **ended)
        final = await author.change("s-1", end, identity=CRM, text=text)
    session = await sessions.load(ALICE, "s-1")
    revision = await repository.snapshot("s-1")
    assert revision is not None
    stored = await repository.records("s-1", 1, 99, revision=revision.revision)
    messages = [message for data in stored if (message := message_of(decode_record(data)))]
    assert [message.content for message in messages] == ["hello", "Good day", "Any news?"]
    assert list(session.conversation_history) == [
        message_to_wire(message, "s-1") for message in messages
    ]
    assert session.conversation_history[1].metadata.text == '{"tokens": 12}'
    assert session.conversation_history[1].agent_id == "assistant"
    assert session.revision == final.seq == 8
    tail = await sessions.load(ALICE, "s-1", tail=2)
    assert list(tail.conversation_history) == session.conversation_history[1:]


@pytest.mark.parametrize("tail", [0, 1, 2, 49, 50, 51, 20_000])
async def test_a_tail_is_the_end_of_the_history(
    sessions: Sessions, author: Author, begin: Begin, tail: int
) -> None:
    """At most `tail` messages, the newest ones, and all else as in a full load."""
    await begin("s-1")
    for number in range(10):
        await author.say("s-1", *(f"{number}-{n}" for n in range(5)))
        await author.change("s-1", PauseSession(), ResumeSession())
    whole = await sessions.load(ALICE, "s-1")
    found = await sessions.load(ALICE, "s-1", tail=tail)
    assert len(whole.conversation_history) == 50
    expected = list(whole.conversation_history)[-tail:] if tail else []
    assert list(found.conversation_history) == expected
    del whole.conversation_history[:]
    del found.conversation_history[:]
    assert found == whole


async def test_a_tail_reads_little(
    sessions: Sessions, author: Author, begin: Begin, repository: Counting
) -> None:
    """A short tail of a long history reads a few records more than it gives."""
    await begin("s-1")
    for _ in range(20):
        await author.say("s-1", *("message" for _ in range(50)))
    repository.read = 0
    await sessions.load(ALICE, "s-1", tail=50)
    assert repository.read <= 75
    repository.read = 0
    await sessions.load(ALICE, "s-1", tail=0)
    assert repository.read <= 2


async def test_a_session_with_few_messages_among_many_events_is_found(
    sessions: Sessions, author: Author, begin: Begin
) -> None:
    """Reading backwards goes on until the messages are there."""
    await begin("s-1")
    await author.say("s-1", "first")
    for _ in range(30):
        await author.change("s-1", PauseSession(), ResumeSession())
    await author.say("s-1", "last")
    session = await sessions.load(ALICE, "s-1", tail=2)
    assert [message.content for message in session.conversation_history] == ["first", "last"]


@pytest.mark.parametrize(
    "identity",
    [
        Identity("bob"),
        Identity("svc", Role.SERVICE, "bob"),
        Identity("svc", Role.SERVICE),
        Identity("w", Role.AGENT, agents=frozenset({"growth-hacker"})),
        Identity("alice", Role.LIVE),
    ],
)
async def test_strangers_find_nothing(sessions: Sessions, begin: Begin, identity: Identity) -> None:
    """A session that is not yours looks like one that is not there."""
    await begin("s-1", workflow="master-workflow-v2")
    with pytest.raises(SessionNotFound) as refused:
        await sessions.load(identity, "s-1")
    with pytest.raises(SessionNotFound) as absent:
        await sessions.load(identity, "s-2")
    assert refused.value.detail == absent.value.detail


@pytest.mark.parametrize(
    "identity",
    [
        ALICE,
        ADMIN,
        AGENT,
        Identity("svc", Role.SERVICE, "alice"),
        Identity("w", Role.AGENT, sessions=frozenset({"s-1"})),
    ],
)
async def test_those_who_may_enter_read(
    sessions: Sessions, begin: Begin, identity: Identity
) -> None:
    """Owner, administrator, a service for the owner, and the current step's agent."""
    await begin("s-1", workflow="master-workflow-v2")
    assert (await sessions.load(identity, "s-1")).id == "s-1"


async def test_a_rewound_session_reads_little(
    sessions: Sessions, author: Author, begin: Begin, repository: Counting
) -> None:
    """What was undone is not read, however much it is."""
    await begin("s-1")
    await author.say("s-1", "first")
    for _ in range(10):
        await author.say("s-1", *("message" for _ in range(50)))
    await author.change("s-1", RewindSession(2))
    await author.say("s-1", "last")
    repository.read = 0
    session = await sessions.load(ALICE, "s-1")
    assert [message.content for message in session.conversation_history] == ["first", "last"]
    assert repository.read <= 5


async def test_a_deleted_session_is_gone(sessions: Sessions, author: Author, begin: Begin) -> None:
    """A tombstone is no session, for nobody."""
    await begin("s-1")
    await author.delete("s-1")
    for identity in (ALICE, ADMIN):
        with pytest.raises(SessionNotFound):
            await sessions.load(identity, "s-1")


async def test_a_load_that_meets_compaction_starts_again(
    sessions: Sessions, author: Author, begin: Begin, repository: Counting
) -> None:
    """Twice is bad luck; what never ends is Unavailable."""
    await begin("s-1")
    await author.say("s-1", "hello")
    repository.compactions = 2
    assert len((await sessions.load(ALICE, "s-1")).conversation_history) == 1
    repository.compactions = 1000
    with pytest.raises(Unavailable):
        await sessions.load(ALICE, "s-1")


class Holed(MemoryRepository):
    """Spoils the records that it reads."""

    def __init__(self, spoil: Callable[[list[bytes]], list[bytes]]) -> None:
        super().__init__()
        self._spoil = spoil

    async def records(
        self, session_id: str, first_seq: int, last_seq: int, *, revision: int
    ) -> list[bytes]:
        found = await super().records(session_id, first_seq, last_seq, revision=revision)
        return self._spoil(found)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda records: records[1:],
        lambda records: [b"\xff\xff", *records[1:]],
        lambda records: [b"", *records[1:]],
    ],
    ids=["missing", "not a record", "of a later version"],
)
async def test_a_hole_in_the_log_is_our_fault(
    clock: Clock, spoil: Callable[[list[bytes]], list[bytes]]
) -> None:
    """A record that is missing or cannot be read is Internal, never a shorter history."""
    repository = Holed(spoil)
    sessions, author = sessions_of(repository, clock), await Author(repository).register()
    await sessions.create(ALICE, CreateSession(id="s-1", workflow_id="chat"), None)
    await author.say("s-1", "one", "two", "three")
    with pytest.raises(Internal):
        await sessions.load(ALICE, "s-1")
