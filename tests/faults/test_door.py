"""A door passes everything on, and harms just what it is told to."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import pytest

from tests.faults.echo import PATIENCE, Echo
from tests.faults.relays import troubles
from tests.faults.relays.door import Door
from tests.faults.relays.troubles import Trouble


@asynccontextmanager
async def door_before(part: Echo, caller: str = "live-1") -> AsyncIterator[Door]:
    names = iter([caller])
    async with Door(
        "part-1", f"127.0.0.1:{part.port}", caller_of=lambda *_: next(names, "other")
    ) as door:
        yield door


Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


Dial = Callable[[Door], Awaitable[Connection]]


@pytest.fixture
async def dial() -> AsyncIterator[Dial]:
    """Connects to a door; all connections are closed after the test."""
    writers: list[asyncio.StreamWriter] = []

    async def dialled(door: Door) -> Connection:
        host, _, port = door.address.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writers.append(writer)
        return reader, writer

    yield dialled
    for writer in writers:
        writer.close()


async def round_trip(connection: Connection, data: bytes) -> bytes:
    reader, writer = connection
    writer.write(data)
    async with asyncio.timeout(PATIENCE):
        return await reader.readexactly(len(data))


@pytest.fixture
async def echo() -> AsyncIterator[Echo]:
    part = Echo()
    await part.start()
    yield part
    part.stop()


async def test_an_open_door_passes_everything_both_ways(echo: Echo, dial: Dial) -> None:
    """Bytes come through whole and in order, and the end of one side ends the other."""
    async with door_before(echo) as door:
        connection = await dial(door)
        data = os.urandom(500_000)
        assert await round_trip(connection, data) == data
        connection[1].close()
        await echo.until_ended(1)


@pytest.mark.parametrize("trouble", [troubles.DEAF, troubles.MUTE, troubles.STALL])
async def test_what_is_held_passes_later_and_whole(
    echo: Echo, dial: Dial, trouble: Trouble
) -> None:
    """While a way is silent nothing passes it, others go their own way, and nothing is lost."""
    async with door_before(echo) as door:
        connection = await dial(door)
        assert await round_trip(connection, b"one") == b"one"
        other = await dial(door)
        assert await round_trip(other, b"two") == b"two"
        door.befall(trouble, {"live-1"})
        answer = asyncio.create_task(round_trip(connection, b"three"))
        if troubles.Way.IN not in trouble.silent:
            assert (await echo.until_heard(11)).endswith(b"three")
        for _ in range(20):
            assert await round_trip(other, b"four") == b"four"
        assert (b"three" in echo.heard) is (troubles.Way.IN not in trouble.silent)
        assert not answer.done()
        door.heal()
        assert await answer == b"three"


@pytest.mark.parametrize("trouble", [Trouble(delay=0.001), Trouble(drip=7)])
async def test_what_is_slow_comes_whole(echo: Echo, dial: Dial, trouble: Trouble) -> None:
    """Delays and drips change neither bytes nor order."""
    async with door_before(echo) as door:
        connection = await dial(door)
        door.befall(trouble)
        data = os.urandom(300)
        assert await round_trip(connection, data) == data


async def test_a_torn_connection_is_reset_after_some_bytes(echo: Echo, dial: Dial) -> None:
    """So many bytes pass, both ends are reset, and who dials again meets the same."""
    async with door_before(echo) as door:
        reader, writer = await dial(door)
        door.befall(Trouble(reset_after=5))
        for connection in ((reader, writer), await dial(door)):
            connection[1].write(b"123456789")
            with pytest.raises(ConnectionResetError):
                async with asyncio.timeout(PATIENCE):
                    while await connection[0].read(100):
                        pass
                raise ConnectionResetError  # an end without a reset, on a busy machine
        await echo.until_ended(2)
        assert echo.heard in (b"12345", b"1234512345")


async def test_a_half_open_connection_ends_for_the_part_alone(echo: Echo, dial: Dial) -> None:
    """The part loses its caller, who hears nothing until the door heals, and then a reset."""
    async with door_before(echo) as door:
        reader, writer = await dial(door)
        assert await round_trip((reader, writer), b"one") == b"one"
        door.befall(troubles.HALF_OPEN, {"live-1"})
        await echo.until_ended(1)
        writer.write(b"two")
        hearing = asyncio.create_task(reader.read(100))
        assert await round_trip(await dial(door), b"other") == b"other"
        assert not hearing.done()
        door.heal()
        async with asyncio.timeout(PATIENCE):
            with pytest.raises(ConnectionResetError):
                if await hearing == b"":
                    raise ConnectionResetError
        assert echo.heard == b"oneother"


async def test_a_caller_that_is_cut_off_is_cut_off_alone(echo: Echo, dial: Dial) -> None:
    """A road that is cut carries nothing, and the others do not notice."""
    async with door_before(echo) as door:
        mine, other = await dial(door), await dial(door)
        assert await round_trip(mine, b"one") == b"one"
        assert await round_trip(other, b"two") == b"two"
        assert door.callers == {"live-1", "other"}
        door.befall(troubles.CUT, {"live-1"})
        async with asyncio.timeout(PATIENCE):
            with pytest.raises(ConnectionResetError):
                if await mine[0].read(100) == b"":
                    raise ConnectionResetError
        assert await round_trip(other, b"three") == b"three"


async def test_a_door_counts_what_came_into_trouble(echo: Echo, dial: Dial) -> None:
    """What passes unharmed proves no fault, and what a road had carried that breaks does."""
    async with door_before(echo) as door:
        mine, other = await dial(door), await dial(door)
        assert await round_trip(mine, b"one") == b"one"
        assert door.harmed == {}
        door.befall(troubles.SLOW, {"live-1"})
        assert await round_trip(mine, b"four") == b"four"
        assert await round_trip(other, b"five") == b"five"
        assert door.carried == {"live-1": 14, "other": 8}
        assert door.harmed == {"live-1": 8}
        door.befall(troubles.CUT)
        assert door.harmed == {"live-1": 8 + 14, "other": 8}


async def test_a_door_refuses_while_the_part_behind_it_does(echo: Echo, dial: Dial) -> None:
    """Nobody can connect to a part that is dead, and everybody to one that is back."""
    async with door_before(echo) as door:
        connection = await dial(door)
        assert await round_trip(connection, b"one") == b"one"
        echo.stop()
        connection[1].close()
        await until_refused(dial, door)
        await echo.start()
        await until_open(dial, door)
        assert await round_trip(await dial(door), b"two") == b"two"


async def test_a_door_that_is_to_refuse_refuses_until_it_heals(echo: Echo, dial: Dial) -> None:
    """Whoever dials a door that is cut is refused; whoever dials it healed comes through."""
    async with door_before(echo) as door:
        door.befall(troubles.CUT)
        await until_refused(dial, door)
        door.heal()
        await until_open(dial, door)
        assert await round_trip(await dial(door), b"one") == b"one"


async def until_refused(dial: Dial, door: Door) -> None:
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                await dial(door)
            except ConnectionRefusedError:
                return
            except ConnectionResetError:
                continue  # it was about to be accepted when the door shut


async def until_open(dial: Dial, door: Door) -> None:
    async with asyncio.timeout(PATIENCE):
        while True:
            with suppress(ConnectionRefusedError):
                await dial(door)
                return
