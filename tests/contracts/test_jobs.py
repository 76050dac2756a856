"""A job has one holder at a time, and each hold a term of its own."""

from __future__ import annotations

import asyncio

from tests.contracts.chats import some_bytes
from tests.contracts.places import EtcdPlace, Place


async def test_a_job_has_one_holder(place: Place) -> None:
    """Of many who ask at once one gets it, and keeps it in the same term."""
    repository = place.repository
    holders = [some_bytes() for _ in range(8)]
    asked = (repository.hold_job("work", each, ttl_seconds=3600) for each in holders)
    terms = await asyncio.gather(*asked)
    (term,) = [each for each in terms if each]
    holder = holders[terms.index(term)]
    assert await repository.hold_job("work", holder, ttl_seconds=3600) == term
    assert await repository.hold_job("other", holders[0], ttl_seconds=3600) > 0


async def test_a_job_that_is_let_go_is_taken_in_a_later_term(place: Place) -> None:
    """Only its holder lets it go."""
    repository, one, other = place.repository, some_bytes(), some_bytes()
    first = await repository.hold_job("work", one, ttl_seconds=3600)
    await repository.release_job("work", other)
    assert await repository.hold_job("work", other, ttl_seconds=3600) == 0
    await repository.release_job("work", one)
    await repository.release_job("work", one)
    assert await repository.hold_job("work", other, ttl_seconds=3600) > first
    assert await repository.hold_job("work", one, ttl_seconds=3600) == 0


async def test_a_job_whose_holder_is_not_heard_of_is_free(place: Place) -> None:
    """The former holder may take it again, and that is another term."""
    repository, one, other = place.repository, some_bytes(), some_bytes()
    first = await repository.hold_job("work", one, ttl_seconds=3600)
    await place.lapse("work")
    second = await repository.hold_job("work", other, ttl_seconds=3600)
    assert second > first
    assert await repository.hold_job("work", one, ttl_seconds=3600) == 0
    await place.lapse("work")
    assert await repository.hold_job("work", one, ttl_seconds=3600) > second


async def test_a_hold_ends_by_itself_and_prolonging_moves_its_end(etcd_place: EtcdPlace) -> None:
    """One that is prolonged outlives one that was taken later and is not."""
    repository, one, other = etcd_place.repository, some_bytes(), some_bytes()
    kept = await repository.hold_job("kept", one, ttl_seconds=1)
    left = await repository.hold_job("left", one, ttl_seconds=1)
    taken = 0
    async with asyncio.timeout(30):
        while not taken:
            assert await repository.hold_job("kept", one, ttl_seconds=1) == kept
            taken = await repository.hold_job("left", other, ttl_seconds=3600)
    assert taken > left
    assert await repository.hold_job("kept", one, ttl_seconds=1) == kept
