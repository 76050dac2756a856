"""Forks: a session of one's own that begins as another one's first events, whole or not there."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from services.store.copying import Copy, Copying
from services.store.memory import MemoryRepository
from services.store.space import SHORT_FILL, Space
from services.store.writes import Committed, CopyPiece, Refused
from sessiond.errors import (
    IdempotencyMismatch,
    IdTaken,
    InvalidArgument,
    OutcomeUnknown,
    PermissionDenied,
    RateLimited,
    SessionFull,
    SessionNotFound,
    TooManySessions,
    Unavailable,
)
from sessiond.session.access import Identity, MemberRole, Role
from sessiond.session.changes import (
    AppendMessage,
    ApproveOutput,
    CreateSession,
    MakeLink,
    ShareSession,
    SubmitOutput,
    UnshareSession,
    UpdateSession,
)
from sessiond.session.events import SessionCreated
from sessiond.session.limits import DEFAULT_LIMITS
from sessiond.session.standing import Forked, LinkMade
from sessiond.store.codec import Building, decode_head
from tests.live.kept import Gate
from tests.store.author import CRM, Author
from tests.store.conftest import Begin, Clock
from tests.store.copying import ALICE, BOB, Copier, Fragile, history_of, log_of

MIB = 1 << 20


@pytest.fixture
def repository() -> Fragile:
    """A repository that can break."""
    return Fragile()


@pytest.fixture
def copier(repository: Fragile, clock: Clock) -> Copier:
    """One Store."""
    return Copier(repository, clock)


@pytest.fixture
async def parent(begin: Begin, author: Author, clock: Clock) -> str:
    """A session of alice's, in its second step, with inputs, messages, a member and a link."""
    await begin("p-1", workflow="master-workflow-v2", title="Plan")
    await author.change("p-1", SubmitOutput("text", output_id="o-1"), identity=CRM)
    await author.change("p-1", ApproveOutput(), AppendMessage("first"), AppendMessage("second"))
    await author.change("p-1", UpdateSession(user_inputs='{"a": 1}'))
    await author.change("p-1", ShareSession("bob", MemberRole.VIEWER), MakeLink(MemberRole.EDITOR))
    clock.ms = author.now_ms + 5000
    return "p-1"


async def test_a_fork_is_the_same_session_under_another_id(
    parent: str, copier: Copier, repository: Fragile, clock: Clock
) -> None:
    """State, inputs, outputs and messages; it is new, in the list, and says where it comes from."""
    before = await copier.sessions.load(ALICE, parent)
    made = await copier.fork(parent, new_id="f-1")
    assert made.seq == before.revision + 1
    forked = await copier.sessions.load(ALICE, "f-1")
    assert (forked.lineage.session_id, forked.lineage.seq) == (parent, before.revision)
    assert forked.revision == made.seq
    assert forked.created_at.ToMilliseconds() == forked.last_active.ToMilliseconds() == clock.ms
    said = [(each.id, each.content, each.seq) for each in forked.conversation_history]
    assert said == [(each.id, each.content, each.seq) for each in before.conversation_history]
    assert {each.session_id for each in forked.conversation_history} == {"f-1"}
    for name in ("agent_outputs", "user_inputs", "progress", "title", "status", "current_agent"):
        assert getattr(forked, name) == getattr(before, name)
    del made.session.conversation_history[:], forked.conversation_history[:]
    assert made.session == forked
    page = await repository.entries("alice", after=None, limit=9, revision=None)
    assert [each.session_id for each in page.entries] == ["f-1", parent]
    assert await copier.sessions.load(ALICE, parent) == before


async def test_nothing_of_the_parents_secrets_and_retries_is_in_the_copy(
    parent: str, copier: Copier, repository: Fragile
) -> None:
    """No operation id that would answer, no hash of a link's secret, no writer; its own id."""
    await copier.fork(parent, new_id="f-1")
    *copied, last = await log_of(repository, "f-1")
    assert {(each.op_id, each.hash, each.epoch, each.instance) for each in copied} == {
        ("", b"", 0, b"")
    }
    assert isinstance(copied[0].event, SessionCreated) and copied[0].event.session_id == "f-1"
    links = [each.event for each in copied if isinstance(each.event, LinkMade)]
    assert [link.secret_hash for link in links] == [b""]
    assert last.event == Forked(parent, len(copied), "alice")
    assert (last.actor, last.op_id) == (ALICE.actor, "op")
    head = decode_head((await repository.snapshot("f-1")).head)  # type: ignore[union-attr]
    assert (head.meta.copied_seq, head.meta.building) == (last.seq, None)
    assert head.meta.log_id != decode_head((await repository.snapshot(parent)).head).meta.log_id  # type: ignore[union-attr]


