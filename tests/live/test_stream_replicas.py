"""Streams through several Lives: every one serves every session, and nobody misses anything."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, NoReturn

import grpc
import pytest
from structlog.testing import capture_logs

from services.live import acquisition
from services.live.commits import UNKNOWN, Settle
from services.live.held import Held
from services.live.rates import Rate
from sessiond.errors import Draining, SessionMoved
from sessiond.session.access import Identity, MemberRole
from sessiond.session.changes import ShareSession
from sessiond.v1 import live_pb2 as pb
from sessiond.v1.ownership_pb2 import Commit
from sessiond.v1.session_pb2 import MEMBER_ROLE_EDITOR
from tests.live.following import Follower, client, ended
from tests.live.kept import PATIENCE, Gate, contents
from tests.live.replicas import Replica, Replicas, calling, replicas
from tests.live.standing import House

AGENT = {"role": "agent", "agents": ["writer"]}


async def elsewhere(started: Replicas, session_id: str = "s1") -> tuple[Replica, list[Replica]]:
    """Return where a session is placed, and the other ones."""
    place = started.place(session_id)
    return place, [each for each in started.all if each is not place]


async def outlive(house: House, stale: Replica, others: Iterable[Replica]) -> None:
    """Let an instance end without its owner's knowledge, and all others know.

    A heartbeat of before is under way, and still finds it alive; its answer comes when somebody
    asks again.
    """
    former = stale.live.registration.instance
    assert former is not None
    beat, under_way = stale.live.store.heartbeat, asyncio.Event()

    async def late(*_: object, **__: object) -> bool:
        stale.live.store.heartbeat = beat  # type: ignore[method-assign]
        under_way.set()
        await former.asked.wait()
        return True

    stale.live.store.heartbeat = late  # type: ignore[method-assign]
    former.asked.set()
    await under_way.wait()
    house.kept.expire(former.id)
    for replica in others:
        async with asyncio.timeout(PATIENCE):
            async for living in replica.live.instances.follow():
                if all(each.id != former.id for each in living):
                    break


async def filled(through: Replica, count: int, size: int = 0) -> None:
    """Let a session have so many messages."""
    for number in range(count):
        await through.say(f"{number} " + "x" * size)


async def test_every_live_serves_every_session(house: House, ports: Iterator[int]) -> None:
    """What one client writes through any Live all see through all of them, as one sequence."""
    await house.kept.make()
    async with replicas(house, ports, 3) as started:
        owner, _ = await elsewhere(started)
        async with (
            client(started.all[0]) as one,
            client(started.all[1]) as two,
            client(started.all[2]) as three,
        ):
            readers = [Follower(each) for each in (one, two, three)]
            for reader in readers:
                await reader.begin()
                await reader.caught_up()
                assert reader.attached is not None
                assert reader.attached.owner == owner.address
            for number in range(10):
                for reader in readers:
                    await reader.client.append(f"{number}")
            for reader in readers:
                await reader.upto(31)
                assert reader.goaways == []
        assert len(contents(await house.kept.log())) == 30
        assert house.kept.acquisitions == 1
        for replica in started.all:
            await ended(replica)
        assert all(held.users == 0 for _, held in owner.live.rooms)


async def test_an_owner_in_another_place_is_found(house: House, ports: Iterator[int]) -> None:
    """The place names it; the client is attached there and hears nothing of the way."""
    await house.kept.make()
    async with replicas(house, ports, 3) as started:
        _, (owner, asking) = await elsewhere(started)
        await owner.live.rooms.enter("s1")
        async with client(asking) as one:
            reader = Follower(one)
            await reader.begin()
            await reader.caught_up()
            assert reader.attached is not None
            assert (reader.attached.owner, reader.goaways) == (owner.address, [])
        assert asking.live.router.owner("s1") == owner.address


async def test_lives_that_name_one_another_are_followed_three_times_and_then_the_head_is_read(
    house: House, ports: Iterator[int]
) -> None:
    """Somebody's knowledge is old, and etcd's is not."""
    await house.kept.make()
    async with replicas(house, ports, 4) as started:
        entry, owner, *liars = started.all
        await owner.live.rooms.enter("s1")
        asked: list[str] = []

        def lying(name: str, other: str) -> Any:
            async def acquire(session_id: str) -> NoReturn:
                asked.append(name)
                raise SessionMoved(other)

            return acquire

        for one, other in (liars, liars[::-1]):
            one.live.rooms.acquire = lying(one.address, other.address)  # type: ignore[method-assign]
        entry.live.router._owners["s1"] = liars[0].address
        async with client(entry) as reading:
            reader = Follower(reading)
            await reader.begin()
            await reader.caught_up()
            assert reader.attached is not None
            assert reader.attached.owner == owner.address
        assert asked == [liars[0].address, liars[1].address, liars[0].address]


async def test_a_reader_behind_another_live_goes_on_when_the_owner_dies(
    house: House, ports: Iterator[int]
) -> None:
    """It catches up when the owner is killed, and goes on with the next one where it was."""
    await house.kept.make()
    async with replicas(house, ports, 3) as started:
        owner, (entry, _) = await elsewhere(started)
        await filled(entry, 60, 200_000)
        async with client(entry) as one:
            reader = Follower(one)
            await reader.begin(seq=1)
            await reader.upto(10)
            await owner.kill()
            await filled(entry, 5)
            await reader.upto(66)
            assert reader.goaways == ["SESSION_MOVED"]
            assert reader.resets == []


async def test_a_reader_behind_another_live_goes_on_when_the_owner_hands_over(
    house: House, ports: Iterator[int]
) -> None:
    """In the middle of its past; what it is sent away with says where the session is."""
    await house.kept.make()
    async with replicas(house, ports, 3) as started:
        owner, (entry, third) = await elsewhere(started)
        await filled(entry, 60, 200_000)
        async with client(entry) as one:
            reader = Follower(one)
            await reader.begin(seq=1)
            await reader.upto(10)
            place = third.live.registration.instance
            assert place is not None
            (target,) = [each for each in owner.live.instances.living if each.id == place.id]
            await owner.live.leaving.hand_over("s1", target)
            assert await entry.say("after") == 62
            await reader.upto(62)
            assert reader.goaways == ["SESSION_MOVED"]
            assert reader.attached is not None
            assert reader.attached.owner == third.address


async def test_an_attach_that_comes_while_its_session_leaves_finds_the_new_owner(
    house: House, ports: Iterator[int]
) -> None:
    """It waits until that is known, and hears nothing of it; a change of then is made there."""
    await house.kept.make()
    async with replicas(house, ports, 2) as started:
        leaver, (other,) = await elsewhere(started)
        await leaver.say("one")
        (target,) = [
            each for each in leaver.live.instances.living if each.id == other.live.instance
        ]
        async with client(leaver) as here, client(leaver) as late:
            reader, comer = Follower(here), Follower(late)
            await reader.begin()
            await reader.caught_up()
            house.kept.before_release = gate = Gate()
            leaving = asyncio.create_task(leaver.live.leaving.hand_over("s1", target))
            await gate.reached.wait()
            await comer.begin()
            op_id = await here.append("two")
            gate.opened.set()
            await leaving
            await comer.caught_up()
            assert comer.attached is not None
            assert (comer.attached.owner, comer.goaways) == (other.address, [])
            await reader.caught_up()
            assert reader.goaways == ["SESSION_MOVED"]
            # At most that it came too late: after the goaway.
            assert reader.replies.get(op_id, 0) == 0
            await here.append("two", op_id)
            for each in (reader, comer):
                await each.upto(3)
        assert contents(await house.kept.log()) == ["one", "two"]


async def test_a_detach_overtakes_an_attach_that_waits(house: House, ports: Iterator[int]) -> None:
    """Wherever it waits: the client hears one goaway, and nothing more of the session."""
    await house.kept.make()
    async with replicas(house, ports, 2) as started:
        owner, (entry,) = await elsewhere(started)
        house.kept.before_acquire = gate = Gate()
        async with client(owner) as one, client(entry) as two:
            for each in (one, two):
                await each.hello()
                await each.say(pb.ClientFrame(attach=pb.Attach(session_id="s1")))
            await gate.reached.wait()
            for each in (one, two):
                await each.say(pb.ClientFrame(detach=pb.Detach(session_id="s1")))
                assert (await each.hear("goaway")).reason == "NOT_ATTACHED"
            gate.opened.set()
            assert await owner.say("unseen") == 2
            for each in (one, two):
                await each.say(pb.ClientFrame(ping=pb.Ping()))
                await each.hear("pong")
        for replica in (entry, owner):
            await ended(replica)
        held = await owner.live.rooms.enter("s1")
        assert (len(held.room.audience), held.users) == (0, 0)


async def test_a_cursor_ahead_of_a_stale_owner_finds_the_true_one(
    house: House, ports: Iterator[int]
) -> None:
    """A former owner that does not know is found out by who knows more than it."""
    await house.kept.make()
    async with replicas(house, ports, 3) as started:
        stale, (entry, next_owner) = await elsewhere(started)
        await stale.say("one")
        await outlive(house, stale, (entry, next_owner))
        assert await next_owner.say("two") == 3
        held = stale.live.rooms.held("s1")
        assert held is not None
        assert held.room.session.seq == 2
        async with client(stale) as one:
            reader = Follower(one)
            await reader.begin(seq=3)
            await reader.caught_up()
            assert reader.attached is not None
            assert (reader.attached.recovered, reader.attached.head_seq) == (True, 3)
        assert not stale.holds()


async def test_a_former_owner_lets_nobody_in(house: House, ports: Iterator[int]) -> None:
    """What it holds is not the session any more: that may have another owner, or be deleted."""
    await house.kept.make()
    async with replicas(house, ports, 3) as started:
        stale, (entry, next_owner) = await elsewhere(started)
        await stale.say("one")
        await outlive(house, stale, (entry, next_owner))
        await next_owner.stub.DeleteSession(
            pb.DeleteSessionRequest(session_id="s1", op_id="gone"), metadata=calling()
        )
        assert stale.holds()
        async with client(stale) as one:
            reader = Follower(one)
            await reader.begin()
            assert (await reader.until_away()).reason == "SESSION_NOT_FOUND"
            assert reader.attached is None


async def test_a_former_owner_refuses_nothing_that_it_looks_for_in_the_past(
    house: House, ports: Iterator[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whom it takes for a viewer may be an editor again: it finds out, and sends them away."""
    monkeypatch.setattr(acquisition, "RECENT", 1)
    await house.kept.make()
    async with house.store() as (store, _), house.live(store) as live:
        await live.change(ShareSession("bob", MemberRole.EDITOR))
        first = await live.append("first", "b1", identity=Identity("bob"))
        await live.change(ShareSession("bob", MemberRole.VIEWER))
    async with replicas(house, ports, 3) as started:
        stale, (entry, next_owner) = await elsewhere(started)
        await stale.live.rooms.enter("s1")
        async with client(stale, "bob") as bob:
            await bob.follow()
            await outlive(house, stale, (entry, next_owner))
            share = pb.ShareSessionRequest(
                session_id="s1", user_id="bob", role=MEMBER_ROLE_EDITOR, op_id="editor"
            )
            await next_owner.stub.ShareSession(share, metadata=calling())
            request = pb.AppendMessageRequest(session_id="s1", content="first", op_id="b1")
            await bob.say(pb.ClientFrame(append=request, since=1))
            assert (await bob.hear("goaway")).reason == "SESSION_MOVED"
        async with client(next_owner, "bob") as bob:
            await bob.follow()
            await bob.say(pb.ClientFrame(append=request, since=1))
            assert (await bob.until("reply")).seq == first


