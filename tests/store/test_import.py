"""Imports: a session that was exported, stored as it was; nothing is believed or half there."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import grpc
import pytest

from services.store.memory import MemoryRepository
from services.store.space import SHORT_FILL, Space
from sessiond.errors import (
    IdTaken,
    InvalidArgument,
    OutcomeUnknown,
    PermissionDenied,
    SessionFull,
    SessionNotFound,
    TooManySessions,
    TooManyShared,
    Unavailable,
)
from sessiond.session.access import Identity, MemberRole, Role
from sessiond.session.changes import (
    AppendMessage,
    ApproveOutput,
    MakeLink,
    RevokeLink,
    SetHold,
    ShareSession,
    SubmitOutput,
    TransferSession,
    UnshareSession,
    UpdateSession,
)
from sessiond.session.limits import DEFAULT_LIMITS
from sessiond.session.standing import LinkMade
from sessiond.store.codec import decode_head
from sessiond.v1.store_pb2 import (
    HistoryEvent,
    ImportHeader,
    ImportSessionRequest,
    ImportSessionResponse,
)
from tests.store.author import ADMIN, CRM, Author
from tests.store.conftest import Begin, Clock, Serve, Served
from tests.store.copying import ALICE, BOB, Copier, Fragile, history_of, log_of

MOST = DEFAULT_LIMITS.most_events


@pytest.fixture
async def exported(
    begin: Begin, author: Author, repository: MemoryRepository, clock: Clock
) -> list[HistoryEvent]:
    """A session of alice's, s-1, in which much has happened."""
    clock.ms = author.now_ms = 1_700_000_000_000
    await begin("s-1", workflow="master-workflow-v2", title="Plan")
    await author.change("s-1", SubmitOutput("text", output_id="o-1"), identity=CRM)
    await author.change("s-1", ApproveOutput(), AppendMessage("first", metadata='{ "a" : 1e3 }'))
    await author.change("s-1", UpdateSession(user_inputs='{"b":[1.50]}', metadata={"k": "v"}))
    await author.change("s-1", ShareSession("bob", MemberRole.VIEWER), MakeLink(MemberRole.EDITOR))
    for first in range(0, 200, 50):
        await author.say("s-1", *(f"message {number}" for number in range(first, first + 50)))
    clock.ms = author.now_ms + 5000
    return await history_of(repository, "s-1")


@pytest.fixture
def elsewhere() -> Fragile:
    """Another installation, which can break."""
    return Fragile()


@pytest.fixture
def copier(elsewhere: Fragile, clock: Clock) -> Copier:
    """Its Store."""
    return Copier(elsewhere, clock)


async def test_an_imported_session_is_the_session(
    exported: list[HistoryEvent],
    copier: Copier,
    elsewhere: Fragile,
    repository: MemoryRepository,
    clock: Clock,
) -> None:
    """The same state, history, place in the list and members; and one more export of it."""
    response = await copier.store("s-1", exported)
    assert response.imported
    here = Copier(repository, clock).sessions
    assert await copier.sessions.load(ALICE, "s-1") == await here.load(ALICE, "s-1")
    assert await copier.sessions.load(BOB, "s-1") == await here.load(BOB, "s-1")
    assert await history_of(elsewhere, "s-1") == exported
    own, theirs = [
        (await each.entries("alice", after=None, limit=9, revision=None)).entries
        for each in (elsewhere, repository)
    ]
    assert [(each.session_id, each.value) for each in own] == [
        (each.session_id, each.value) for each in theirs
    ]
    session = response.session
    assert (session.id, session.revision, session.message_count) == ("s-1", len(exported), 201)
    page = await elsewhere.shared("bob", revision=None)
    assert page.session_ids == ("s-1",)


async def test_an_imported_session_is_owned_and_goes_on(
    exported: list[HistoryEvent], copier: Copier, elsewhere: Fragile
) -> None:
    """By whoever is asked next; its records are of no owner, and its links are nobody's to use."""
    await copier.store("s-1", exported)
    head = decode_head((await elsewhere.snapshot("s-1")).head)  # type: ignore[union-attr]
    assert (head.meta.copied_seq, head.meta.epoch, head.meta.owner) == (len(exported), 0, b"")
    log = await log_of(elsewhere, "s-1")
    assert {(each.epoch, each.instance) for each in log} == {(0, b"")}
    assert [each.event.secret_hash for each in log if isinstance(each.event, LinkMade)] == [b""]
    author = await Author(elsewhere).register()
    author.now_ms += 10**6
    session = await author.say("s-1", "here")
    assert session.seq == len(exported) + 1
    assert [link.secret_hash for link in session.links.values()] == [b""]