async def test_members_links_and_a_running_turn_stay_with_the_parent(
    parent: str, copier: Copier, repository: Fragile, author: Author
) -> None:
    """A fork is its maker's alone, and whoever it awaits finds it."""
    await author.begin_turn(parent)
    await copier.fork(parent, new_id="f-1", identity=BOB)
    with pytest.raises(SessionNotFound):
        await copier.sessions.load(ALICE, "f-1")
    _, session = await author.state("f-1")
    assert (session.user_id, session.members, session.links, session.turn) == ("bob", {}, {}, None)
    awaited = await repository.awaited(session.awaited_agent)
    assert [session_id for session_id, _ in awaited.entries] == ["f-1"]


async def test_a_fork_goes_on_by_itself(parent: str, copier: Copier, author: Author) -> None:
    """What is said in either is not said in the other."""
    await copier.fork(parent, new_id="f-1")
    await author.say("f-1", "only here")
    await author.say(parent, "only there")
    forked, before = [await copier.sessions.load(ALICE, each) for each in ("f-1", parent)]
    assert [each.content for each in forked.conversation_history][2:] == ["only here"]
    assert [each.content for each in before.conversation_history][2:] == ["only there"]


@pytest.mark.parametrize("at", range(1, 9))
async def test_a_fork_can_begin_with_any_of_the_first_events(
    parent: str, copier: Copier, repository: Fragile, at: int
) -> None:
    """It holds exactly those, and one more."""
    made = await copier.fork(parent, at, "f-1")
    assert made.seq == at + 1
    log = await log_of(repository, "f-1")
    assert [each.event for each in log[1:at]] == [
        replace(each.event, secret_hash=b"") if isinstance(each.event, LinkMade) else each.event
        for each in (await log_of(repository, parent))[1:at]
    ]


async def test_a_fork_of_a_fork_is_a_fork_of_that_one(parent: str, copier: Copier) -> None:
    """Its lineage is the nearest."""
    first = await copier.fork(parent, new_id="f-1")
    second = await copier.fork("f-1", new_id="f-2", op_id="op-2")
    assert second.session.lineage.session_id == "f-1"
    assert second.seq == first.seq + 1


# --- repeated ------------------------------------------------------------------------------------


async def test_the_same_call_again_is_answered_whatever_became_of_the_parent(
    parent: str, copier: Copier, author: Author
) -> None:
    """One session is made, by the operation id alone; the answer is that session as it now is."""
    first = await copier.fork(parent)
    assert await copier.fork(parent) == first
    await author.say(first.session.id, "later")
    await author.delete(parent)
    again = await copier.fork(parent)
    assert (again.session.id, again.seq) == (first.session.id, first.seq)
    assert again.session.revision == first.seq + 1


async def test_an_operation_id_makes_one_thing(parent: str, copier: Copier) -> None:
    """Another request under it is refused, be it a fork of other events or a creation's."""
    await copier.fork(parent)
    with pytest.raises(IdempotencyMismatch):
        await copier.fork(parent, 1)
    await copier.sessions.create(ALICE, CreateSession(), "made")
    with pytest.raises(IdempotencyMismatch):
        await copier.fork(parent, op_id="made")


async def test_an_id_in_use_is_taken(parent: str, copier: Copier, author: Author) -> None:
    """By any session, by another fork, by a deleted one; whoever asks."""
    await copier.fork(parent, new_id="f-1")
    for identity, new_id, op_id in (
        (ALICE, parent, "op-2"),
        (ALICE, "f-1", "op-2"),
        (ALICE, "f-1", None),
        (BOB, "f-1", "op"),
    ):
        with pytest.raises(IdTaken):
            await copier.fork(parent, new_id=new_id, identity=identity, op_id=op_id)
    await author.delete("f-1")
    with pytest.raises(IdTaken):
        await copier.fork(parent, new_id="f-1")


# --- broken --------------------------------------------------------------------------------------


@pytest.fixture
async def long_parent(begin: Begin, author: Author) -> str:
    """A session of 351 events."""
    await begin("p-1")
    for _ in range(7):
        await author.say("p-1", *(f"message {number}" for number in range(50)))
    return "p-1"


