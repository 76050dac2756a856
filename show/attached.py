"""A client over gRPC: the client library, as any program would use it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from typing import Any

from google.protobuf.message import Message

from sessiond import AttachedSession, Client, Reset, SessiondError
from sessiond.wire import session_to_wire
from show.ledger import Operation, View


class Attached:
    """One attached session, the events that came, and appends that are under way."""

    def __init__(self, name: str, client: Client, session_id: str) -> None:
        self.view = View(name, session_id)
        self._client = client
        self._session: AttachedSession | None = None
        self._resources = AsyncExitStack()
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Attach; return when the present is reached."""
        attaching = self._client.attach(self.view.session_id)
        self._session = session = await self._resources.enter_async_context(attaching)
        self.view.first = session.state.seq
        self._spawn(self._read(session))

    async def close(self) -> None:
        """Leave the session."""
        await self._resources.aclose()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def append(self, operation: Operation) -> None:
        """Begin an append; it is answered in the operation."""
        self._spawn(self._append(operation))

    async def compare(self) -> None:
        """Load the session afresh, and note in the view how the folded state differs."""
        session = self._held()
        held = session_to_wire(session.state, session.messages)
        fresh = await self._client.get(session.id)
        self.view.difference = difference(held, fresh)

    async def _read(self, session: AttachedSession) -> None:
        log = self.view.log
        try:
            async for record in session.events():
                if isinstance(record, Reset):
                    self.view.resets += 1
                else:
                    log.append((record.seq, record.op_id))
        except SessiondError as failure:
            self.view.ended = failure.reason

    async def _append(self, operation: Operation) -> None:
        try:
            seq = await self._held().append(operation.text, op_id=operation.op_id)
        except SessiondError as failure:
            operation.refuse(failure.reason)
        else:
            operation.acknowledge(seq, asyncio.get_running_loop().time())

    def _held(self) -> AttachedSession:
        if self._session is None:
            raise RuntimeError("not attached")
        return self._session

    def _spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def difference(held: Message, fresh: Message) -> str:
    """Return which fields of two messages of a kind differ; "" where none does."""
    names = [field.name for field in held.DESCRIPTOR.fields]
    return ", ".join(name for name in names if getattr(held, name) != getattr(fresh, name))
