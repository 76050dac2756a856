"""Several Lives over one Store: any of them takes any call, and one of them owns the session."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import grpc
import pytest

from services.live.hops import FORWARDER_KEY, HOPS_KEY, OWNER_KEY
from services.live.rates import Rate
from sessiond.errors import (
    OutcomeUnknown,
    RateLimited,
    SessionMoved,
    SessionNotFound,
    Unavailable,
)
from sessiond.status import from_rpc_error
from sessiond.v1 import live_pb2 as pb
from tests.live.kept import Gate, at_once, contents
from tests.live.replicas import Replica, Replicas, calling, replicas
from tests.live.standing import House


async def elsewhere(started: Replicas, session_id: str = "s1") -> tuple[Replica, list[Replica]]:
    """Return where a session is placed, and the other ones."""
    place = started.place(session_id)
    return place, [each for each in started.all if each is not place]


async def test_any_replica_takes_any_call_and_the_placed_one_owns_the_session(
    house: House, ports: Iterator[int]
) -> None:
    """Calls through all of them at once make one sequence, written by one instance."""
    await house.kept.make()
    async with replicas(house, ports, 3) as started:
        owner, _ = await elsewhere(started)
        said = [each.say(f"{n}") for n in range(10) for each in started.all]
        assert sorted(await asyncio.gather(*said)) == list(range(2, 32))
        log = await house.kept.log()
        assert {record.instance for record in log[1:]} == {owner.live.instance}
        assert len(contents(log)) == 30
        assert house.kept.acquisitions == 1


async def test_every_unary_method_is_passed_on(house: House, ports: Iterator[int]) -> None:
    """What the owner answers is what the caller gets."""
    await house.kept.make()
    async with replicas(house, ports, 2) as started:
        owner, (other,) = await elsewhere(started)
        stub, who = other.stub, {"metadata": calling(), "timeout": 10}
        output = await stub.SubmitOutput(
            pb.SubmitOutputRequest(session_id="s1", output_id="plan", content="a plan"), **who
        )
        assert (output.output_id, output.seq, output.output.content) == ("plan", 2, "a plan")
        edited = await stub.EditOutput(
            pb.EditOutputRequest(session_id="s1", output_id="plan", content="better"), **who
        )
        assert (edited.seq, edited.output.content) == (3, "better")
        approved = await stub.ApproveOutput(
            pb.ApproveOutputRequest(session_id="s1", output_id="plan"), **who
        )
        assert approved.session.current_step == 1
        updated = await stub.UpdateSession(
            pb.UpdateSessionRequest(session_id="s1", title="A title"), **who
        )
        assert (updated.seq, updated.session.title) == (5, "A title")
        assert (await stub.PauseSession(pb.PauseSessionRequest(session_id="s1"), **who)).seq == 6
        assert (await stub.ResumeSession(pb.ResumeSessionRequest(session_id="s1"), **who)).seq == 7
        assert await other.say("hello") == 8
        delete = pb.DeleteSessionRequest(session_id="s1", op_id="op-d")
        for through in (other, other, owner):
            await through.stub.DeleteSession(delete, **who)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await other.say("late")
        assert isinstance(from_rpc_error(refused.value, mutating=True), SessionNotFound)
        assert (await house.kept.head()).tombstone is not None


async def test_an_operation_is_made_once_whichever_replica_it_comes_through(
    house: House, ports: Iterator[int]
) -> None:
    """The same operation id gets the original answer everywhere, at the same time too."""
    await house.kept.make()
    async with replicas(house, ports, 3) as started:
        said = [each.say("once", "op-1") for _ in range(5) for each in started.all]
        assert set(await asyncio.gather(*said)) == {2}
        assert contents(await house.kept.log()) == ["once"]


async def test_a_call_is_passed_on_in_the_callers_name(house: House, ports: Iterator[int]) -> None:
    """A stranger is a stranger through every replica, and a service acts for whom it names."""
    await house.kept.make()
    async with replicas(house, ports, 2) as started:
        _, (other,) = await elsewhere(started)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await other.say("hello", metadata=calling("bob"))
        assert isinstance(from_rpc_error(refused.value, mutating=True), SessionNotFound)
        acting = (*calling("bot", role="service"), ("sessiond-user", "alice"))
        assert await other.say("from the bot", metadata=acting) == 2
        actor = (await house.kept.log())[-1].actor
        assert (actor.subject, actor.acting_for) == ("bot", "alice")


async def test_a_rate_counts_where_the_caller_came_in(house: House, ports: Iterator[int]) -> None:
    """An owner counts nothing that another Live passed on, and everything that only says so."""
    await house.kept.make()
    async with replicas(house, ports, 1) as started:
        strict = await started.start(rate=Rate(0.001, 2))
        (session_id,) = started.placed_on(strict)
        await house.kept.make(session_id)
        for n in range(6):
            assert await started.all[0].say(f"{n}", session_id=session_id) == n + 2
        claims: tuple[tuple[tuple[str, str], ...], ...] = (
            (),
            ((HOPS_KEY, "1"),),
            ((HOPS_KEY, "1"), (FORWARDER_KEY, calling()[0][1].removeprefix("Bearer "))),
        )
        for claimed in claims[:2]:
            await strict.say("counted", session_id=session_id, metadata=(*calling(), *claimed))
        for claimed in claims:
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await strict.say("more", session_id=session_id, metadata=(*calling(), *claimed))
            assert isinstance(from_rpc_error(refused.value, mutating=True), RateLimited)


async def test_an_owner_in_another_place_is_found_and_then_asked_at_once(
    house: House, ports: Iterator[int]
) -> None:
    """The place names the owner, and is not asked about that session a second time."""
    await house.kept.make()
    async with replicas(house, ports, 3) as started:
        place, (owner, asking) = await elsewhere(started)
        await owner.live.rooms.enter("s1")
        assert await asking.say("one") == 2
        assert await asking.say("two") == 3
        assert place.asked == ["one"]
        assert owner.asked == ["one", "two"]
        assert await place.say("three") == 4
        assert contents(await house.kept.log()) == ["one", "two", "three"]


async def test_a_wrong_owner_names_the_right_one_to_lives_alone(
    house: House, ports: Iterator[int]
) -> None:
    """In trailing metadata of a call that was passed on; a client never sees an address.

    Who claims that a Live passed on its call is believed no more than any other client.
    """
    await house.kept.make()
    async with replicas(house, ports, 2) as started:
        owner, (other,) = await elsewhere(started)
        await owner.say("one")
        claim = (HOPS_KEY, "1")
        assert await other.say("two", metadata=(*calling(), claim)) == 3
        for session_id in ("s1", "absent"):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await other.say("x", session_id=session_id, metadata=(*calling("mallory"), claim))
            assert isinstance(from_rpc_error(refused.value, mutating=True), SessionNotFound)
        passed_on = (claim, (FORWARDER_KEY, (house.folder / "live.jwt").read_text()))
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await other.say("three", metadata=(*calling(), *passed_on))
        assert isinstance(from_rpc_error(refused.value, mutating=True), SessionMoved)
        told = dict(refused.value.trailing_metadata() or ())
        assert told[OWNER_KEY] == owner.address
        assert owner.address not in (refused.value.details() or "")
        assert owner.address.encode() not in told["grpc-status-details-bin"]


async def test_a_killed_owners_sessions_go_on_without_waiting_for_its_registration(
    house: House, ports: Iterator[int]
) -> None:
    """Registrations of this Store end by no clock: the report alone ends the owner's."""
    await house.kept.make()
    async with replicas(house, ports, 3) as started:
        owner, others = await elsewhere(started)
        former = owner.live.instance
        await others[0].say("one", "op-1")
        await owner.kill()
        seqs = await asyncio.gather(*(each.say(f"by {n}") for n, each in enumerate(others)))
        assert sorted(seqs) == [3, 4]
        assert await others[1].say("one", "op-1") == 2
        _, registered = await house.kept.instances()
        assert former not in {each.instance for each in registered}