@pytest.mark.parametrize("lost", [False, True])
@pytest.mark.parametrize("writes", range(6))
async def test_a_fork_that_broke_is_nowhere_and_is_gone_on_with(
    long_parent: str, copier: Copier, repository: Fragile, *, writes: int, lost: bool
) -> None:
    """At every write, stored or not: it is whole or absent, and no record is written twice."""
    repository.left, repository.lost = writes, lost
    with pytest.raises((Unavailable, OutcomeUnknown)):
        await copier.fork(long_parent, new_id="f-1")
    finished = lost and writes == 5
    if not finished:
        with pytest.raises(SessionNotFound):
            await copier.sessions.load(ALICE, "f-1")
        with pytest.raises(IdTaken):
            await copier.sessions.create(ALICE, CreateSession(id="f-1"), "op")
        assert await repository.count("alice") == 1
    repository.left = 1_000_000
    made = await copier.fork(long_parent, new_id="f-1")
    assert made.seq == 352
    assert repository.written == list(range(1, 353))
    assert len((await copier.sessions.load(ALICE, "f-1")).conversation_history) == 350
    assert await copier.fork(long_parent, new_id="f-1") == made


async def test_a_fork_of_all_events_ends_where_its_first_try_did(
    long_parent: str, copier: Copier, repository: Fragile, author: Author
) -> None:
    """What was said meanwhile in the parent is not in it, once it has told its end."""
    repository.left = 5
    with pytest.raises(OutcomeUnknown):
        await copier.fork(long_parent, new_id="f-1")
    await author.say(long_parent, "meanwhile")
    repository.left = 1_000_000
    made = await copier.fork(long_parent, new_id="f-1")
    assert (made.seq, made.session.lineage.seq) == (352, 351)


async def test_a_fork_of_a_session_that_is_gone_is_not_gone_on_with(
    long_parent: str, copier: Copier, repository: Fragile, begin: Begin, author: Author
) -> None:
    """A day later its id may be that of another one, whose events would follow."""
    repository.left = 2
    with pytest.raises(Unavailable):
        await copier.fork(long_parent, new_id="f-1")
    repository.left = 1_000_000
    await author.delete(long_parent)
    repository._kept.write({("head", long_parent): None})
    repository.pieces.clear()
    await begin(long_parent)
    for first in range(0, 250, 50):
        await author.say(long_parent, *(f"another {first + number}" for number in range(50)))
    with pytest.raises(Unavailable):
        await copier.fork(long_parent, new_id="f-1")
    await copier.fork(long_parent, new_id="f-1")
    contents = [
        each.content for each in (await copier.sessions.load(ALICE, "f-1")).conversation_history
    ]
    assert contents == [f"another {number}" for number in range(250)]


async def test_only_its_maker_goes_on_with_a_fork(
    long_parent: str, copier: Copier, repository: Fragile, author: Author
) -> None:
    """For all others its id is taken."""
    await author.change(long_parent, ShareSession("bob", MemberRole.VIEWER))
    repository.left = 2
    with pytest.raises(Unavailable):
        await copier.fork(long_parent, new_id="f-1")
    repository.left = 1_000_000
    for identity, op_id in ((BOB, "op"), (ALICE, "op-2"), (ALICE, None)):
        with pytest.raises(IdTaken):
            await copier.fork(long_parent, new_id="f-1", identity=identity, op_id=op_id)


async def test_of_two_calls_at_once_one_makes_the_fork(
    long_parent: str, copier: Copier, repository: Fragile, clock: Clock
) -> None:
    """The other is told to come back, or told the same."""
    other = Copier(repository, clock)
    results = await asyncio.gather(
        *(each.fork(long_parent) for each in (copier, other)), return_exceptions=True
    )
    made = [each for each in results if not isinstance(each, BaseException)]
    assert made and all(
        isinstance(each, Unavailable) for each in results if isinstance(each, BaseException)
    )
    assert await copier.fork(long_parent) == await other.fork(long_parent) == made[0]
    assert await repository.count("alice") == 2


