"""A client over the gateway's WebSocket: JSON frames and a cursor, as a browser page would do it.

    connecting --attached--> open --closed with 4000..4499, or broken--> a pause --> connecting
         ^                    |                                              |
         +--------------------+------------ by the cursor -------------------+

What has no reply when the socket closes is sent again with the same operation id and `since`.
Nothing else is made good here: the gateway is to hide that owners change.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from show.fold import Fold, Json, UnknownEvent, difference
from show.ledger import UNKNOWN, Operation, View

PATIENCE_SECONDS = 20.0
PAUSE_SECONDS = 0.1

# Going away, broken, an error of the server's, a restart, try again later, and our own range.
_COME_BACK = frozenset({1001, 1006, 1011, 1012, 1013, *range(4000, 4500)})


def _ignore(kind: str, body: Json) -> None:
    pass


class Browser:
    """One WebSocket after the other for one session, the events that came, and appends."""

    def __init__(
        self,
        name: str,
        address: str,
        token: str,
        session_id: str,
        *,
        load: Callable[[str], Awaitable[Json]],
        heard: Callable[[str, Json], None] = _ignore,
    ) -> None:
        """Take the gateway's host:port; `load` gives a session by REST.

        `heard` is given the kind and the body of each frame but replies, after it was taken.
        """
        self.view = View(name, session_id)
        self._address = f"ws://{address}/api/ws/{session_id}"
        self._token = token
        self._load = load
        self._heard = heard
        self._fold = Fold()
        self._log_id = ""
        self._attached = False
        self._ready = asyncio.Event()
        self._outbox: asyncio.Queue[str] = asyncio.Queue()
        self._unanswered: dict[str, tuple[Operation, str]] = {}
        self._carrying: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Connect, by the cursor if there is one; return when the present is reached.

        Raises:
            TimeoutError: it was not reached in time.
            RuntimeError: the session cannot be followed.
        """
        self._ready.clear()
        self._carrying = asyncio.create_task(self._carry_on())
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._ready.wait()
        except TimeoutError:
            raise TimeoutError(f"{self.view.client} did not reach the present") from None
        if self.view.ended:
            raise RuntimeError(f"{self.view.client} cannot attach: {self.view.ended}")

    async def close(self) -> None:
        """Disconnect without a word; `open` comes back."""
        if self._carrying is not None:
            self._carrying.cancel()
            await asyncio.gather(self._carrying, return_exceptions=True)

    def append(self, operation: Operation) -> None:
        """Begin an append; it is answered in the operation."""
        frame = {
            "append": {"content": operation.text, "opId": operation.op_id},
            "since": self._fold.seq,
        }
        text = orjson.dumps(frame).decode()
        self._unanswered[operation.op_id] = (operation, text)
        if self._attached:
            self._outbox.put_nowait(text)

    async def compare(self) -> None:
        """Load the session afresh, and note in the view how the folded state differs."""
        fresh = await self._load(self.view.session_id)
        self.view.difference = difference(self._fold.session, fresh)

    # --- one socket after the other --------------------------------------------------------------

    async def _carry_on(self) -> None:
        while not self.view.ended:
            with suppress(OSError, WebSocketException):
                async with connect(
                    self._address,
                    compression=None,
                    proxy=None,
                    max_size=None,
                    ping_interval=None,
                    close_timeout=1,
                ) as socket:
                    await self._carry(socket)
            await asyncio.sleep(PAUSE_SECONDS)

    async def _carry(self, socket: ClientConnection) -> None:
        hello: Json = {"token": self._token}
        if self._log_id:
            hello["cursor"] = f"{self._log_id}.{self._fold.seq}"
        writing = asyncio.create_task(self._write(socket, hello))
        try:
            while True:
                self._take(orjson.loads(await socket.recv(decode=False)))
        except ConnectionClosed:
            self.view.reconnects += 1
            if socket.close_code not in _COME_BACK:
                self._end(f"closed with {socket.close_code} {socket.close_reason}")
        except (UnknownEvent, KeyError, TypeError, orjson.JSONDecodeError) as failure:
            self._end(f"a frame that is not understood: {failure!r}")
        finally:
            self._attached = False
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)
            self._outbox = asyncio.Queue()

    async def _write(self, socket: ClientConnection, hello: Json) -> None:
        outbox = self._outbox
        with suppress(ConnectionClosed):
            await socket.send(orjson.dumps({"hello": hello}).decode())
            while True:
                await socket.send(await outbox.get())

    def _end(self, reason: str) -> None:
        self.view.ended = reason
        self._ready.set()

    # --- frames ----------------------------------------------------------------------------------

    def _take(self, message: Json) -> None:
        for frame in message.get("batch") or (message,):
            for kind, body in frame.items():
                self._take_one(kind, body)

    def _take_one(self, kind: str, body: Json) -> None:
        match kind:
            case "event":
                self._fold.take_event(body)
                self.view.log.append((body["seq"], body["opId"]))
            case "reply":
                self._take_reply(body)
                return
            case "attached":
                self._log_id = body["logId"]
                self._attached = True
                for _, text in self._unanswered.values():
                    self._outbox.put_nowait(text)
            case "snapshot":
                self._fold.take_snapshot(body)
                if body["last"]:
                    self._loaded()
            case "caughtUp":
                self._ready.set()
        self._heard(kind, body)

    def _loaded(self) -> None:
        if self.view.log or self.view.first:
            self.view.resets += 1
        else:
            self.view.first = self._fold.seq

    def _take_reply(self, body: Json) -> None:
        waiting = self._unanswered.get(body["opId"])
        if waiting is None:
            return
        operation, text = waiting
        error: dict[str, Any] | None = body.get("error")
        if error is None:
            del self._unanswered[operation.op_id]
            operation.acknowledge(body["seq"], asyncio.get_running_loop().time())
        elif error["retryable"] or error["code"] in UNKNOWN:
            operation.errors += 1
            pause = max(PAUSE_SECONDS, error["retryAfterMs"] / 1000)
            asyncio.get_running_loop().call_later(pause, self._again, operation.op_id, text)
        else:
            del self._unanswered[operation.op_id]
            operation.refuse(error["code"])

    def _again(self, op_id: str, text: str) -> None:
        if op_id in self._unanswered and self._attached:
            self._outbox.put_nowait(text)