async def test_a_call_that_was_under_way_when_its_owner_died_is_settled_by_the_next_owner(
    house: House, ports: Iterator[int]
) -> None:
    """Its fate was unknown: stored by the former owner or not, it is made once."""
    await house.kept.make()
    async with replicas(house, ports, 3) as started:
        owner, others = await elsewhere(started)
        await others[0].say("one")
        house.kept.before_commit = gate = Gate()
        late = asyncio.create_task(others[0].say("two"))
        await gate.reached.wait()
        house.kept.before_commit = at_once
        killing = asyncio.create_task(owner.kill())
        assert await late == 3
        gate.opened.set()
        await killing
        assert contents(await house.kept.log()) == ["one", "two"]


async def test_a_silent_owners_calls_go_on_when_its_registration_ends(
    house: House, ports: Iterator[int]
) -> None:
    """A stopped process accepts calls and answers none: nobody ends it before its time, and what
    it had is settled by the next owner. It stores nothing of it later."""
    await house.kept.make()
    async with replicas(house, ports, 2) as started:
        owner, (other,) = await elsewhere(started)
        await other.say("one")
        house.kept.before_commit = gate = Gate()
        late = asyncio.create_task(other.say("two"))
        await gate.reached.wait()
        assert not await other.live.instances.unreachable(owner.live.instance)
        assert not late.done()
        former = owner.live.instance
        house.kept.before_commit = at_once
        house.kept.expire(former)
        assert await late == 3
        gate.opened.set()
        assert await other.say("three") == 4
        log = await house.kept.log()
        assert contents(log) == ["one", "two", "three"]
        assert former not in {record.instance for record in log[2:]}


