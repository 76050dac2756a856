"""Changes of unknown fate: lost answers, broken streams, dead Stores, time-outs."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from services.store.writes import Outcome, Unknown
from sessiond.errors import (
    OutcomeUnknown,
    Unavailable,
)
from sessiond.session.access import MemberRole
from sessiond.session.changes import ShareSession, UnshareSession
from tests.live.kept import Gate, Losses, contents
from tests.live.standing import TTL_SECONDS, House


async def test_a_commit_whose_answer_broke_off_is_stored_once_and_acknowledged(
    house: House,
) -> None:
    """The stream breaks after the deed: the identical commit again finds it done."""
    await house.kept.make()
    async with house.store() as (store, servicer), house.live(store) as live:
        await live.append("one")
        servicer.breaks = 3
        assert await live.append("two") == 3
        assert servicer.breaks == 0
        assert contents(await house.kept.log()) == ["one", "two"]


async def test_every_writer_is_answered_when_streams_keep_breaking(house: House) -> None:
    """Many sessions share a stream: its end leaves each of them unknown, and each is settled."""
    async with house.store() as (store, servicer), house.live(store) as live:
        for n in range(20):
            await house.kept.make(f"s{n}")
        servicer.breaks = 10
        rounds = range(2, 7)
        for seq in rounds:
            seqs = await asyncio.gather(
                *(live.append(f"{seq}", session_id=f"s{n}") for n in range(20))
            )
            assert seqs == [seq] * 20
        for n in range(20):
            assert contents(await house.kept.log(f"s{n}")) == [f"{seq}" for seq in rounds]


@pytest.mark.parametrize("done", [True, False])
async def test_an_unknown_outcome_is_settled_by_the_identical_commit(
    house: House, done: bool
) -> None:
    """Whether the unknown try was stored or not, the same bytes are written until it is known."""
    await house.kept.make()
    async with house.store() as (store, _), house.live(store) as live:
        await live.append("one")
        house.kept.commits.clear()
        losses = Losses(3, done)
        house.kept.before_commit, house.kept.after_commit = losses.before, losses.after
        assert await live.append("two") == 3
        first, *others = house.kept.commits
        assert others == [replace(first, deferrable=False)] * 3
        assert contents(await house.kept.log()) == ["one", "two"]


async def test_what_takes_a_right_away_is_not_sent_as_what_may_wait(house: House) -> None:
    """Neither at first nor again: Store would put it off while space is short."""
    await house.kept.make()
    async with house.store() as (store, _), house.live(store) as live:
        await live.change(ShareSession("bob", MemberRole.VIEWER), "1")
        house.kept.after_commit = Losses(1, True).after
        await live.change(UnshareSession("bob"), "2")
        await live.append("one")
        assert [commit.deferrable for commit in house.kept.commits] == [True, False, False, True]


async def test_the_next_store_serves_when_one_ends(house: House) -> None:
    """Writers that are busy while their Store ends go on through the next one: each message is
    stored once, and the instance lives on."""
    names = [f"s{n}" for n in range(5)]
    for name in names:
        await house.kept.make(name)
    async with house.store() as (second, _), AsyncExitStack() as first_store:
        first, _ = await first_store.enter_async_context(house.store())
        async with house.live(first, second) as live:
            instance = live.instance
            begun = asyncio.Event()

            async def write(name: str) -> None:
                for n in range(30):
                    assert await live.append(f"{n}", session_id=name) == n + 2
                    if n == 3:
                        begun.set()

            async with asyncio.TaskGroup() as writers:
                for name in names:
                    writers.create_task(write(name))
                await begun.wait()
                await first_store.aclose()
            for name in names:
                assert contents(await house.kept.log(name)) == [f"{n}" for n in range(30)]
            await house.kept.make("later")
            assert await live.append("acquired", session_id="later") == 2
            assert live.instance == instance


async def test_a_store_that_does_not_take_our_token_is_left_for_another(
    house: House, tmp_path: Path
) -> None:
    """One whose clock or keys are wrong is of no use; no caller and no room is to blame for it."""
    (tmp_path / "other").mkdir()
    other = House(tmp_path / "other", house.kept)
    (other.folder / "secret").write_bytes(b"another secret, of thirty-two bytes or more")
    await house.kept.make()
    async with (
        other.store() as (strange, _),
        house.store() as (store, _),
        house.live(strange, store) as live,
    ):
        assert await live.append("first") == 2
        live.store._move_on(live.store._chosen)
        await live.delete("gone")
        assert (await house.kept.head()).tombstone is not None


async def test_a_store_that_comes_back_is_used_again(house: House) -> None:
    """While no Store answers, a change waits; it is stored once when one is there again."""
    await house.kept.make()
    async with AsyncExitStack() as stores:
        address, _ = await stores.enter_async_context(house.store())
        async with house.live(address) as live:
            await live.append("one")
            await stores.aclose()
            writing = asyncio.create_task(live.append("two"))
            async with house.store(address):
                assert await writing == 3
                assert contents(await house.kept.log()) == ["one", "two"]


@pytest.mark.parametrize("instance_dies", [False, True])
async def test_a_deletion_whose_answer_is_lost_is_acknowledged(
    house: House, instance_dies: bool
) -> None:
    """A deletion of unknown fate finds its own tombstone, under the same instance or the next."""
    await house.kept.make()
    async with house.store() as (store, _), house.live(store) as live:
        lost = asyncio.Event()

        def after(outcome: Outcome) -> Outcome:
            if lost.is_set():
                return outcome
            lost.set()
            if instance_dies:
                live.clock.by += TTL_SECONDS
            return Unknown()

        house.kept.after_delete = after
        await live.delete("op-d")
        assert (await house.kept.head()).tombstone is not None


async def test_a_change_that_may_be_stored_is_unknown_when_time_is_over(house: House) -> None:
    """Time-outs are honest: what was sent is unknown, and its operation id settles it."""
    await house.kept.make()
    async with house.store() as (store, _), house.live(store) as live:
        await live.append("one")
        house.kept.before_commit = gate = Gate()
        with pytest.raises(OutcomeUnknown):
            await live.append("two", "op-2", seconds=0.1)
        gate.opened.set()
        assert await live.append("two", "op-2") == 3
        assert contents(await house.kept.log()) == ["one", "two"]


async def test_a_change_that_was_not_sent_is_unavailable_when_time_is_over(house: House) -> None:
    """Time-outs are honest: while the session is not even loaded, nothing was changed."""
    await house.kept.make()
    house.kept.before_acquire = gate = Gate()
    async with house.store() as (store, _), house.live(store) as live:
        with pytest.raises(Unavailable):
            await live.append("one", seconds=0.1)
        gate.opened.set()
        assert await live.append("two") == 2
        assert contents(await house.kept.log()) == ["two"]


async def test_a_caller_that_gave_up_before_the_commit_changes_nothing(house: House) -> None:
    """What waits behind a commit and is given up is not written afterwards."""
    await house.kept.make()
    async with house.store() as (store, _), house.live(store) as live:
        house.kept.before_commit = gate = Gate()
        first = asyncio.create_task(live.append("one"))
        await gate.reached.wait()
        second = asyncio.create_task(live.append("two"))
        await asyncio.sleep(0)
        second.cancel()
        gate.opened.set()
        assert await first == 2
        assert await live.append("three") == 3
        assert contents(await house.kept.log()) == ["one", "three"]
