"""A client over the gateways' WebSocket: JSON frames, and a cursor, as a page would do it.

It follows one session, appends to it, and resumes when its socket closes or says nothing for long;
what has no reply then is asked again under its operation id.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import count
from typing import Any

import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from sessiond.frame_failures import from_error
from sessiond.v1 import live_pb2 as live
from tests.faults.clients.callers import SECONDS
from tests.faults.clients.notebook import Answer, Book, Broken, Voice, now
from tests.faults.history import (
    Attached,
    CaughtUp,
    EventKind,
    Goaway,
    Kind,
    Reset,
    Shown,
    Snapshot,
    Token,
    digest,
)

Json = Mapping[str, Any]
TAIL = 50
_SILENT_SECONDS = 6.0
_numbers = count(1)


class Browser:
    """One socket after the other, at one gateway after the other."""

    def __init__(self, voice: Voice, gateways: Sequence[str], *, token: str, session: str) -> None:
        self._voice = voice
        self._book: Book = voice.book
        self._gateways = gateways
        self._token = token
        self._session = session
        self._stream = 0
        self._asked = 0
        self._log_id = ""
        self._seq = 0
        self._turn = ""
        self._messages: list[tuple[int, str]] = []
        self._socket: ClientConnection | None = None
        self._replies: dict[str, asyncio.Future[Answer]] = {}

    async def follow(self) -> None:
        """Follow until cancelled."""
        while True:
            self._stream += 1
            gateway = self._gateways[self._stream % len(self._gateways)]
            address = f"ws://{gateway}/api/ws/{self._session}"
            with suppress(OSError, WebSocketException, TimeoutError):
                async with connect(
                    address, compression=None, proxy=None, open_timeout=3, close_timeout=0.2
                ) as socket:
                    await self._carry(socket)
            self._socket = None
            for reply in self._replies.values():
                if not reply.done():
                    reply.set_exception(Broken())
            await asyncio.sleep(self._book.chance.uniform(0.05, 0.3))

    async def run(self, pause: float) -> None:
        """Append, and cancel a turn now and then, until nothing new is to be begun."""
        chance = self._book.chance
        while not self._book.closing.is_set():
            if self._turn and chance.random() < 0.1:
                turn = self._turn
                await self._voice.ask(
                    Kind.CANCEL,
                    self._session,
                    lambda op, of=turn: self._ask(op, {"cancel": {"turnId": of, "opId": op}}),  # type: ignore[misc]
                    about=turn,
                )
            else:
                text = f"{self._voice.client} {next(_numbers)}"
                await self._voice.ask(
                    Kind.APPEND,
                    self._session,
                    lambda op, said=text: self._ask(op, {"append": {"content": said, "opId": op}}),  # type: ignore[misc]
                    content=digest(text),
                )
            await self._book.pause(pause)

    async def _ask(self, op_id: str, change: Json) -> Answer:
        socket = self._socket
        if socket is None:
            await asyncio.sleep(0.05)
            raise Broken
        reply: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._replies[op_id] = reply
        try:
            await socket.send(orjson.dumps({**change, "since": self._seq}).decode())
            async with asyncio.timeout(SECONDS):
                return await reply
        except (TimeoutError, WebSocketException) as error:
            raise Broken from error
        finally:
            del self._replies[op_id]
            reply.cancel()
            if not reply.cancelled():
                reply.exception()  # it broke while the frame was still being sent

    async def _carry(self, socket: ClientConnection) -> None:
        hello: dict[str, Any] = {"token": self._token, "tail": TAIL}
        if self._seq:
            hello["cursor"] = f"{self._log_id}.{self._seq}"
        self._asked = now()
        self._messages = []
        await socket.send(orjson.dumps({"hello": hello}).decode())
        while True:
            async with asyncio.timeout(_SILENT_SECONDS):
                told = orjson.loads(await socket.recv(decode=False))
            for frame in told.get("batch") or (told,):
                for kind, body in frame.items():
                    self._hear(kind, body, socket)

    def _hear(self, kind: str, told: Json, socket: ClientConnection) -> None:
        where = (self._voice.client, self._stream, self._session)
        add, at = self._book.add, now()
        match kind:
            case "attached":
                turns = tuple((turn["turnId"], turn["text"]) for turn in told["turns"])
                given = (self._log_id, self._seq) if self._seq else ("", 0)
                add(
                    Attached(
                        *where,
                        self._asked,
                        at,
                        told["recovered"],
                        told["logId"],
                        told["headSeq"],
                        *given,
                        turns,
                    )
                )
                self._log_id = told["logId"]
                self._socket = socket
            case "snapshot":
                for each in told.get("messages", {}).get("messages", ()):
                    self._messages.append((each["seq"], digest(each["content"])))
                if told["last"]:
                    held = tuple(self._messages)
                    add(Snapshot(*where, at, told["logId"], told["seq"], held, TAIL))
                    self._seq, self._messages = told["seq"], []
            case "event":
                event, content, about = _of(told)
                add(Shown(*where, at, told["seq"], told["opId"], event, content, about))
                self._seq = told["seq"]
                if event in (EventKind.BEGUN, EventKind.ENDED):
                    self._turn = about if event is EventKind.BEGUN else ""
            case "token":
                add(Token(*where, at, told["turnId"], told["offset"], told["text"]))
            case "caughtUp":
                add(CaughtUp(*where, at, told["seq"]))
            case "reset":
                add(Reset(*where, at, told["reason"]))
                self._seq = 0
            case "goaway":
                add(Goaway(*where, at, told["reason"]))
            case "reply":
                self._replied(told)

    def _replied(self, told: Json) -> None:
        reply = self._replies.get(told["opId"])
        if reply is None or reply.done():
            return
        error = told.get("error")
        if error is None:
            reply.set_result(Answer(told["seq"]))
        else:
            wire = live.Error(code=error["code"], retryable=error["retryable"])
            reply.set_exception(from_error(wire))


def _of(told: Json) -> tuple[EventKind, str, str]:
    """Return what an event is, what it says, and what it speaks of."""
    kind = next(name for name in _KINDS if name in told)
    body = told[kind]
    event = _KINDS[kind]
    match event:
        case EventKind.MESSAGE:
            return event, digest(body["message"]["content"]), ""
        case EventKind.ENDED:
            return event, digest(body.get("message", {}).get("content", "")), body["turnId"]
        case EventKind.BEGUN:
            return event, "", body["turnId"]
        case EventKind.UPDATED:
            return event, digest(body.get("title", "")), ""
        case EventKind.SUBMITTED | EventKind.EDITED:
            return event, digest(body["output"]["content"]), body["outputId"]
        case EventKind.DECIDED:
            return event, digest(body["status"]), body["outputId"]
        case _:
            return event, "", ""


_KINDS = {
    "sessionCreated": EventKind.CREATED,
    "messageAppended": EventKind.MESSAGE,
    "sessionUpdated": EventKind.UPDATED,
    "outputSubmitted": EventKind.SUBMITTED,
    "outputEdited": EventKind.EDITED,
    "outputDecided": EventKind.DECIDED,
    "sessionPaused": EventKind.PAUSED,
    "sessionResumed": EventKind.RESUMED,
    "turnBegun": EventKind.BEGUN,
    "turnEnded": EventKind.ENDED,
}
