"""A backend that follows the feed from the beginning, and keeps its cursor whatever happens."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import grpc

from services.store.history import History as Keys
from sessiond.event_wire import event_from_wire
from sessiond.store.codec import decode_head
from sessiond.v1 import store_pb2 as store
from tests.faults.history import Entry, Fed, FedDeletion, FedReset, about, content_of, event_kind
from tests.simulation.clients import Client
from tests.simulation.history import ns


class Indexer(Client):
    """Reads the feed, from one Store or another. `begun` says that it has its first cursor."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.begun = asyncio.Event()
        self._cursor = ""
        self._told: dict[str, int] = {}
        self._gone: set[str] = set()

    async def run(self) -> None:
        """Follow; until cancelled."""
        while True:
            request = store.WatchChangesRequest(cursor=self._cursor or None)
            call = self.store().WatchChanges(request, metadata=self.metadata)
            with suppress(grpc.aio.AioRpcError):
                async for told in call:
                    self._hear(told)
                    if self.chance.random() < 0.02:
                        call.cancel()  # it is restarted
                        break
            await asyncio.sleep(self.chance.uniform(0.02, 0.3))

    def knows_all(self, keys: Keys) -> bool:
        """Return whether it was told everything that stands there."""
        for key, value in keys.range(("head",)):
            session_id, head = str(key[1]), decode_head(value)
            if head.tombstone is not None:
                if session_id not in self._gone:
                    return False
            elif head.meta.building is None and self._told.get(session_id, 0) < head.seq:
                return False
        return True

    def _hear(self, told: store.WatchChangesResponse) -> None:
        now = ns(self.loop.time())
        match told.WhichOneof("change"):
            case "changed":
                wire = told.changed.event
                event = event_from_wire(wire).event
                said = event_kind(event), content_of(event), about(event)
                self._show(Fed(self.name, wire.session_id, now, wire.seq, wire.op_id, *said))
                self.history.events.append(wire)
                self._told[wire.session_id] = wire.seq
            case "deleted":
                self._show(FedDeletion(self.name, told.deleted.session_id, now))
                self._gone.add(told.deleted.session_id)
            case "reset":
                self._show(FedReset(self.name, now))
        self._cursor = told.cursor
        self.begun.set()

    def _show(self, entry: Entry) -> None:
        self.history.shown.append(entry)
        self.history.note(self.loop.time(), self.name, "is told", entry)
