"""A browser over WebSockets that close: it comes back by its cursor and says again what waits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest
from websockets.asyncio.server import ServerConnection, serve

from show.browser import Browser
from show.ledger import Operation

PATIENCE = 10.0
SESSION: dict[str, Any] = {"id": "s", "conversationHistory": [], "revision": 1, "lastActive": "t1"}
CAUGHT_UP = {"caughtUp": {"seq": 1}}


def attached(*, recovered: bool) -> dict[str, Any]:
    return {"attached": {"recovered": recovered, "logId": "ab", "headSeq": 1, "turns": []}}


SNAPSHOT = {"snapshot": {"last": True, "state": {"session": SESSION}}}
NEW = [attached(recovered=False), SNAPSHOT, CAUGHT_UP]
AGAIN = [attached(recovered=True), CAUGHT_UP]


def event(seq: int, op_id: str) -> dict[str, Any]:
    message = {"message": {"id": f"m{seq}"}}
    return {"event": {"seq": seq, "time": f"t{seq}", "opId": op_id, "messageAppended": message}}


def reply(op_id: str, seq: int, **error: Any) -> dict[str, Any]:
    told = {"opId": op_id, "seq": seq}
    return {"reply": {**told, "error": error} if error else told}


class Talk:
    """One WebSocket, from the server's side."""

    def __init__(self, socket: ServerConnection) -> None:
        self.socket = socket

    async def say(self, *frames: dict[str, Any]) -> None:
        await self.socket.send(orjson.dumps({"batch": frames}).decode())

    async def hear(self) -> dict[str, Any]:
        async with asyncio.timeout(PATIENCE):
            heard: dict[str, Any] = orjson.loads(await self.socket.recv())
            return heard


@asynccontextmanager
async def talking(*scripts: Callable[[Talk], Awaitable[None]]) -> AsyncIterator[Browser]:
    """Serve one WebSocket after the other, each by a script; then a browser that may connect."""
    left = list(scripts)

    async def handle(socket: ServerConnection) -> None:
        await left.pop(0)(Talk(socket))

    async def load(_: str) -> dict[str, Any]:
        return {**SESSION, "conversationHistory": [{"id": "m2"}], "lastActive": "t2", "revision": 2}

    async with serve(handle, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()[:2]
        browser = Browser("browser", f"{host}:{port}", "token", "s", load=load)
        try:
            yield browser
        finally:
            await browser.close()


async def answered(operation: Operation) -> None:
    async with asyncio.timeout(PATIENCE):
        while not operation.answered:  # noqa: ASYNC110 - an operation tells nobody
            await asyncio.sleep(0.01)


async def test_it_comes_back_and_says_again_what_has_no_reply() -> None:
    """By the cursor, with the same operation id and since, and the view has each event once."""
    heard = []

    async def first(talk: Talk) -> None:
        heard.append(await talk.hear())
        await talk.say(*NEW)
        heard.append(await talk.hear())
        await talk.say(event(2, "op"))
        await talk.socket.close(4001, "moved")

    async def second(talk: Talk) -> None:
        heard.append(await talk.hear())
        await talk.say(*AGAIN)
        heard.append(await talk.hear())
        await talk.say(reply("op", 2))
        await talk.socket.wait_closed()

    async with talking(first, second) as browser:
        await browser.open()
        operation = Operation("op", "s", planned=0.0)
        browser.append(operation)
        await answered(operation)
        await browser.compare()
    change = {"append": {"content": operation.text, "opId": "op"}, "since": 1}
    assert heard == [
        {"hello": {"token": "token"}},
        change,
        {"hello": {"token": "token", "cursor": "ab.2"}},
        change,
    ]
    assert (operation.seq, operation.errors) == (2, 0)
    view = browser.view
    assert (view.first, view.log, view.resets, view.reconnects) == (1, [(2, "op")], 0, 1)
    assert (view.ended, view.difference) == ("", "")


async def test_a_close_for_good_ends_it() -> None:
    """And is told as what it is."""

    async def only(talk: Talk) -> None:
        await talk.hear()
        await talk.say(*NEW)
        await talk.hear()
        await talk.socket.close(4504, "SESSION_NOT_FOUND")

    async with talking(only) as browser:
        await browser.open()
        browser.append(Operation("op", "s", planned=0.0))
        async with asyncio.timeout(PATIENCE):
            while not browser.view.ended:  # noqa: ASYNC110 - a view tells nobody
                await asyncio.sleep(0.01)
    assert browser.view.ended == "closed with 4504 SESSION_NOT_FOUND"


async def test_an_error_that_may_pass_is_counted_and_said_again() -> None:
    """One that may not pass is the answer."""

    async def only(talk: Talk) -> None:
        await talk.hear()
        await talk.say(*NEW)
        first = await talk.hear()
        await talk.say(reply("op-1", 0, code="UNAVAILABLE", retryable=True, retryAfterMs=0))
        assert await talk.hear() == first
        await talk.say(reply("op-1", 2))
        await talk.hear()
        await talk.say(reply("op-2", 0, code="SESSION_FULL", retryable=False, retryAfterMs=0))
        await talk.socket.wait_closed()

    async with talking(only) as browser:
        await browser.open()
        operations = [Operation(f"op-{number}", "s", planned=0.0) for number in (1, 2)]
        for operation in operations:
            browser.append(operation)
            await answered(operation)
    assert [each.errors for each in operations] == [1, 1]
    assert [each.refused for each in operations] == ["", "SESSION_FULL"]


async def test_a_snapshot_in_the_middle_is_a_reset() -> None:
    """What it holds was void: the judgement is told."""

    async def only(talk: Talk) -> None:
        await talk.hear()
        await talk.say(*NEW)
        await talk.hear()
        await talk.say(event(2, "other"), SNAPSHOT, reply("op", 2))
        await talk.socket.wait_closed()

    async with talking(only) as browser:
        await browser.open()
        operation = Operation("op", "s", planned=0.0)
        browser.append(operation)
        await answered(operation)
        await browser.compare()
    assert browser.view.resets == 1
    assert browser.view.difference == "conversationHistory, revision, lastActive"


async def test_a_frame_that_it_does_not_know_ends_it() -> None:
    """Nothing is passed over."""

    async def only(talk: Talk) -> None:
        await talk.hear()
        await talk.say(*NEW, {"event": {"seq": 2, "time": "t", "opId": "x", "sessionPaused": {}}})
        await talk.socket.wait_closed()

    async with talking(only) as browser:
        with pytest.raises(RuntimeError, match="sessionPaused"):
            await browser.open()
    assert "sessionPaused" in browser.view.ended