async def test_to_import_again_changes_nothing(
    exported: list[HistoryEvent], copier: Copier, elsewhere: Fragile
) -> None:
    """Nor when the session went on; a member may as well, and is told how it now stands."""
    await copier.store("s-1", exported)
    before = await elsewhere.snapshot("s-1")
    assert not (await copier.store("s-1", exported)).imported
    assert await elsewhere.snapshot("s-1") == before
    author = await Author(elsewhere).register()
    await author.say("s-1", "here")
    again = await copier.store("s-1", exported, identity=BOB)
    assert (again.imported, again.session.revision) == (False, len(exported) + 1)
    assert again.session.last_message == "here"
    assert not (await copier.store("s-1", exported[:5])).imported


async def test_an_id_in_use_is_taken(exported: list[HistoryEvent], copier: Copier) -> None:
    """By a session with another history, one that the caller may not see, or a deleted one."""
    await copier.store("s-1", exported[:50])
    other = [HistoryEvent.FromString(each.SerializeToString()) for each in exported]
    other[20].event.message_appended.message.content = "something else"
    for events, identity in (
        (exported, ALICE),
        (other[:50], ALICE),
        (exported[:50], Identity("carol")),
    ):
        with pytest.raises(IdTaken):
            await copier.store("s-1", events, identity=identity)


async def test_the_id_of_a_deleted_session_is_taken(
    exported: list[HistoryEvent], copier: Copier, elsewhere: Fragile
) -> None:
    """For a day, whoever asks."""
    await copier.store("s-1", exported)
    author = await Author(elsewhere).register()
    await author.delete("s-1")
    for identity in (ALICE, ADMIN):
        with pytest.raises(IdTaken):
            await copier.store("s-1", exported, identity=identity)


# --- whose ---------------------------------------------------------------------------------------


async def test_only_its_owner_and_administrators_import_a_session(
    exported: list[HistoryEvent], copier: Copier, elsewhere: Fragile
) -> None:
    """The owner that it has in the end; for all others nothing is left of the try."""
    for identity in (
        BOB,
        Identity("root", Role.SERVICE, acting_for="bob"),
        Identity("crm", Role.SERVICE),
        Identity("w", Role.AGENT, sessions=frozenset({"s-1"})),
    ):
        with pytest.raises(PermissionDenied):
            await copier.store("s-1", exported, identity=identity)
        assert await elsewhere.snapshot("s-1") is None
    assert (await copier.store("s-1", exported, identity=CRM)).imported
    assert (await Copier(Fragile(), Clock()).store("s-1", exported, identity=ADMIN)).imported


async def test_the_owner_is_who_it_became(
    exported: list[HistoryEvent], author: Author, repository: MemoryRepository, copier: Copier
) -> None:
    """A transfer counts."""
    await author.change("s-1", TransferSession("bob"))
    events = await history_of(repository, "s-1")
    with pytest.raises(PermissionDenied):
        await copier.store("s-1", events)
    assert (await copier.store("s-1", events, identity=BOB)).session.user_id == "bob"


async def test_a_hold_is_an_administrators_to_bring(
    exported: list[HistoryEvent], copier: Copier
) -> None:
    """A user would exempt their session from what is deleted."""
    held = HistoryEvent.FromString(exported[-1].SerializeToString())
    held.event.seq += 1
    held.event.hold_set.held = True
    with pytest.raises(PermissionDenied):
        await copier.store("s-1", [*exported, held])
    assert (await copier.store("s-1", [*exported, held], identity=ADMIN)).session.held


# --- broken --------------------------------------------------------------------------------------


