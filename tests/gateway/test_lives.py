"""To which Live streams and calls go, and what becomes of those that a dead one holds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import grpc
import pytest
import pytest_asyncio

from gateway.lives import Lives, Way
from gateway.upstream import Replicas
from services.serving.instances import Instance, Instances
from services.serving.placement import placed
from sessiond.errors import OutcomeUnknown, Unavailable
from sessiond.v1 import live_pb2
from tests.gateway.parts import Part, failing
from tests.gateway.test_upstream import DONE, Naps, pause

AMONG = tuple(Instance(bytes([n]) * 16, f"10.0.0.{n}:1") for n in (1, 2, 3))


class Known:
    """Instances that are known, each with a channel that is its address."""

    def __init__(self, *living: Instance) -> None:
        self.living = living
        self.ends: dict[bytes, asyncio.Future[None]] = {
            each.id: asyncio.get_running_loop().create_future() for each in living
        }

    def channel(self, address: str) -> str:
        return address

    def gone(self, instance: bytes) -> asyncio.Future[None]:
        return self.ends[instance]


def lives(*living: Instance) -> Lives:
    channels = cast(Any, ["first", "second"])
    return Lives(channels, cast(Instances, Known(*living)))


def tried(among: Lives, count: int, **more: Any) -> list[object]:
    """The channels of the streams after so many failures in a row."""
    streams = [among.stream("s1", (), failures=failures, **more) for failures in range(count)]
    return [stream._channel for stream in streams]


async def test_a_stream_goes_where_placement_says_and_then_round() -> None:
    """First the session's place, then every other Live, then the addresses of the settings."""
    best = placed("s1", AMONG)
    assert best is not None
    order = tried(lives(*AMONG), 6)
    assert order[0] == best.address
    assert sorted(map(str, order[1:3])) == sorted(e.address for e in AMONG if e is not best)
    assert order[3:] == ["first", "second", best.address]


async def test_a_named_owner_comes_before_its_place() -> None:
    """Where it was said to be it is most likely; a name that nobody living has is not looked up."""
    best = placed("s1", AMONG)
    other = next(each for each in AMONG if each is not best)
    assert tried(lives(*AMONG), 1, owner=other.address) == [other.address]
    assert best is not None
    assert tried(lives(*AMONG), 1, owner="10.9.9.9:1") == [best.address]


async def test_one_that_leaves_comes_last() -> None:
    """Its sessions are on their way to the others."""
    leaving = Instance(AMONG[0].id, AMONG[0].address, draining=True)
    order = tried(lives(leaving, *AMONG[1:]), 3)
    assert order[2] == leaving.address


async def test_without_instances_the_settings_are_asked_in_their_order() -> None:
    """Store may be away when the gateway starts."""
    assert tried(lives(), 3) == ["first", "second", "first"]
    assert lives().nearest("s1") is None


# --- calls -----------------------------------------------------------------------------------


@pytest_asyncio.fixture
async def near() -> AsyncIterator[Part]:
    async with Part() as part:
        yield part


@pytest_asyncio.fixture
async def far() -> AsyncIterator[Part]:
    async with Part() as part:
        yield part


class Calls:
    """Calls that have a nearest Live until it is said to be gone."""

    def __init__(self, near: Part, far: Part) -> None:
        self.gone = asyncio.get_running_loop().create_future()
        self.channels = [grpc.aio.insecure_channel(str(part.address)) for part in (near, far)]
        self.service = Replicas(
            self.channels[1:], seconds=5.0, nearest=self._nearest, sleep=Naps(), jitter=lambda: 1.0
        )

    def _nearest(self, request: live_pb2.PauseSessionRequest) -> Way | None:
        assert request.session_id == "s1"
        return None if self.gone.done() else Way(self.channels[0], self.gone)

    async def close(self) -> None:
        for channel in self.channels:
            await channel.close()


@pytest_asyncio.fixture
async def calls(near: Part, far: Part) -> AsyncIterator[Calls]:
    found = Calls(near, far)
    yield found
    await found.close()


async def test_a_call_goes_to_the_nearest(calls: Calls, near: Part, far: Part) -> None:
    """It saves a hop."""
    near.answers["PauseSession"] = lambda _: DONE
    assert await pause(calls.service) == DONE
    assert (len(near.asked), len(far.asked)) == (1, 0)


async def test_a_call_that_the_nearest_cannot_take_goes_elsewhere(
    calls: Calls, near: Part, far: Part
) -> None:
    """As from one address to the next."""
    near.answers["PauseSession"] = failing(Unavailable())
    far.answers["PauseSession"] = lambda _: DONE
    assert await pause(calls.service) == DONE
    await near.stop()
    assert await pause(calls.service) == DONE


async def test_a_call_that_a_dead_live_holds_is_made_again(
    calls: Calls, near: Part, far: Part
) -> None:
    """It hangs, and its registration ends: nothing will ever come of it."""
    came = asyncio.Event()

    async def hang(_: object) -> Any:
        came.set()
        await asyncio.Event().wait()

    near.answers["PauseSession"] = hang
    far.answers["PauseSession"] = lambda _: DONE
    call = asyncio.create_task(pause(calls.service))
    await came.wait()
    assert not call.done()
    calls.gone.set_result(None)
    assert await call == DONE


async def test_a_change_that_cannot_be_repeated_is_unknown_then(
    calls: Calls, near: Part, far: Part
) -> None:
    """The dead one may have stored it."""
    came = asyncio.Event()

    async def hang(_: object) -> Any:
        came.set()
        await asyncio.Event().wait()

    near.answers["PauseSession"] = hang
    call = asyncio.create_task(pause(calls.service, repeatable=False))
    await came.wait()
    calls.gone.set_result(None)
    with pytest.raises(OutcomeUnknown):
        await call
    assert far.asked == []


async def test_a_caller_that_leaves_takes_its_call_along(calls: Calls, near: Part) -> None:
    """Its end is not taken for the end of the Live."""
    came = asyncio.Event()

    async def hang(_: object) -> Any:
        came.set()
        await asyncio.Event().wait()

    near.answers["PauseSession"] = hang
    call = asyncio.create_task(pause(calls.service))
    await came.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
