"""Somebody who follows a list of sessions, and has it as it is, sooner or later."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import grpc

from services.store.history import History as Keys
from sessiond.store.codec import decode_entry, decode_head
from sessiond.v1 import store_pb2 as store
from tests.simulation.clients import Client
from tests.simulation.history import OK


class Watcher(Client):
    """Keeps a user's list, from one Store or another; `listed` is how it stands."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.listed: dict[str, int] = {}
        self._cursor = ""

    async def run(self) -> None:
        """Follow the list; until cancelled."""
        while True:
            request = store.WatchSessionsRequest(user_id=self.user)
            if self._cursor:
                request.cursor = self._cursor
            else:
                self.listed.clear()
            try:
                async for told in self.store().WatchSessions(request, metadata=self.metadata):
                    self._hear(told)
            except grpc.aio.AioRpcError:
                await asyncio.sleep(self.chance.uniform(0.02, 0.3))

    async def report(self, keys: Callable[[], Keys], until: float) -> None:
        """Tell the list as if it had been asked for just now, as soon as it is what stands there.

        If it never is, it is told all the same, and the checker says why that is wrong.
        """
        while self.loop.time() < until:
            if self.listed == self._standing(keys()):
                break
            await asyncio.sleep(0.2)
        asked = self.begin("list", "")
        asked.user, asked.told = self.user, tuple(self.listed.items())
        self.settle(asked, OK)

    def _standing(self, keys: Keys) -> dict[str, int]:
        """Return the list that stands there: the user's own, and what is shared with them."""
        entries = keys.range(("entry", self.user))
        standing = {str(key[3]): decode_entry(value).revision for key, value in entries}
        for key, _ in keys.range(("shared", self.user)):
            standing[str(key[2])] = decode_head(keys.get(("head", key[2])) or b"").seq
        return standing

    def _hear(self, told: store.WatchSessionsResponse) -> None:
        self.history.note(self.loop.time(), self.name, f"is told {told}".replace("\n", " "))
        match told.WhichOneof("change"):
            case "session":
                self.listed[told.session.id] = told.session.revision
            case "removed_id":
                self.listed.pop(told.removed_id, None)
            case "reset":
                self._cursor = ""
                self.listed.clear()
        if told.cursor:
            self._cursor = told.cursor