async def test_who_attaches_sees_what_is_stored_before_its_owner_hears_of_it(
    house: House, ports: Iterator[int]
) -> None:
    """Whoever reads may know of it already; it is waited for."""
    await house.kept.make()
    async with replicas(house, ports, 1) as started:
        (owner,) = started.all
        await owner.say("one")
        send = owner.live.store.send
        stored: asyncio.Future[Callable[[], None]] = asyncio.get_running_loop().create_future()

        def hear_late(instance: bytes, commit: Commit, settle: Settle) -> None:
            send(instance, commit, lambda outcome: stored.set_result(partial(settle, outcome)))

        owner.live.store.send = hear_late  # type: ignore[method-assign]
        late = asyncio.create_task(owner.say("two"))
        hear = await stored
        writing, waited = owner.live.rooms._writing, asyncio.Event()
        settle = writing.settle

        async def noting(held: Held) -> None:
            waited.set()
            await settle(held)

        writing.settle = noting  # type: ignore[method-assign]
        async with client(owner) as one:
            reader = Follower(one)
            await reader.begin()
            attached = asyncio.create_task(reader.caught_up())
            waits = asyncio.create_task(waited.wait())
            await asyncio.wait((attached, waits), return_when=asyncio.FIRST_COMPLETED)
            waits.cancel()
            hear()
            await attached
            assert reader.attached is not None
            assert reader.attached.head_seq == 3
        assert await late == 3


