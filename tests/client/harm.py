"""Whatever breaks, at random: streams are cut, sessions move, servers die and come back."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from tests.client.live import Live
from tests.client.sessions import StoredSession


@asynccontextmanager
async def harmed(
    chance: random.Random, lives: Sequence[Live], sessions: Sequence[StoredSession]
) -> AsyncIterator[None]:
    """Do harm while the block runs; afterwards every server serves."""
    over = asyncio.Event()
    harming = asyncio.create_task(_harm(chance, lives, sessions, over))
    try:
        yield
    finally:
        over.set()
        await harming


async def _harm(
    chance: random.Random,
    lives: Sequence[Live],
    sessions: Sequence[StoredSession],
    over: asyncio.Event,
) -> None:
    while not over.is_set():
        await asyncio.sleep(chance.random() * 0.03)
        live = chance.choice(lives)
        for session in sessions:
            turn = session.turn
            if turn is not None:
                turn.stored = chance.randint(min(turn.stored, len(turn.text)), len(turn.text))
        match chance.choice(["cut", "goaway", "move", "stop"]):
            case "cut" if live.connections:
                chance.choice(live.connections).cut()
            case "goaway" if live.connections:
                chance.choice(live.connections).goaway("DRAINING")
            case "move":
                session = chance.choice(sessions)
                session.owner = chance.choice([None, *(each.address for each in lives)])
                session.move()
            case "stop":
                await live.stop()
                await live.start()