async def test_each_caller_makes_one_copy_at_a_time(
    parent: str, copier: Copier, repository: Fragile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fork or an import; what was made is answered all the same, and others are not hindered."""
    made = await copier.fork(parent, op_id="before")
    exported = await history_of(repository, parent)
    gate, write = Gate(), repository.write_copy

    async def held(piece: CopyPiece) -> Committed | Refused:
        await gate()
        return await write(piece)

    monkeypatch.setattr(repository, "write_copy", held)
    slow = asyncio.create_task(copier.fork(parent, new_id="f-1", op_id="slow"))
    await gate.reached.wait()
    for refused in (
        copier.fork(parent, new_id="f-1", op_id="slow"),
        copier.fork(parent, new_id="f-2", op_id="more"),
        copier.store("p-1", exported),
    ):
        with pytest.raises(RateLimited):
            await refused
    assert await copier.fork(parent, op_id="before") == made
    await copier.fork(parent, new_id="f-3", identity=BOB)
    gate.opened.set()
    assert (await slow).session.id == "f-1"
    await copier.fork(parent, new_id="f-2", op_id="more")
    assert not (await copier.store("p-1", exported)).imported


# --- refused -------------------------------------------------------------------------------------


async def test_who_may_not_read_the_parent_finds_none(parent: str, copier: Copier) -> None:
    """And who may read it but own nothing is told so."""
    strangers = (parent, Identity("carol")), (parent, Identity("crm", Role.SERVICE))
    for session_id, identity in (*strangers, ("p-2", ALICE)):
        with pytest.raises(SessionNotFound):
            await copier.fork(session_id, identity=identity)
    worker = Identity("w", Role.AGENT, sessions=frozenset({parent}))
    with pytest.raises(PermissionDenied):
        await copier.fork(parent, identity=worker)
    assert (await copier.fork(parent, identity=CRM)).session.user_id == "alice"
    assert (await copier.fork(parent, identity=Identity("root", Role.ADMIN))).seq == 9


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"session_id": "p 1"}, "session_id"),
        ({"at_seq": 0}, "at_seq"),
        ({"at_seq": 9}, "at_seq"),
        ({"new_id": ""}, "id"),
        ({"op_id": "é"}, "op_id"),
    ],
)
async def test_a_bad_field_is_named(
    parent: str, copier: Copier, asked: dict[str, Any], field: str
) -> None:
    """And nothing is made."""
    with pytest.raises(InvalidArgument) as refused:
        await copier.fork(**{"session_id": parent, **asked})
    assert [each.field for each in refused.value.violations] == [field]


async def test_limits_and_space_hold_for_forks(
    parent: str, repository: MemoryRepository, clock: Clock
) -> None:
    """The number of sessions, of events, of bytes, and what etcd has left: nothing is begun."""
    space = Space()
    space.seen(int(SHORT_FILL * 1000), 1000)
    for limits, given, error in (
        (replace(DEFAULT_LIMITS, sessions_per_user=1), None, TooManySessions),
        (replace(DEFAULT_LIMITS, events=8), None, SessionFull),
        (DEFAULT_LIMITS, space, Unavailable),
    ):
        with pytest.raises(error):
            await Copier(repository, clock, limits=limits, space=given).fork(parent, new_id="f-1")
        assert await repository.snapshot("f-1") is None
    with pytest.raises(SessionFull):
        await Copier(repository, clock, limits=replace(DEFAULT_LIMITS, session=100)).fork(
            parent, new_id="f-1"
        )
    assert await repository.snapshot("f-1") is None


async def test_a_full_session_is_forked_from_where_there_was_room(
    parent: str, repository: MemoryRepository, author: Author, clock: Clock
) -> None:
    """The copy is one event longer, and must have room for that one; its records are shorter."""
    await author.change(parent, UnshareSession("bob"))
    clock.ms = author.now_ms
    snapshot = await repository.snapshot(parent)
    head = decode_head(snapshot.head)  # type: ignore[union-attr]
    few = Copier(repository, clock, limits=replace(DEFAULT_LIMITS, events=head.seq - 1))
    with pytest.raises(SessionFull):
        await few.fork(parent, new_id="f-1")
    assert (await few.fork(parent, head.seq - 2, new_id="f-1")).seq == head.seq - 1
    small = Copier(repository, clock, limits=replace(DEFAULT_LIMITS, session=head.meta.size))
    assert (await small.fork(parent, new_id="f-2", op_id="2")).seq == head.seq + 1


@pytest.mark.parametrize("full", ["events", "bytes"])
async def test_a_copy_never_grows_beyond_what_a_session_can_come_to(
    repository: Fragile, clock: Clock, full: str
) -> None:
    """Whoever writes it, and whatever they looked at: the piece that is too much is not stored."""
    limits = replace(DEFAULT_LIMITS, events=1, session=1)
    most = limits.most_events if full == "events" else limits.most_bytes // MIB
    record = b"r" if full == "events" else bytes(MIB)
    copying = Copying(repository, limits, now_ms=clock, random_bytes=bytes)
    made = await copying.begin("c-1", 1, Building(ALICE.actor, "op", b"", clock.ms))
    assert isinstance(made, Copy)
    for _ in range(most):
        await made.write([record])
    with pytest.raises(SessionFull):
        await made.write([record])
    assert made.seq == most