async def test_a_former_owner_that_is_found_out_while_it_writes_breaks_nothing(
    house: House, ports: Iterator[int]
) -> None:
    """Whoever waits is answered by the true owner, and the late outcome is passed over."""
    await house.kept.make()
    async with replicas(house, ports, 3) as started:
        stale, (entry, next_owner) = await elsewhere(started)
        await stale.say("one")
        send = stale.live.store.send
        asked: asyncio.Future[Settle] = asyncio.get_running_loop().create_future()

        def hold_back(instance: bytes, commit: Commit, settle: Settle) -> None:
            stale.live.store.send = send  # type: ignore[method-assign]
            asked.set_result(settle)

        stale.live.store.send = hold_back  # type: ignore[method-assign]
        late = asyncio.create_task(stale.say("three"))
        settle = await asked
        held = stale.live.rooms.held("s1")
        assert held is not None
        await outlive(house, stale, (entry, next_owner))
        assert await next_owner.say("two") == 3
        with capture_logs() as logs:
            async with client(stale) as one:
                reader = Follower(one)
                await reader.begin(seq=3)
                await reader.caught_up()
            assert await late == 4
            settle(UNKNOWN)
            await stale.live.rooms.settled(held)
        assert [each for each in logs if each["log_level"] in ("error", "critical")] == []


