"""Rooms over a served Store: acquired on first touch, held by one owner, deleted once."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, NoReturn, cast

import pytest

from services.live.acquisition import RECENT, InstanceDied
from services.live.held import Held
from services.live.registration import Instance
from services.live.request import Request
from services.live.room import WAITING, Room
from services.live.rooms import Rooms
from services.live.window import WINDOW_BYTES
from services.live.writing import Writing
from services.store.writes import Outcome, Unknown
from sessiond.errors import (
    IdempotencyMismatch,
    OutcomeUnknown,
    SessionMoved,
    SessionNotFound,
    StaleRevision,
    Unavailable,
)
from sessiond.session.access import MemberRole
from sessiond.session.changes import (
    AppendMessage,
    Change,
    JoinSession,
    ResumeSession,
    ShareSession,
    TransferSession,
    UnshareSession,
)
from sessiond.session.limits import DEFAULT_LIMITS
from tests.live.kept import Gate, contents
from tests.live.rooms import ALICE, BOB
from tests.live.rooms import House as Small
from tests.live.standing import House


async def test_the_first_touch_acquires_the_session(house: House) -> None:
    """A session that nobody holds is acquired, and from then on answered from memory."""
    await house.kept.make()
    async with house.store() as (store, _), house.live(store) as live:
        assert await live.append("one") == 2
        assert await live.append("two") == 3
        assert (await house.kept.head()).meta.owner == live.instance
        assert house.kept.acquisitions == 1
        assert contents(await house.kept.log()) == ["one", "two"]


async def test_callers_that_come_together_share_one_acquisition(house: House) -> None:
    """However many touch a session that is not held, Store is asked for it once."""
    await house.kept.make()
    async with house.store() as (store, _), house.live(store) as live:
        seqs = await asyncio.gather(*(live.append(f"{n}") for n in range(50)))
        assert sorted(seqs) == list(range(2, 52))
        assert house.kept.acquisitions == 1


async def test_a_caller_that_gives_up_takes_nobody_elses_acquisition_with_it(house: House) -> None:
    """The acquisition goes on for those who still wait."""
    await house.kept.make()
    house.kept.before_acquire = gate = Gate()
    async with house.store() as (store, _), house.live(store) as live:
        hurried = asyncio.create_task(live.append("hurried"))
        patient = asyncio.create_task(live.append("patient"))
        await gate.reached.wait()
        hurried.cancel()
        gate.opened.set()
        assert await patient == 2
        assert house.kept.acquisitions == 1
        assert contents(await house.kept.log()) == ["patient"]


@pytest.mark.timeout(30)  # without its law broken it takes a moment, and with it for ever
async def test_who_comes_just_as_an_acquisition_failed_begins_another() -> None:
    """One for an instance that died meanwhile ends; the loop goes on, and so does the caller."""
    died, born = (Instance(each, 1, deadline=1.0, clock=lambda: 0.0) for each in (b"1", b"2"))
    going: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @dataclass
    class Registering:
        instance: Instance = died
        draining: bool = False

        async def living(self) -> Instance:
            return self.instance

    class Acquiring:
        async def acquire(self, session_id: str, instance: Instance) -> Room:
            if instance is born:
                return Small().room()
            await asyncio.sleep(0)
            registering.instance = born
            going.set_result(None)  # whoever waits for this runs before anybody hears of the end
            raise InstanceDied

    registering, unused = Registering(), cast("Any", None)
    rooms = Rooms(
        cast("Any", registering), cast("Any", Acquiring()), Writing(unused), clock=lambda: 0.0
    )

    async def comes_late() -> Held:
        await going
        return await rooms.acquire("s1")

    async with asyncio.TaskGroup() as tasks:
        late, early = tasks.create_task(comes_late()), tasks.create_task(rooms.acquire("s1"))
    assert early.result() is late.result()
    assert early.result().instance is born


async def test_strangers_and_absent_sessions_look_the_same(house: House) -> None:
    """Who has nothing to do with a session is told what is told of one that is not there."""
    await house.kept.make()
    async with house.store() as (store, _), house.live(store) as live:
        for session_id, identity in (("s1", BOB), ("s2", ALICE)):
            with pytest.raises(SessionNotFound):
                await live.append("hello", session_id=session_id, identity=identity)


GUESS = JoinSession("0" * 64)
"""A join by a secret that no link has."""


@pytest.mark.parametrize("change", [AppendMessage("hello"), UnshareSession("bob"), GUESS])
async def test_a_stranger_does_not_learn_that_a_room_is_full(house: House, change: Change) -> None:
    """They hear what is told of an absent session; whoever may know of it is to come back."""
    await house.kept.make()
    async with house.store() as (store, _), house.live(store) as live:
        held = await live.rooms.enter("s1")
        for n in range(WAITING):
            held.room.submit(Request(AppendMessage("x"), ALICE, f"n{n}"))
        with pytest.raises(SessionNotFound):
            await live.change(change, identity=BOB)
        with pytest.raises(Unavailable):
            await live.append("hello")


async def test_a_former_owner_says_of_no_session_that_it_is_not_there(house: House) -> None:
    """Not because its room is full, either: whom it takes for a stranger may be a member."""
    await house.kept.make()
    async with (
        house.store() as (store, _),
        house.live(store, address="127.0.0.1:1") as one,
        house.live(store, address="127.0.0.1:2") as other,
    ):
        held = await one.rooms.enter("s1")
        for n in range(WAITING):
            held.room.submit(Request(AppendMessage("x"), ALICE, f"n{n}"))
        house.kept.expire(one.instance)
        await other.change(ShareSession("bob", MemberRole.EDITOR))
        with pytest.raises(SessionMoved):
            await one.append("hello", identity=BOB)


async def test_nobody_makes_us_read_the_past_of_a_session_that_is_not_theirs(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Access comes before the operation id; who has left since is answered as at first."""
    await house.kept.make()
    async with house.store() as (store, _):
        async with house.live(store) as live:
            await live.change(ShareSession("bob", MemberRole.VIEWER))
            left = await live.change(UnshareSession("bob"), "left", identity=BOB)
            for n in range(RECENT + 50):
                await live.append(f"{n}")
        async with house.live(store) as taker:
            held = await taker.rooms.enter("s1")
            records = taker.store.records
            monkeypatch.setattr(taker.store, "records", no_records)
            for refused in (AppendMessage("hello"), UnshareSession("carol")):
                with pytest.raises(SessionNotFound):
                    await taker.change(refused, identity=BOB)
            assert held.room.forgotten
            monkeypatch.setattr(taker.store, "records", records)
            again = await taker.change(UnshareSession("bob"), "left", identity=BOB)
            assert again.seq == left.seq


