"""A session that never rests: given from one Live to the other, behind the back of both."""

from __future__ import annotations

import asyncio
import secrets
from contextlib import suppress

import grpc

from show.stage import Stage

EVERY_SECONDS = 0.2


async def keep_moving(stage: Stage, session_id: str) -> None:
    """Hand a session over to whoever does not own it, again and again, until cancelled."""
    while True:
        instances = [(await stage.fault_of(name)).instance for name in stage.names("live")]
        with suppress(grpc.aio.AioRpcError):  # it moved by itself meanwhile
            await stage.stored.hand_over(session_id, instances, commit_id=secrets.token_bytes(16))
        await asyncio.sleep(EVERY_SECONDS)
