"""Tokens: used while they are good, asked for as they run out, read without being verified."""

from __future__ import annotations

import asyncio

import pytest

from sessiond.client.tokens import SyncTokens, Tokens, claims_of, expiry_of, subject_of
from tests.client.conftest import token


async def test_a_token_is_used_until_shortly_before_its_end() -> None:
    now = 1000.0
    asked = 0

    def provider() -> str:
        nonlocal asked
        asked += 1
        return token(n=asked, exp=now + 100)

    tokens = Tokens(provider, clock=lambda: now)
    assert await tokens.current() == await tokens.current() == token(n=1, exp=1100.0)
    assert tokens.seconds_left() == 70.0
    now = 1069.0
    await tokens.current()
    assert asked == 1
    now = 1070.0
    assert await tokens.current() == token(n=2, exp=1170.0)


async def test_a_token_that_names_no_end_is_asked_for_each_time() -> None:
    given = iter("abc")
    tokens = Tokens(lambda: next(given), clock=lambda: 0.0)
    assert [await tokens.current() for _ in range(3)] == ["a", "b", "c"]
    assert tokens.seconds_left() is None


async def test_many_who_need_another_token_ask_once() -> None:
    asked = 0

    async def provider() -> str:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0)
        return token(n=asked, exp=3600.0)

    tokens = Tokens(provider, clock=lambda: 0.0)
    first = await tokens.current()
    others = await asyncio.gather(*(tokens.another(first) for _ in range(5)))
    assert asked == 2
    assert set(others) == {token(n=2, exp=3600.0)}


async def test_a_token_given_once_is_all_there_is() -> None:
    tokens = Tokens("given", clock=lambda: 0.0)
    assert not tokens.renewable
    assert await tokens.current() == await tokens.another("given") == "given"
    assert tokens.seconds_left() is None


def test_a_script_asks_as_its_token_runs_out() -> None:
    now = 0.0
    given = iter([token(n=1, exp=100.0), token(n=2, exp=200.0)])
    tokens = SyncTokens(lambda: next(given), clock=lambda: now)
    assert tokens.current() == tokens.current() == token(n=1, exp=100.0)
    now = 70.0
    assert tokens.current() == token(n=2, exp=200.0)
    assert SyncTokens("given", clock=lambda: 0.0).another("given") == "given"


@pytest.mark.parametrize("text", ["", "a.b", "a.b.c", "a.W10.c", "a.!!.c", "a.eyJ.c"])
def test_what_is_no_token_says_nothing(text: str) -> None:
    assert claims_of(text) == {}
    assert expiry_of(text) is None
    assert subject_of(text) == ""


def test_strange_claims_say_nothing() -> None:
    assert expiry_of(token(exp="soon")) is None
    assert expiry_of(token(exp=True)) is None
    assert subject_of(token(sub=7)) == ""
