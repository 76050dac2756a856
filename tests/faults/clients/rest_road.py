"""Asking over REST."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

import httpx

from sessiond.errors import Unavailable
from sessiond.frame_failures import from_error
from sessiond.v1 import live_pb2 as live
from tests.faults.clients.callers import PAGE, SECONDS, TAIL
from tests.faults.clients.notebook import Answer, Broken, now
from tests.faults.history import digest

_NOBODY = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


class RestRoad:
    """The gateways' REST, through their doors."""

    def __init__(self, gateways: Sequence[str], token: str, first: int = 0) -> None:
        """Ask at these gateways; `first` says at which of them at first."""
        self._gateways = gateways
        self._next = first
        self._http = httpx.AsyncClient(
            headers={"Authorization": f"Bearer {token}"},
            timeout=SECONDS + 1,
            trust_env=False,
            verify=_NOBODY,
        )

    async def close(self) -> None:
        """Close its connections."""
        await self._http.aclose()

    async def create(self, session: str, op_id: str, workflow: str) -> Answer:
        body = {"id": session, "workflowId": workflow}
        told = await self._ask("POST", "sessions", op_id, body)
        return Answer(1, told.json()["id"])

    async def append(self, session: str, op_id: str, text: str, expected: int) -> Answer:
        path, body = f"chat/{session}/messages", {"content": text}
        return await self._change("POST", path, op_id, body, expected)

    async def update(self, session: str, op_id: str, title: str) -> Answer:
        return await self._change("PATCH", f"sessions/{session}", op_id, {"title": title})

    async def submit(self, session: str, op_id: str, text: str) -> Answer:
        told = await self._ask("POST", f"chat/{session}/outputs", op_id, {"content": text})
        return Answer(_seq(told), output=told.json()["outputId"])

    async def edit(self, session: str, op_id: str, output: str, text: str) -> Answer:
        path = f"chat/{session}/outputs/{output}"
        return await self._change("PUT", path, op_id, {"content": text})

    async def decide(self, session: str, op_id: str, output: str, word: str) -> Answer:
        body = {"decision": word} | ({"outputId": output} if output else {})
        return await self._change("PUT", f"chat/{session}/approve", op_id, body)

    async def pause(self, session: str, op_id: str) -> Answer:
        return await self._change("PUT", f"sessions/{session}/pause", op_id, None)

    async def resume(self, session: str, op_id: str) -> Answer:
        return await self._change("PUT", f"sessions/{session}/resume", op_id, None)

    async def delete(self, session: str, op_id: str) -> Answer:
        await self._ask("DELETE", f"sessions/{session}", op_id, None)
        return Answer()

    async def get(self, session: str) -> Answer:
        told = (await self._ask("GET", f"sessions/{session}?tail={TAIL}", "", None)).json()
        messages = tuple(
            (each["seq"], digest(each["content"])) for each in told["conversationHistory"]
        )
        return Answer(told["revision"], messages=messages)

    async def pages(self, session: str) -> Answer:
        found, returned = await self._pages(f"chat/{session}/messages", "messages")
        messages = tuple((each["seq"], digest(each["content"])) for each in found)
        return Answer(messages=messages, returned=returned)

    async def listing(self, user: str) -> Answer:
        found, returned = await self._pages(f"users/{user}/sessions", "sessions")
        listed = tuple((each["id"], each["revision"]) for each in found)
        return Answer(listed=listed, returned=returned)

    async def _pages(self, path: str, name: str) -> tuple[list[Any], int]:
        """Return what is on all pages, and when the first one came."""
        found: list[Any] = []
        query, returned = f"pageSize={PAGE}", 0
        while True:
            told = (await self._ask("GET", f"{path}?{query}", "", None)).json()
            returned = returned or now()
            found += told[name]
            if not (token := told.get("nextPageToken")):
                return found, returned
            query = urlencode({"pageSize": PAGE, "pageToken": token})

    async def _change(
        self, method: str, path: str, op_id: str, body: Any, expected: int = 0
    ) -> Answer:
        return Answer(_seq(await self._ask(method, path, op_id, body, expected)))

    async def _ask(
        self, method: str, path: str, op_id: str, body: Any, expected: int = 0
    ) -> httpx.Response:
        gateway = self._gateways[self._next % len(self._gateways)]
        headers = {"Idempotency-Key": op_id} if op_id else {}
        if expected:
            headers["If-Match"] = f'"{expected}"'
        try:
            told = await self._http.request(
                method, f"http://{gateway}/api/{path}", json=body, headers=headers
            )
        except httpx.ConnectError:
            self._next += 1
            raise Unavailable from None
        except httpx.HTTPError:
            self._next += 1
            raise Broken from None
        if told.is_success:
            return told
        self._next += 1
        problem = told.json()
        raise from_error(live.Error(code=problem["code"], retryable=problem["retryable"]))


def _seq(told: httpx.Response) -> int:
    return int(told.headers["ETag"].strip('W/"'))