async def test_who_is_here_and_who_types_is_known_everywhere(
    house: House, ports: Iterator[int]
) -> None:
    """Whichever Live they came in by; and who was at one that died is here no more."""
    await house.kept.make()
    async with replicas(house, ports, 3) as started:
        owner, (near, far) = await elsewhere(started)
        async with (
            client(near) as one,
            client(far, "boss", role="admin") as two,
            client(owner, "auditor", role="admin") as three,
        ):
            one.presence = True
            for each in (one, two, three):
                await each.follow()
            await two.say(pb.ClientFrame(presence=pb.UpdatePresence(session_id="s1", typing=True)))

            async def sees(expected: set[tuple[str, bool]]) -> None:
                while True:
                    here = await one.until("presence")
                    if {(who.subject, who.typing) for who in here.members} == expected:
                        return

            await sees({("alice", False), ("auditor", False), ("boss", True)})
            await far.kill()
            await sees({("alice", False), ("auditor", False)})


async def test_a_turn_is_written_through_one_live_and_read_through_others(
    house: House, ports: Iterator[int]
) -> None:
    """Also when its owner dies in the middle: the same begin, and the text goes on."""
    await house.kept.make()
    async with replicas(house, ports, 3) as started:
        owner, (one, two) = await elsewhere(started)
        async with client(one, "w", **AGENT) as worker, client(two) as reading:
            writing, reader = Follower(worker), Follower(reading)
            for each in (writing, reader):
                await each.begin()
                await each.caught_up()
            begin = pb.ClientFrame(begin_turn=pb.BeginTurn(session_id="s1", op_id="b1"))
            await worker.say(begin)
            turn = (await worker.until("reply")).turn

            def token(offset: int, text: str) -> pb.ClientFrame:
                return pb.ClientFrame(
                    token=pb.WriteToken(
                        session_id="s1", turn_id=turn.turn_id, offset=offset, text=text
                    )
                )

            await worker.say(token(0, "Hello"))
            while reader.text != "Hello":
                await reader.take(await reading.frame())

            async def stored() -> bool:
                snapshot = await house.kept.snapshot("s1")
                assert snapshot is not None
                at = snapshot.revision
                return bool(await house.kept.drafts("s1", turn.turn_id, revision=at))

            await house.kept.until(stored)
            await owner.kill()
            await writing.until_away()
            await writing.attach()
            await writing.caught_up()
            await worker.say(begin)
            again = (await worker.until("reply")).turn
            assert (again.turn_id, again.offset, again.ended) == (turn.turn_id, 5, False)
            await worker.say(token(3, "lo, world"))
            while reader.text != "Hello, world":
                await reader.take(await reading.frame())
            end = pb.EndTurn(session_id="s1", op_id="e1", turn_id=turn.turn_id, length=12)
            await worker.say(pb.ClientFrame(end_turn=end))
            await reader.upto(3)
            assert reader.goaways == ["SESSION_MOVED"]
        assert contents(await house.kept.log()) == ["Hello, world"]


