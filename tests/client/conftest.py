"""A Live on real gRPC, and a client of it."""

from __future__ import annotations

import asyncio
import base64
import json
import random
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest

from sessiond import Client
from tests.client.live import Live
from tests.client.sessions import StoredSession

Open = Callable[..., AbstractAsyncContextManager[Client]]


def token(**claims: Any) -> str:
    """Return what looks like a token; the client verifies none."""
    body = base64.urlsafe_b64encode(json.dumps({"sub": "alice", **claims}).encode())
    return f"e30.{body.decode().rstrip('=')}.c2ln"


@pytest.fixture
def sessions() -> dict[str, StoredSession]:
    return {"s": StoredSession("s")}


@pytest.fixture
async def live(sessions: dict[str, StoredSession]) -> AsyncIterator[Live]:
    server = Live(sessions)
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def other(sessions: dict[str, StoredSession]) -> AsyncIterator[Live]:
    """Another replica, with the same sessions."""
    server = Live(sessions)
    await server.start()
    yield server
    await server.stop()


@asynccontextmanager
async def opened(*lives: Live, **more: Any) -> AsyncIterator[Client]:
    """Open a client that begins with the first of these, and see that it leaves nothing behind."""
    with_nothing_left = tasks()
    async with opened_beside_others(*lives, **more) as client:
        yield client
    assert tasks() == with_nothing_left


def tasks() -> set[asyncio.Task[Any]]:
    """Return the tasks that are a client's."""
    return {task for task in asyncio.all_tasks() if "sessiond/client" in repr(task)}


@asynccontextmanager
async def opened_beside_others(*lives: Live, **more: Any) -> AsyncIterator[Client]:
    """Open a client that begins with the first of these."""
    chance = random.Random(7)
    first = iter([0.0, 0.0])
    settings: dict[str, Any] = {
        "live": [live.address for live in lives],
        "store": "127.0.0.1:1",
        "token": token(),
        "deadline": 10.0,
        "chance": lambda: next(first, chance.random() * 0.2),
        **more,
    }
    async with Client(**settings) as client:
        yield client


@pytest.fixture
async def client(live: Live) -> AsyncIterator[Client]:
    async with opened(live) as client:
        yield client