@pytest.mark.parametrize("lost", [False, True])
@pytest.mark.parametrize("writes", range(4))
async def test_an_import_that_broke_is_nowhere_and_is_gone_on_with(
    exported: list[HistoryEvent], copier: Copier, elsewhere: Fragile, *, writes: int, lost: bool
) -> None:
    """At every write, stored or not; and no record is written twice."""
    elsewhere.left, elsewhere.lost = writes, lost
    with pytest.raises((Unavailable, OutcomeUnknown)):
        await copier.store("s-1", exported)
    if not (lost and writes == 3):
        with pytest.raises(SessionNotFound):
            await copier.sessions.load(ALICE, "s-1")
        assert await elsewhere.count("alice") == 0
    elsewhere.left = 1_000_000
    await copier.store("s-1", exported)
    assert elsewhere.written == list(range(1, len(exported) + 1))
    assert await history_of(elsewhere, "s-1") == exported


@pytest.mark.parametrize("came", [0, 1, 99, 100, 150])
async def test_an_import_that_is_cut_off_is_nowhere_and_is_gone_on_with(
    exported: list[HistoryEvent], copier: Copier, elsewhere: Fragile, came: int
) -> None:
    """Nothing is left of a short one."""
    with pytest.raises(InvalidArgument) as refused:
        await copier.store("s-1", exported[:came], last_seq=len(exported))
    assert [each.field for each in refused.value.violations] == ["events"]
    with pytest.raises(SessionNotFound):
        await copier.sessions.load(ALICE, "s-1")
    assert (await elsewhere.snapshot("s-1") is None) == (came < 100)
    assert (await copier.store("s-1", exported)).imported
    assert elsewhere.written == list(range(1, len(exported) + 1))


async def test_imports_that_are_never_finished_are_as_many_as_sessions_may_be(
    exported: list[HistoryEvent], elsewhere: Fragile, clock: Clock
) -> None:
    """Nobody fills etcd with what is in no list; who goes on with one of them is not hindered."""
    copier = Copier(elsewhere, clock, limits=replace(DEFAULT_LIMITS, sessions_per_user=1))
    elsewhere.left = 1
    with pytest.raises(Unavailable):
        await copier.store("s-1", exported)
    elsewhere.left = 1_000_000
    with pytest.raises(TooManySessions):
        await copier.store("s-2", exported)
    assert await elsewhere.snapshot("s-2") is None
    assert (await copier.store("s-1", exported)).imported


async def test_an_administrators_import_is_its_owners_from_the_beginning(
    exported: list[HistoryEvent], copier: Copier, elsewhere: Fragile, clock: Clock
) -> None:
    """It counts for the owner, and goes with them; nothing of it is the administrator's."""
    with pytest.raises(InvalidArgument):
        await copier.store("s-1", exported[:150], last_seq=len(exported), identity=ADMIN)
    assert await elsewhere.copies("alice") == ("s-1",)
    assert await elsewhere.copies(ADMIN.user_id) == ()
    limited = Copier(elsewhere, clock, limits=replace(DEFAULT_LIMITS, sessions_per_user=1))
    with pytest.raises(TooManySessions):
        await limited.store("s-2", exported)
    assert (await limited.store("s-1", exported, identity=ADMIN)).imported
    assert elsewhere.written == list(range(1, len(exported) + 1))
    assert await elsewhere.copies("alice") == ()


async def test_nobody_is_no_owner(
    exported: list[HistoryEvent], copier: Copier, elsewhere: Fragile
) -> None:
    """What names no user cannot be listed under one, and is refused before anything stands."""
    exported[0].event.session_created.user_id = "a\n"
    with pytest.raises(InvalidArgument):
        await copier.store("s-1", exported, identity=ADMIN)
    assert await elsewhere.snapshot("s-1") is None


async def test_what_was_left_is_compared(
    exported: list[HistoryEvent], copier: Copier, elsewhere: Fragile
) -> None:
    """Another log under the same header replaces it, at the second try."""
    with pytest.raises(InvalidArgument):
        await copier.store("s-1", exported[:150], last_seq=len(exported))
    other = [HistoryEvent.FromString(each.SerializeToString()) for each in exported]
    other[70].event.message_appended.message.content = "something else"
    with pytest.raises(Unavailable):
        await copier.store("s-1", other)
    assert (await copier.store("s-1", other)).imported
    assert await history_of(elsewhere, "s-1") == other


