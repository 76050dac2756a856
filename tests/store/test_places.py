"""Places: what goes on at the same time, of one caller and of all."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from services.store.places import OneEach, Places
from sessiond.errors import RateLimited, Unavailable


def test_each_caller_has_one_place() -> None:
    """Taken while the block runs, however it ends; who is told so may come back."""
    places = OneEach()
    with suppress(ZeroDivisionError), places.place("alice"):
        with pytest.raises(RateLimited) as refused, places.place("alice"):
            pass
        assert refused.value.retry_after
        with places.place("bob"):
            pass
        with pytest.raises(RateLimited), places.place("alice"):
            pass
        raise ZeroDivisionError
    with places.place("alice"):
        pass


async def test_so_many_are_inside_and_so_many_wait() -> None:
    """In order; one more is refused, and who is cancelled leaves nothing taken."""
    places = Places(2, waiting=3)
    inside: list[int] = []
    done = asyncio.Event()

    async def enter(number: int) -> None:
        async with asyncio.timeout(5), places.place():
            inside.append(number)
            await done.wait()

    tasks = [asyncio.create_task(enter(number)) for number in range(5)]
    await asyncio.sleep(0)
    assert inside == [0, 1]
    with pytest.raises(Unavailable) as refused:
        await enter(5)
    assert refused.value.retry_after
    tasks[0].cancel()  # one who is inside
    tasks[3].cancel()  # and one who waits
    await asyncio.gather(tasks[0], tasks[3], return_exceptions=True)
    assert inside == [0, 1, 2]
    tasks += [asyncio.create_task(enter(number)) for number in (6, 7)]
    await asyncio.sleep(0)
    with pytest.raises(Unavailable):
        await enter(8)
    done.set()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert inside == [0, 1, 2, 4, 6, 7]
    await enter(9)