async def test_a_stale_owner_stores_no_text(house: House, ports: Iterator[int]) -> None:
    """What a worker writes to it is lost there, and the worker is told where to go on."""
    await house.kept.make()
    async with replicas(house, ports, 2) as started:
        stale, (entry,) = await elsewhere(started)
        async with client(stale, "w", **AGENT) as worker:
            writing = Follower(worker)
            await writing.begin()
            await writing.caught_up()
            begin = pb.ClientFrame(begin_turn=pb.BeginTurn(session_id="s1", op_id="b1"))
            await worker.say(begin)
            turn_id = (await worker.until("reply")).turn.turn_id

            async def lives(*_: object, **__: object) -> bool:
                return True

            stale.live.store.heartbeat = lives  # type: ignore[method-assign]
            former = stale.live.instance
            house.kept.expire(former)
            async with asyncio.timeout(PATIENCE):
                async for living in entry.live.instances.follow():
                    if all(each.id != former for each in living):
                        break
            assert await entry.say("meanwhile") == 3
            token = pb.WriteToken(session_id="s1", turn_id=turn_id, text="into the void")
            await worker.say(pb.ClientFrame(token=token))
            await writing.until_away()
            await writing.attach()
            await writing.caught_up()
            assert writing.seq == 3
            await worker.say(begin)
            again = (await worker.until("reply")).turn
            assert (again.turn_id, again.offset, again.ended) == (turn_id, 0, False)


async def test_a_rate_counts_where_the_stream_came_in(house: House, ports: Iterator[int]) -> None:
    """The owner counts nothing that came by another Live; the entry counts everything."""
    async with replicas(house, ports, 1) as started:
        strict = await started.start(rate=Rate(0.001, 3))
        free = started.all[0]
        (at_strict,), (at_free,) = started.placed_on(strict), started.placed_on(free)
        for session_id in (at_strict, at_free):
            await house.kept.make(session_id)
        async with client(free) as one, client(strict) as two:
            await one.follow(at_strict)
            for _ in range(6):
                await one.append("free", session_id=at_strict)
            assert [(await one.until("reply")).error.code for _ in range(6)] == [""] * 6
            await two.follow(at_free)
            for _ in range(4):
                await two.append("counted", session_id=at_free)
            told = [(await two.until("reply")).error.code for _ in range(4)]
            assert sorted(told) == ["", "", "", "RATE_LIMITED"]


async def test_a_slow_reader_behind_another_live_hurts_itself_alone(
    house: House, ports: Iterator[int]
) -> None:
    """Others go on at once; it is sent away with a place to resume from, and misses nothing."""
    await house.kept.make()
    async with replicas(house, ports, 2) as started:
        _, (entry,) = await elsewhere(started)
        async with client(entry) as slow, client(entry) as quick:
            lagging, reader = Follower(slow), Follower(quick)
            for each in (lagging, reader):
                await each.begin()
                await each.caught_up()
            for number in range(120):
                await quick.append(f"{number} " + "x" * 200_000)
                await reader.upto(number + 2)
            await lagging.upto(121)
            assert reader.goaways == []
            assert lagging.goaways == ["SLOW_READER"]
            assert lagging.resets == []