async def no_records(*span: Any, **more: Any) -> NoReturn:
    raise AssertionError("the past was read")


async def test_a_refusal_by_the_rules_reaches_the_caller(house: House) -> None:
    """What the rules refuse is refused, in the order: access, operation id, revision, rules."""
    await house.kept.make()
    async with house.store() as (store, _), house.live(store) as live:
        asked = Request(AppendMessage("one"), ALICE, "op-1", expected_revision=1)
        for _ in range(2):
            made = await live.ask(asked)
            assert made is not None
            assert made[1].seq == 2
        stale = Request(AppendMessage("one"), ALICE, "op-2", expected_revision=1)
        with pytest.raises(StaleRevision) as refused:
            await live.ask(stale)
        assert refused.value.revision == 2


async def test_a_repeat_is_known_after_a_takeover_however_few_records_were_loaded(
    house: House,
) -> None:
    """A call that says nothing of when it began is answered as at first; a new one is made."""
    await house.kept.make()
    async with house.store() as (store, _):
        async with house.live(store) as live:
            for n in range(RECENT + 50):
                assert await live.append(f"{n}", f"op-{n}") == n + 2
        async with house.live(store) as taker:
            assert await taker.append("0", "op-0") == 2
            with pytest.raises(IdempotencyMismatch):
                await taker.append("other", "op-1")
            assert await taker.append("new", "op-new") == RECENT + 52
    assert len(await house.kept.log("s1")) == RECENT + 52


