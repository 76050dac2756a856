"""Sessions handed over: at a shutdown, and when their place has changed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from services.live.rebalance import Rebalance
from sessiond.errors import Draining, SessiondError, SessionMoved
from tests.live.kept import Gate, Losses, at_once, contents
from tests.live.replicas import Replica, Replicas, replicas
from tests.live.standing import House


async def owner_of(started: Replicas, session_id: str = "s1") -> Replica | None:
    """Return whom the head names."""
    owner = (await started.house.kept.head(session_id)).meta.owner
    return next((each for each in started.all if each.live.instance == owner), None)


async def test_a_shutdown_under_load_fails_no_call(house: House, ports: Iterator[int]) -> None:
    """Through the leaver and through the others: every message is stored once, in the order in
    which its caller sent it, and the sessions end where they are placed among those that stay."""
    async with replicas(house, ports, 3) as started:
        leaver = started.all[0]
        names = started.placed_on(leaver, 10)
        for name in names:
            await house.kept.make(name)
        stopped, said = asyncio.Event(), dict.fromkeys(names, 0)
        moved_on = asyncio.Condition()

        async def write(name: str, through: Replica) -> None:
            while not stopped.is_set():
                await through.say(f"{said[name]}", session_id=name)
                said[name] += 1
                async with moved_on:
                    moved_on.notify_all()

        async def five_more() -> None:
            before = dict(said)
            async with moved_on:
                await moved_on.wait_for(lambda: all(said[n] >= before[n] + 5 for n in names))

        async with asyncio.TaskGroup() as writers:
            for n, name in enumerate(names):
                writers.create_task(write(name, started.all[n % 3]))
            await five_more()
            assert all(leaver.holds(name) for name in names)
            await leaver.live.leaving.drain()
            assert len(leaver.live.rooms) == 0
            await five_more()
            stopped.set()
        for name in names:
            assert contents(await house.kept.log(name)) == [f"{n}" for n in range(said[name])]
            assert await owner_of(started, name) is started.place(name, without=leaver)
            assert (await house.kept.head(name)).meta.epoch == 3  # acquired, given, acquired


async def test_each_session_is_given_to_its_place_at_once(
    house: House, ports: Iterator[int]
) -> None:
    """Without anybody who asks for it: the head names the new owner, one epoch on."""
    async with replicas(house, ports, 3) as started:
        leaver = started.all[0]
        names = started.placed_on(leaver, 40)
        for name in names:
            await house.kept.make(name)
            await leaver.live.rooms.enter(name)
        await leaver.live.leaving.drain()
        for name in names:
            assert await owner_of(started, name) is started.place(name, without=leaver)
            assert (await house.kept.head(name)).meta.epoch == 2


async def test_what_waits_goes_on_at_the_new_owner(house: House, ports: Iterator[int]) -> None:
    """What is in flight is settled first; what waits behind it is made by the next owner."""
    async with replicas(house, ports, 2) as started:
        leaver, other = started.all
        (name,) = started.placed_on(leaver)
        await house.kept.make(name)
        former = leaver.live.instance
        await leaver.say("one", session_id=name)
        house.kept.before_commit = gate = Gate()
        said = [asyncio.create_task(leaver.say("two", session_id=name))]
        await gate.reached.wait()
        said += [asyncio.create_task(leaver.say(f"{n}", session_id=name)) for n in range(5)]
        await leaver.heard(7)
        draining = asyncio.create_task(leaver.live.leaving.drain())
        await asyncio.sleep(0)
        gate.opened.set()
        assert sorted(await asyncio.gather(*said)) == list(range(3, 9))
        await draining
        log = await house.kept.log(name)
        assert [record.instance for record in log[1:3]] == [former, former]
        assert {record.instance for record in log[3:]} == {other.live.instance}


@pytest.mark.parametrize("done", [True, False])
async def test_a_hand_over_of_unknown_fate_is_settled(
    house: House, ports: Iterator[int], done: bool
) -> None:
    """Written or not, the same hand-over again gives the session away once."""
    async with replicas(house, ports, 2) as started:
        leaver, other = started.all
        (name,) = started.placed_on(leaver)
        await house.kept.make(name)
        await leaver.say("one", session_id=name)
        losses = Losses(2, done)
        house.kept.before_release, house.kept.after_release = losses.before, losses.after
        await leaver.live.leaving.drain()
        assert losses.times == 0
        assert await owner_of(started, name) is other
        assert (await house.kept.head(name)).meta.epoch == 2
        assert await leaver.say("two", session_id=name) == 3


async def test_a_target_that_leaves_too_is_given_nothing(
    house: House, ports: Iterator[int]
) -> None:
    """The session then has no owner, and whoever is asked next acquires it."""
    async with replicas(house, ports, 3) as started:
        leaver = started.all[0]
        (name,) = started.placed_on(leaver)
        await house.kept.make(name)
        await leaver.say("one", session_id=name)
        target = started.place(name, without=leaver)
        (last,) = [each for each in started.all if each not in (leaver, target)]
        place = leaver.live.instances.at(target.address)
        assert place is not None
        house.kept.expire(target.live.instance)
        await leaver.live.leaving.hand_over(name, place)
        assert (await house.kept.head(name)).meta.owner == b""
        assert await last.say("two", session_id=name) == 3


async def test_subscribers_are_told_where_the_session_is(
    house: House, ports: Iterator[int]
) -> None:
    """When the new owner stands in the head, and not before."""
    async with replicas(house, ports, 2) as started:
        leaver, other = started.all
        (name,) = started.placed_on(leaver)
        await house.kept.make(name)
        held = await leaver.live.rooms.enter(name)
        heard: list[tuple[SessiondError | None, bool]] = []
        close, house.kept.before_release = held.room.close, (gate := Gate())

        def noted(told: SessiondError | None = None) -> None:
            heard.append((told, gate.opened.is_set()))
            close(told)

        held.room.close = noted  # type: ignore[method-assign]
        begun = asyncio.create_task(leaver.live.leaving.drain())
        await gate.reached.wait()
        assert heard == []
        gate.opened.set()
        await begun
        ((reason, after),) = heard
        assert isinstance(reason, SessionMoved)
        assert reason.owner_address == other.address
        assert after


async def test_the_last_live_gives_its_sessions_up(house: House, ports: Iterator[int]) -> None:
    """With nobody to take over, what waits is written, and what comes later is refused."""
    async with replicas(house, ports, 1) as started:
        (only,) = started.all
        await house.kept.make()
        await only.say("one")
        house.kept.before_commit = gate = Gate()
        said = [asyncio.create_task(only.say("two"))]
        await gate.reached.wait()
        said += [asyncio.create_task(only.say(f"{n}")) for n in range(5)]
        await only.heard(7)
        draining = asyncio.create_task(only.live.leaving.drain())
        await asyncio.sleep(0)
        gate.opened.set()
        assert sorted(await asyncio.gather(*said)) == list(range(3, 9))
        await draining
        assert (await house.kept.head()).meta.owner == b""
        with pytest.raises(Draining):
            await only.live.router.search("s1").next()


async def test_an_acquisition_under_way_leaves_again(house: House, ports: Iterator[int]) -> None:
    """What is acquired while the drain begins is not forgotten."""
    async with replicas(house, ports, 2) as started:
        leaver, other = started.all
        (name,) = started.placed_on(leaver)
        await house.kept.make(name)
        house.kept.before_acquire = gate = Gate()
        said = asyncio.create_task(leaver.say("one", session_id=name))
        await gate.reached.wait()
        house.kept.before_acquire = at_once
        draining = asyncio.create_task(leaver.live.leaving.drain())
        await asyncio.sleep(0)
        gate.opened.set()
        assert await said == 2
        await draining
        assert len(leaver.live.rooms) == 0
        assert await owner_of(started, name) is other


# --- when places change --------------------------------------------------------------------------


@asynccontextmanager
async def rebalancing(
    replica: Replica, *, after_seconds: float = 0.0, per_second: float = 10_000.0
) -> AsyncIterator[None]:
    live = replica.live
    moving = Rebalance(
        live.rooms,
        live.leaving,
        live.registration,
        live.instances,
        after_seconds=after_seconds,
        per_second=per_second,
    )
    task = asyncio.create_task(moving.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def holding(house: House, replica: Replica, count: int) -> list[str]:
    names = [f"s-{n}" for n in range(count)]
    for name in names:
        await house.kept.make(name)
        await replica.live.rooms.enter(name)
    return names


async def test_a_replica_that_joins_gets_its_share(house: House, ports: Iterator[int]) -> None:
    """Those whose place it is move to it, and no other."""
    async with replicas(house, ports, 1) as started:
        (first,) = started.all
        names = await holding(house, first, 60)
        async with rebalancing(first):
            second = await started.start()
            its_own = {name for name in names if started.place(name) is second}
            assert 15 <= len(its_own) <= 45

            async def moved() -> bool:
                return all([await owner_of(started, name) is second for name in its_own])

            await house.kept.until(moved)
            for name in its_own:
                await first.live.rooms.left(name)
            assert {name for name, _ in first.live.rooms} == set(names) - its_own
            for name in names:
                assert await first.say("hello", session_id=name) == 2
                assert await second.say("hello", session_id=name) == 3


async def test_a_replica_that_flaps_moves_nothing(house: House, ports: Iterator[int]) -> None:
    """One that comes and goes before it was quiet for a while is as if it had never come."""
    async with replicas(house, ports, 1) as started:
        (first,) = started.all
        names = await holding(house, first, 40)
        async with rebalancing(first, after_seconds=2.0):
            flapping = await started.start()
            await flapping.live.registration.leave(await flapping.live.registration.living())
            await flapping.kill()
            started.all.remove(flapping)
            await started.known()
            second = await started.start()
            its_own = {name for name in names if started.place(name) is second}

            async def moved() -> bool:
                return all([await owner_of(started, name) is second for name in its_own])

            await house.kept.until(moved)
        for name in set(names) - its_own:
            assert (await house.kept.head(name)).meta.epoch == 1


async def test_moving_stops_when_places_change_again(house: House, ports: Iterator[int]) -> None:
    """What was to move to one that is gone meanwhile stays."""
    async with replicas(house, ports, 1) as started:
        (first,) = started.all
        names = await holding(house, first, 60)
        house.kept.before_release = gate = Gate()
        async with rebalancing(first):
            second = await started.start()
            await gate.reached.wait()
            house.kept.expire(second.live.instance)
            await second.kill()
            await started.known()
            gate.opened.set()
            await asyncio.gather(*(first.say("hello", session_id=name) for name in names))
            assert len(first.live.rooms) == 60


async def test_idle_sessions_move_before_those_in_use(house: House, ports: Iterator[int]) -> None:
    """Those that nobody is attached to go first, and the longest idle ones before all."""
    async with replicas(house, ports, 1) as started:
        (first,) = started.all
        names = await holding(house, first, 60)
        in_use = set(names[::2])
        for n, (name, held) in enumerate(first.live.rooms):
            held.users = 1 if name in in_use else 0
            held.used_at = -float(n)
        order: list[str] = []
        hand_over = first.live.leaving.hand_over

        async def noted(session_id: str, place: object) -> None:
            order.append(session_id)
            await hand_over(session_id, place)  # type: ignore[arg-type]

        first.live.leaving.hand_over = noted  # type: ignore[method-assign]
        second = await started.start()
        its_own = [name for name in names if started.place(name) is second]
        async with rebalancing(first):

            async def moved() -> bool:
                return all([await owner_of(started, name) is second for name in its_own])

            await house.kept.until(moved)
        idle = [name for name in reversed(its_own) if name not in in_use]
        assert order == idle + [name for name in reversed(its_own) if name in in_use]


async def test_a_session_given_to_us_before_another_joined_is_served(
    house: House, ports: Iterator[int]
) -> None:
    """Nobody asked for it since, and its place is elsewhere by now: its clients ask us."""
    async with replicas(house, ports, 2) as started:
        giver, taker = started.all
        names = started.placed_on(taker, 60)
        newcomer = await started.start()
        (name, *_) = [each for each in names if started.place(each) is newcomer]
        await house.kept.make(name)
        await giver.live.rooms.enter(name)
        place = taker.live.instances.at(taker.address)
        assert place is not None
        await giver.live.leaving.hand_over(name, place)
        assert await owner_of(started, name) is taker
        for n, replica in enumerate((taker, newcomer, giver)):
            assert await replica.say(f"{n}", session_id=name) == n + 2
        assert taker.holds(name)


async def test_a_session_given_to_one_that_leaves_at_once_is_free_for_others(
    house: House, ports: Iterator[int]
) -> None:
    """It takes no more sessions, and it lives: it gives up what it was given and does not hold."""
    async with replicas(house, ports, 2) as started:
        giver, taker = started.all
        (name,) = started.placed_on(taker)
        await house.kept.make(name)
        await giver.live.rooms.enter(name)
        place = taker.live.instances.at(taker.address)
        assert place is not None
        await giver.live.leaving.hand_over(name, place)
        await taker.live.leaving.drain()
        assert await owner_of(started, name) is taker
        assert await giver.say("one", session_id=name) == 2
        assert await owner_of(started, name) is giver
        assert await taker.say("two", session_id=name) == 3