async def test_a_draining_entry_sends_its_clients_elsewhere(
    house: House, ports: Iterator[int]
) -> None:
    """And keeps nothing open at the owner, who does not notice otherwise."""
    await house.kept.make()
    async with replicas(house, ports, 3) as started:
        owner, (entry, other) = await elsewhere(started)
        async with client(entry) as one, client(other) as two:
            reader, stays = Follower(one), Follower(two)
            for each in (reader, stays):
                await each.begin()
                await each.caught_up()
            await entry.live.leaving.drain()
            await two.append("one")
            await reader.upto(2)
            await entry.streams.drain(Draining())
            goaway = await one.hear("goaway")
            assert (goaway.session_id, goaway.reason, goaway.reconnect) == ("", "DRAINING", True)
            with_owner = await one.ends()
            assert with_owner is grpc.StatusCode.UNAVAILABLE
            await two.append("two")
            await stays.upto(3)
            async with client(other) as three:
                again = Follower(three)
                await again.begin(seq=reader.seq)
                await again.upto(3)
            assert stays.goaways == []
        for replica in (owner, other):
            await ended(replica)


async def test_a_draining_owner_loses_no_reader_behind_another_live(
    house: House, ports: Iterator[int]
) -> None:
    """Its sessions go first, and its streams when they have gone."""
    await house.kept.make()
    async with replicas(house, ports, 3) as started:
        owner, (entry, _) = await elsewhere(started)
        async with client(entry) as one:
            reader = Follower(one)
            await reader.begin()
            await reader.caught_up()
            draining = asyncio.create_task(owner.live.leaving.drain())
            for number in range(10):
                await entry.say(f"{number}")
            await draining
            await owner.streams.drain(Draining())
            await entry.say("last")
            await reader.upto(12)
            assert reader.goaways == ["SESSION_MOVED"]
            assert len(owner.streams) == 0


async def test_a_deleted_session_ends_for_readers_everywhere_once(
    house: House, ports: Iterator[int]
) -> None:
    """Whichever Live they are at; their streams stay."""
    await house.kept.make()
    async with replicas(house, ports, 2) as started:
        owner, (entry,) = await elsewhere(started)
        async with client(entry) as one, client(owner) as two:
            readers = [Follower(one), Follower(two)]
            for each in readers:
                await each.begin()
                await each.caught_up()
            delete = pb.DeleteSessionRequest(session_id="s1", op_id="d1")
            await entry.stub.DeleteSession(delete, metadata=calling(), timeout=PATIENCE)
            for each in readers:
                goaway = await each.until_away()
                assert (goaway.reason, goaway.reconnect) == ("SESSION_NOT_FOUND", False)
                await each.client.say(pb.ClientFrame(ping=pb.Ping(payload="p")))
                assert (await each.client.hear("pong")).payload == "p"


async def test_a_rewind_reaches_those_who_follow_through_other_lives(
    house: House, ports: Iterator[int]
) -> None:
    """The owner reads the past, whoever was asked; what it shows anew is passed on as it comes."""
    await house.kept.make()
    async with replicas(house, ports, 2) as started:
        owner, (asking,) = await elsewhere(started)
        await filled(owner, 3)
        async with client(owner) as one, client(asking) as two:
            readers = [Follower(each) for each in (one, two)]
            for reader in readers:
                await reader.begin()
                await reader.caught_up()
            request = pb.RewindSessionRequest(session_id="s1", to_seq=2, op_id="r")
            answer = await asking.stub.RewindSession(request, metadata=calling())
            assert answer.seq == answer.session.revision == 5
            assert len(answer.session.conversation_history) == 1
            again = await owner.stub.RewindSession(request, metadata=calling())
            assert again == answer
            await owner.say("then")
            for reader in readers:
                await reader.upto(6)
                assert (reader.resets, reader.goaways) == (["REWOUND"], [])
