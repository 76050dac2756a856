"""Secrets that are guessed, and joins again and again: who tries too often has to wait."""

from __future__ import annotations

import re
from typing import Any, cast

import pytest

from services.live.hops import Hops
from services.live.joins import Guesses, new_secret
from services.live.rates import Rate, Rates
from sessiond.errors import RateLimited, SessionNotFound, Unavailable
from sessiond.session.access import Identity, Role

BOB = Identity("bob")


class Counting:
    """Says whether another Live has counted a call."""

    def __init__(self) -> None:
        self.elsewhere = False

    async def counted(self, context: Any) -> bool:
        return self.elsewhere


def guesses(counting: Counting, clock: list[float]) -> Guesses:
    return Guesses(cast("Hops", counting), Rates(Rate(0.5, 2), clock=lambda: clock[0]))


async def fail(guarding: Guesses, identity: Identity = BOB) -> None:
    with pytest.raises(SessionNotFound):
        async with guarding.guarded(identity, cast("Any", None)):
            raise SessionNotFound


async def test_joins_are_counted_for_each_caller() -> None:
    """Beyond them nothing is tried, until time has passed."""
    clock = [0.0]
    guarding = guesses(Counting(), clock)
    await fail(guarding)
    await fail(guarding)
    with pytest.raises(RateLimited):
        async with guarding.guarded(BOB, cast("Any", None)):
            raise AssertionError("it was tried")
    await fail(guarding, Identity("carol"))
    await fail(guarding, Identity("bob", Role.SERVICE, acting_for="bob"))
    clock[0] += 2.0
    await fail(guarding)


async def test_what_nobody_answered_is_not_counted() -> None:
    """It may be asked again."""
    guarding = guesses(Counting(), [0.0])
    for _ in range(5):
        with pytest.raises(Unavailable):
            async with guarding.guarded(BOB, cast("Any", None)):
                raise Unavailable
    await fail(guarding)


async def test_who_comes_and_goes_has_to_wait() -> None:
    """Or a viewer could fill a session with events of it, until it takes no more."""
    guarding = guesses(Counting(), [0.0])
    for _ in range(2):
        async with guarding.guarded(BOB, cast("Any", None)):
            pass
    with pytest.raises(RateLimited):
        async with guarding.guarded(BOB, cast("Any", None)):
            raise AssertionError("it was tried")


async def test_many_tries_at_once_are_no_more_than_one_after_another() -> None:
    """A try counts until it turns out to be good."""
    guarding = guesses(Counting(), [0.0])
    async with guarding.guarded(BOB, cast("Any", None)), guarding.guarded(BOB, cast("Any", None)):
        with pytest.raises(RateLimited):
            await fail(guarding)


async def test_what_another_live_counted_is_not_counted_again() -> None:
    """Or it would count once for each that passes it on."""
    counting = Counting()
    counting.elsewhere = True
    guarding = guesses(counting, [0.0])
    for _ in range(5):
        await fail(guarding)


def test_secrets_are_32_bytes_and_never_the_same() -> None:
    """In base64url, so that they travel in links."""
    made = {new_secret() for _ in range(100)}
    assert len(made) == 100
    assert all(re.fullmatch("[A-Za-z0-9_-]{43}", secret) for secret in made)
