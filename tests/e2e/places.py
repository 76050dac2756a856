"""Where sessions are placed among the Lives of a running system."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from itertools import count

from services.serving.placement import placed
from tests.e2e.system import System


@dataclass(frozen=True)
class Place:
    """A Live, by its name and the instance that it is now."""

    id: bytes
    name: str
    draining: bool = False


async def places(system: System, *names: str) -> list[Place]:
    """Return the Lives of these names as they are now; those that just came up, too."""
    async with asyncio.timeout(20):
        for name in names:
            await system.channel(name).channel_ready()
    return [Place(await system.instance(name), name) for name in names]


def where(session_id: str, among: list[Place]) -> str:
    """Return the name of the Live where a session is placed."""
    found = placed(session_id, among)
    assert found is not None
    return found.name


def placed_on(name: str, among: list[Place], word: str, many: int = 1) -> list[str]:
    """Return so many names of sessions, made from a word, that are placed on a Live."""
    numbered = (f"{word}-{n}" for n in count())
    found: list[str] = []
    while len(found) < many:
        session_id = next(numbered)
        if where(session_id, among) == name:
            found.append(session_id)
    return found