async def test_another_caller_does_not_go_on_with_it(
    exported: list[HistoryEvent], copier: Copier
) -> None:
    """The id is taken while it is there."""
    with pytest.raises(InvalidArgument):
        await copier.store("s-1", exported[:150], last_seq=len(exported))
    with pytest.raises(IdTaken):
        await copier.store("s-1", exported, identity=ADMIN)


# --- damaged -------------------------------------------------------------------------------------


Damage = Callable[[list[HistoryEvent]], object]


def _set(number: int, change: Callable[[Any], None]) -> Damage:
    return lambda events: change(events[number - 1])


def _message(event: Any) -> Any:
    return event.event.message_appended.message


DAMAGES: dict[str, tuple[Damage, str]] = {
    "an event lost": (lambda events: events.pop(6), "events.7.seq"),
    "an event twice": (lambda events: events.insert(7, events[6]), "events.8.seq"),
    "in disorder": (lambda events: events.reverse(), "events.1.seq"),
    "of another session": (
        _set(7, lambda each: each.event.__setattr__("session_id", "s-2")),
        "events.7.session_id",
    ),
    "message of another session": (
        _set(10, lambda each: _message(each).__setattr__("session_id", "s-2")),
        "events.10",
    ),
    "message of another seq": (
        _set(10, lambda each: _message(each).__setattr__("seq", 3)),
        "events.10",
    ),
    "message of another user": (
        _set(10, lambda each: _message(each).__setattr__("user_id", "mallory")),
        "events.10",
    ),
    "no message": (
        _set(10, lambda each: _message(each).__setattr__("content", "")),
        "events.10.content",
    ),
    "no sender": (
        _set(10, lambda each: _message(each).__setattr__("sender", 0)),
        "events.10.sender",
    ),
    "no event": (
        _set(10, lambda each: each.event.ClearField("message_appended")),
        "events.10.event",
    ),
    "no role": (
        _set(10, lambda each: each.event.actor.__setattr__("role", "king")),
        "events.10.role",
    ),
    "no hexadecimal digits": (
        _set(10, lambda each: each.__setattr__("hash", "xyz")),
        "events.10.hash",
    ),
    "part of a millisecond": (
        _set(10, lambda each: each.event.time.__setattr__("nanos", 1)),
        "events.10",
    ),
    "back in time": (_set(10, lambda each: each.event.time.__setattr__("seconds", 1)), "events.10"),
    "a broken object": (
        _set(1, lambda each: each.event.session_created.user_inputs.__setattr__("text", "{")),
        "events.1.user_inputs",
    ),
}


@pytest.mark.parametrize("case", DAMAGES)
async def test_what_is_damaged_is_named_and_nothing_is_left(
    exported: list[HistoryEvent], copier: Copier, elsewhere: Fragile, case: str
) -> None:
    """By the event and the field; the same id can be imported mended at once."""
    damage, field = DAMAGES[case]
    events = [HistoryEvent.FromString(each.SerializeToString()) for each in exported]
    damage(events)
    with pytest.raises(InvalidArgument) as refused:
        await copier.store("s-1", events)
    assert field in [each.field for each in refused.value.violations]
    assert await elsewhere.snapshot("s-1") is None
    assert (await copier.store("s-1", exported)).imported


async def test_more_events_than_were_said_are_refused(
    exported: list[HistoryEvent], copier: Copier, elsewhere: Fragile
) -> None:
    """Nothing is stored of them."""
    with pytest.raises(InvalidArgument):
        await copier.store("s-1", exported, last_seq=7)
    assert await elsewhere.snapshot("s-1") is None


async def test_what_is_to_come_is_refused(
    exported: list[HistoryEvent], copier: Copier, clock: Clock
) -> None:
    """But for a clock that is a little ahead."""
    clock.ms -= 5000 + 5 * 60_000
    assert (await copier.store("s-1", exported)).imported
    clock.ms -= 1
    with pytest.raises(InvalidArgument, match="not valid"):
        await Copier(Fragile(), clock).store("s-1", exported)


