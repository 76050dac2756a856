"""A session that bad input must leave as it is."""

from __future__ import annotations

from typing import Any

import httpx

from tests.e2e.answers import good

KIB = 1024
CONTENT = 512 * KIB


def nested(levels: int) -> str:
    """An object of so many levels."""
    return '{"a":' * (levels - 1) + "{}" + "}" * (levels - 1)


class Kept:
    """A session, and its owner's list, that must stay as they are."""

    def __init__(self, client: httpx.AsyncClient, user: str, session_id: str) -> None:
        self.client = client
        self.user = user
        self.id = session_id
        self.path = f"/api/sessions/{session_id}"
        self.chat = f"/api/chat/{session_id}"

    async def now(self) -> Any:
        listed = await self.client.get(f"/api/users/{self.user}/sessions")
        return good(await self.client.get(self.path)), good(listed)