async def test_what_left_the_window_is_read_from_store(house: House) -> None:
    """A room keeps the newest records; the whole session has all of them, in order."""
    await house.kept.make()
    large = "x" * (WINDOW_BYTES // 8)
    texts = [f"{n}{large}" for n in range(12)]
    async with house.store() as (store, _), house.live(store) as live:
        for n, text in enumerate(texts):
            assert await live.append(text, f"op-{n}") == n + 2
        made = await live.ask(Request(AppendMessage(texts[0]), ALICE, "op-0"))
        assert made is not None
        room, answer = made
        assert answer.seq == 2
        assert room.window.record(2) is None
        assert (await live.history.record(room, 2)).op_id == "op-0"
        session, messages = await live.history.whole(room)
        assert [message.content for message in messages] == texts
        assert session.seq == 13


async def test_a_repeated_deletion_is_answered_as_the_first(house: House) -> None:
    """Same caller and operation id: done. Another operation id: there is no such session."""
    await house.kept.make()
    async with house.store() as (store, _), house.live(store) as live:
        await live.append("one")
        await live.delete("op-d")
        assert len(live.rooms) == 0
        await live.delete("op-d")
        for refused in (live.delete("op-e"), live.delete("op-d", identity=BOB)):
            with pytest.raises(SessionNotFound):
                await refused
        assert (await house.kept.head()).tombstone is not None


async def test_a_deleted_session_takes_no_change(house: House) -> None:
    """A tombstone refuses whoever comes late, those that waited behind the deletion too."""
    await house.kept.make()
    async with house.store() as (store, _), house.live(store) as live:
        await live.append("one")
        results = await asyncio.gather(
            live.delete("op-d"), live.append("late"), return_exceptions=True
        )
        assert results[0] is None
        assert isinstance(results[1], SessionNotFound)
        with pytest.raises(SessionNotFound):
            await live.append("later")


async def test_a_living_owner_keeps_its_sessions(house: House) -> None:
    """While the owner is registered, another instance is told where it is, and changes nothing."""
    await house.kept.make()
    async with (
        house.store() as (store, _),
        house.live(store, address="127.0.0.1:1") as one,
        house.live(store, address="127.0.0.1:2") as other,
    ):
        await one.append("one")
        with pytest.raises(SessionMoved) as moved:
            await other.append("two")
        assert moved.value.owner_address == "127.0.0.1:1"
        assert contents(await house.kept.log()) == ["one"]


async def test_a_late_commit_of_a_former_owner_is_refused(house: House) -> None:
    """Once another took over, nothing that the former owner sends is stored; its callers hear
    so, and the same operation ids are good with the new owner."""
    await house.kept.make()
    async with (
        house.store() as (store, _),
        house.store() as (another_store, _),
        house.live(store, address="127.0.0.1:1") as one,
        house.live(another_store, address="127.0.0.1:2") as other,
    ):
        await one.append("first")
        house.kept.before_commit = gate = Gate()
        late = asyncio.create_task(one.append("late", "op-late"))
        await gate.reached.wait()
        house.kept.expire(one.instance)
        assert await other.append("second") == 3
        gate.opened.set()
        with pytest.raises((SessionMoved, Unavailable)):
            await late
        assert contents(await house.kept.log()) == ["first", "second"]
        assert await other.append("late", "op-late") == 4


@pytest.mark.parametrize("refused", [False, True])
async def test_a_former_owner_answers_nothing_out_of_its_memory(
    house: House, refused: bool
) -> None:
    """Once another took over, not even what needs no write: it may be another answer by then.

    Nobody told the former owner, and its time is not over; what it holds is no longer the session.
    """
    await house.kept.make()
    async with (
        house.store() as (store, _),
        house.live(store, address="127.0.0.1:1") as one,
        house.live(store, address="127.0.0.1:2") as other,
    ):
        await one.append("first")
        house.kept.expire(one.instance)
        assert await other.append("second") == 3
        asked = Request(ResumeSession(), ALICE, "op", expected_revision=3 if refused else None)
        with pytest.raises((SessionMoved, Unavailable)):
            await one.ask(asked)
        assert (await other.change(ResumeSession(), "op")).seq == 3


async def test_a_former_owner_does_not_say_that_somebody_has_too_many_sessions(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They have as many as they may since they were given this one, and that answer stands."""
    counted = DEFAULT_LIMITS.sessions_per_user - 1

    async def count(user_id: str) -> int:
        return counted

    monkeypatch.setattr(house.kept, "count", count)
    await house.kept.make()
    async with (
        house.store() as (store, _),
        house.live(store, address="127.0.0.1:1") as one,
        house.live(store, address="127.0.0.1:2") as other,
    ):
        await one.change(ShareSession("bob", MemberRole.VIEWER))
        house.kept.expire(one.instance)
        given = await other.change(TransferSession("bob"), "give")
        counted += 1
        with pytest.raises(SessionMoved):
            await one.change(TransferSession("bob"), "give")
        assert await other.change(TransferSession("bob"), "give") == given


async def test_a_former_owner_refuses_nobody_before_it_recalls_what_was_made(house: House) -> None:
    """Whom it takes for a stranger may be a member by now."""
    await house.kept.make()
    async with house.store() as (store, _):
        async with house.live(store) as first:
            for n in range(RECENT + 50):
                await first.append(f"{n}")
        async with (
            house.live(store, address="127.0.0.1:1") as one,
            house.live(store, address="127.0.0.1:2") as other,
        ):
            assert (await one.rooms.enter("s1")).room.forgotten
            house.kept.expire(one.instance)
            await other.change(ShareSession("bob", MemberRole.EDITOR))
            with pytest.raises(SessionMoved):
                await one.append("hello", identity=BOB)


async def test_a_former_owners_unknown_commit_is_settled_by_the_new_owner(house: House) -> None:
    """A commit that was stored while its answer was lost is unknown to the former owner; the new
    one answers the same operation id with the original seq."""
    await house.kept.make()
    async with (
        house.store() as (store, _),
        house.live(store, address="127.0.0.1:1") as one,
        house.live(store, address="127.0.0.1:2") as other,
    ):
        answered = asyncio.Event()

        def lost(outcomes: list[Outcome]) -> list[Outcome]:
            answered.set()
            return [Unknown()] * len(outcomes)

        await one.append("first")
        house.kept.after_commit = lost
        late = asyncio.create_task(one.append("late", "op-late"))
        await answered.wait()
        house.kept.expire(one.instance)
        house.kept.after_commit = lambda outcomes: outcomes
        assert await other.append("late", "op-late") == 3
        with pytest.raises(OutcomeUnknown):
            await late
        assert contents(await house.kept.log()) == ["first", "late"]