@pytest.mark.parametrize(("session_id", "last_seq"), [("s 1", 9), ("s-1", 0), ("s-1", MOST + 1)])
async def test_a_bad_header_is_named(copier: Copier, session_id: str, last_seq: int) -> None:
    """The id, and how many events there may be."""
    with pytest.raises(InvalidArgument) as refused:
        await copier.store(session_id, [], last_seq=last_seq)
    assert refused.value.violations[0].field.startswith("header.")


async def test_limits_and_space_hold_for_imports(
    exported: list[HistoryEvent], elsewhere: Fragile, clock: Clock
) -> None:
    """The number of sessions and of shares, the bytes of one, what etcd has left: nothing stays."""
    space = Space()
    space.seen(int(SHORT_FILL * 1000), 1000)
    none, small = replace(DEFAULT_LIMITS, sessions_per_user=0), replace(DEFAULT_LIMITS, session=900)
    alone = replace(DEFAULT_LIMITS, shared_per_user=0)
    for limits, given, identity, error in (
        (none, None, ALICE, TooManySessions),
        (none, None, ADMIN, TooManySessions),
        (alone, None, ALICE, TooManyShared),
        (alone, None, ADMIN, TooManyShared),
        (small, None, ALICE, SessionFull),
        (DEFAULT_LIMITS, space, ALICE, Unavailable),
    ):
        copier = Copier(elsewhere, clock, limits=limits, space=given)
        with pytest.raises(error):
            await copier.store("s-1", exported, identity=identity)
        assert await elsewhere.snapshot("s-1") is None


@pytest.mark.parametrize("full", ["events", "session"])
async def test_a_full_session_is_imported_with_what_it_took_after_that(
    exported: list[HistoryEvent],
    repository: MemoryRepository,
    author: Author,
    clock: Clock,
    full: str,
) -> None:
    """Rights that were taken, and holds; nothing that a full session refuses, and nothing stays."""
    before = Fragile()
    await Copier(before, clock).store("s-1", exported)
    size = decode_head((await before.snapshot("s-1")).head).meta.size  # type: ignore[union-attr]
    last = {"events": len(exported), "session": size}[full]
    limits = replace(DEFAULT_LIMITS, **{full: last})
    (link_id,) = [
        each.event.link_made.link_id for each in exported if each.event.HasField("link_made")
    ]
    clock.ms = author.now_ms
    await author.change("s-1", UnshareSession("bob"), RevokeLink(link_id))
    await author.change("s-1", SetHold(True), SetHold(False), identity=ADMIN)
    taken = await history_of(repository, "s-1")
    clock.ms = author.now_ms
    here = Fragile()
    assert (await Copier(here, clock, limits=limits).store("s-1", taken)).imported
    assert await history_of(here, "s-1") == taken
    await author.change("s-1", AppendMessage("more"))
    grown = await history_of(repository, "s-1")
    clock.ms = author.now_ms
    there = Fragile()
    with pytest.raises(SessionFull):
        await Copier(there, clock, limits=limits).store("s-1", grown)
    assert await there.snapshot("s-1") is None


# --- over gRPC -----------------------------------------------------------------------------------


async def stored(
    served: Served, *messages: ImportSessionRequest, subject: str = "alice"
) -> ImportSessionResponse:
    async def each() -> AsyncIterator[ImportSessionRequest]:
        for message in messages:
            yield message

    answer: ImportSessionResponse = await served.store.ImportSession(
        each(), metadata=served.bearer(subject)
    )
    return answer


async def test_a_session_travels_in_any_number_of_messages(
    exported: list[HistoryEvent], serve: Serve, elsewhere: Fragile
) -> None:
    """The header in the first, the events in any; a second header is refused, and so is none."""
    header = ImportHeader(session_id="s-1", last_seq=len(exported))
    async with serve(elsewhere) as served:
        for messages in (
            [],
            [ImportSessionRequest(events=exported)],
            [ImportSessionRequest(header=header), ImportSessionRequest(header=header)],
        ):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await stored(served, *messages)
            assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        answer = await stored(
            served,
            ImportSessionRequest(header=header, events=exported[:3]),
            ImportSessionRequest(),
            *(ImportSessionRequest(events=[event]) for event in exported[3:40]),
            ImportSessionRequest(events=exported[40:]),
        )
        assert answer.imported
    assert await history_of(elsewhere, "s-1") == exported