async def test_a_caller_hears_that_it_is_not_known_when_its_time_is_over(
    house: House, ports: Iterator[int]
) -> None:
    """A call that hangs at the owner may be stored; the same operation id settles it."""
    await house.kept.make()
    async with replicas(house, ports, 2) as started:
        owner, (other,) = await elsewhere(started)
        await other.say("one")
        house.kept.before_commit = gate = Gate()
        other.live.changes._answer_seconds = 0.1
        with pytest.raises(grpc.aio.AioRpcError) as unknown:
            await other.say("two", "op-2")
        assert isinstance(from_rpc_error(unknown.value, mutating=True), OutcomeUnknown)
        gate.opened.set()
        assert await owner.say("two", "op-2") == 3
        assert contents(await house.kept.log()) == ["one", "two"]


async def test_a_call_that_may_have_been_made_is_never_said_to_be_unmade(
    house: House, ports: Iterator[int]
) -> None:
    """Its owner is gone and its next one cannot be had in time: unknown, not unavailable."""
    await house.kept.make()
    async with replicas(house, ports, 2) as started:
        owner, (other,) = await elsewhere(started)
        await other.say("one")
        house.kept.before_commit = gate = Gate()
        other.live.changes._answer_seconds = 0.5
        late = asyncio.create_task(other.say("two", "op-2"))
        await gate.reached.wait()
        house.kept.before_acquire = never = Gate()
        house.kept.expire(owner.live.instance)
        with pytest.raises(grpc.aio.AioRpcError) as unknown:
            await late
        assert isinstance(from_rpc_error(unknown.value, mutating=True), OutcomeUnknown)
        assert never.reached.is_set()
        house.kept.before_commit = at_once
        for each in (gate, never):
            each.opened.set()
        assert await other.say("two", "op-2") == 3
        assert contents(await house.kept.log()) == ["one", "two"]


async def test_a_rewind_that_finds_no_past_in_time_was_not_made(
    house: House, ports: Iterator[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The past is read before anything is asked of the room, so its caller hears just that."""
    await house.kept.make()
    async with replicas(house, ports, 1) as started:
        (owner,) = started.all
        await owner.say("one")
        owner.live.changes._answer_seconds = 1.0
        reached = asyncio.Event()

        async def never(*_: object, **__: object) -> list[bytes]:
            reached.set()
            await asyncio.Event().wait()
            return []

        monkeypatch.setattr(house.kept, "records", never)
        request = pb.RewindSessionRequest(session_id="s1", to_seq=1)
        with pytest.raises(grpc.aio.AioRpcError) as late:
            await owner.stub.RewindSession(request, metadata=calling())
        assert reached.is_set()
        assert isinstance(from_rpc_error(late.value, mutating=True), Unavailable)
