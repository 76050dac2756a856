"""Rooms that are given up: idle, drained, or with their instance."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from itertools import count

import pytest

from sessiond.errors import (
    SessionMoved,
)
from tests.live.kept import Gate, Losses, at_once, contents
from tests.live.standing import TTL_SECONDS, House


async def test_idle_sessions_leave_memory_and_load_again(house: House) -> None:
    """A session that nobody used for a while has no owner; the next touch loads all of it."""
    await house.kept.make()
    async with house.store() as (store, _), house.live(store, idle_seconds=0.05) as live:
        await live.append("one", "op-1")

        async def without_owner() -> bool:
            return (await house.kept.head()).meta.owner == b""

        await house.kept.until(without_owner)
        await live.rooms.left("s1")
        assert len(live.rooms) == 0
        assert await live.append("one", "op-1") == 2
        assert await live.append("two") == 3
        assert contents(await house.kept.log()) == ["one", "two"]


async def test_sessions_in_use_that_nothing_changes_leave_memory_in_the_end(house: House) -> None:
    """Whoever is attached is told, and may come again; one that somebody changes stays."""
    await house.kept.make("still")
    await house.kept.make("busy")
    async with house.store() as (store, _), house.live(store, stale_seconds=0.5) as live:
        for name in ("still", "busy"):
            (await live.rooms.enter(name)).users = 1

        async def without_owner() -> bool:
            return (await house.kept.head("still")).meta.owner == b""

        async def write() -> None:
            while True:
                await live.append("busy", session_id="busy")

        writing = asyncio.create_task(write())
        await house.kept.until(without_owner)
        writing.cancel()
        assert (await house.kept.head("busy")).meta.epoch == 1
        assert (await live.rooms.enter("still")).room.closed is None


async def test_a_touch_while_the_session_is_given_up_waits_for_it(house: House) -> None:
    """Between held and absent a caller waits, and then acquires: it never meets half of it."""
    await house.kept.make()
    async with house.store() as (store, _), house.live(store, idle_seconds=0.05) as live:
        await live.append("one")
        house.kept.before_release = gate = Gate()
        await gate.reached.wait()
        touching = asyncio.create_task(live.append("two"))
        await asyncio.sleep(0)
        assert house.kept.acquisitions == 1
        gate.opened.set()
        assert await touching == 3
        assert house.kept.acquisitions == 2


async def test_draining_loses_nothing_while_writers_are_busy(house: House) -> None:
    """What was acknowledged is stored; what was refused is not; nobody owns anything after."""
    names = [f"s{n}" for n in range(10)]
    for name in names:
        await house.kept.make(name)
    async with house.store() as (store, _), house.live(store) as live:
        acknowledged: dict[str, list[str]] = {name: [] for name in names}
        busy = asyncio.Event()

        async def write(name: str) -> None:
            with suppress(SessionMoved):
                for n in count():
                    await live.append(f"{n}", session_id=name)
                    acknowledged[name].append(f"{n}")
                    if n == 5:
                        busy.set()

        async with asyncio.TaskGroup() as writers:
            for name in names:
                writers.create_task(write(name))
            await busy.wait()
            await live.leaving.drain()
        assert len(live.rooms) == 0
        for name in names:
            assert contents(await house.kept.log(name)) == acknowledged[name]
            assert (await house.kept.head(name)).meta.owner == b""


async def test_a_commit_in_flight_is_settled_before_the_drain_ends(house: House) -> None:
    """Draining waits for the answer of what was sent."""
    await house.kept.make()
    async with house.store() as (store, _), house.live(store) as live:
        await live.append("one")
        house.kept.before_commit = gate = Gate()
        writing = asyncio.create_task(live.append("two"))
        await gate.reached.wait()
        draining = asyncio.create_task(live.leaving.drain())
        gate.opened.set()
        await draining
        assert await writing == 3


@pytest.mark.parametrize("done", [True, False])
async def test_changes_in_flight_outlive_their_instance(house: House, done: bool) -> None:
    """An instance whose deadline passes acknowledges nothing more; what it had in flight is
    settled under the next one, stored once, with the original seq."""
    await house.kept.make()
    async with house.store() as (store, _), house.live(store) as live:
        await live.append("one")
        former = live.instance
        losses = Losses(1, done)

        async def past_the_deadline() -> None:
            live.clock.by += TTL_SECONDS
            house.kept.before_commit = losses.before
            await losses.before()

        house.kept.before_commit, house.kept.after_commit = past_the_deadline, losses.after
        assert await live.append("two") == 3
        assert live.instance not in (b"", former)
        log = await house.kept.log()
        assert contents(log) == ["one", "two"]
        assert (log[-1].instance == former) is done


async def test_an_instance_acknowledges_nothing_past_its_deadline(house: House) -> None:
    """Also a commit that Store confirms is no answer once the deadline has passed: another may
    own the session by then, so the next instance looks before it answers."""
    await house.kept.make()
    async with house.store() as (store, _), house.live(store) as live:
        await live.append("one")
        acquisitions = house.kept.acquisitions

        async def past_the_deadline() -> None:
            live.clock.by += TTL_SECONDS
            house.kept.before_commit = at_once

        house.kept.before_commit = past_the_deadline
        assert await live.append("two") == 3
        assert house.kept.acquisitions == acquisitions + 1


async def test_sessions_go_on_when_the_registration_was_ended(house: House) -> None:
    """A registration that Store ended fences the instance; the changes are made by the next."""
    await house.kept.make("s1")
    await house.kept.make("s2")
    async with house.store() as (store, _), house.live(store) as live:
        await live.append("one")
        former = live.instance
        house.kept.expire(former)
        seqs = await asyncio.gather(live.append("two"), live.append("new", session_id="s2"))
        assert list(seqs) == [3, 2]
        assert live.instance not in (b"", former)
        assert contents(await house.kept.log()) == ["one", "two"]
