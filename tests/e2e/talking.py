"""What tests say to a session over REST, when it must go well."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import httpx

from tests.e2e.answers import good


async def created(client: httpx.AsyncClient, **body: Any) -> Any:
    return good(await client.post("/api/sessions", json=body), 201)


async def said(client: httpx.AsyncClient, session_id: str, content: str, **body: Any) -> Any:
    answer = await client.post(
        f"/api/chat/{session_id}/messages", json={"content": content, **body}
    )
    return good(answer, 201)


async def listed(client: httpx.AsyncClient, user: str, **query: Any) -> list[str]:
    page = good(await client.get(f"/api/users/{quote(user, safe='')}/sessions", params=query))
    return [summary["id"] for summary in page["sessions"]]
