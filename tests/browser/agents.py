"""An agent of a test: it writes when it is told to, over the client library."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sessiond import AttachedSession, Client
from tests.e2e.system import System


@asynccontextmanager
async def agent_in(system: System, session_id: str) -> AsyncIterator[AttachedSession]:
    """Attach a session as an agent that may work in it."""
    token = system.keys.user_token("test-agent", role="agent", sessions=[session_id])
    client = Client(
        live=system.cluster.addresses("live"), store=system.cluster.addresses("store"), token=token
    )
    async with client, client.attach(session_id) as session:
        yield session
