"""A gateway over Lives that keep sessions in memory, and browsers that open its WebSockets."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from gateway.settings import GatewaySettings
from services.serving.addresses import HostPort
from services.serving.running import Running
from tests.client.live import Live
from tests.client.sessions import StoredSession
from tests.gateway.conftest import opened, settings, token
from tests.gateway.parts import Part


@dataclass(eq=False)
class Standing:
    """A gateway, the Lives behind it, and the sessions that they all know."""

    address: HostPort
    running: Running
    lives: list[Live]
    stores: list[Part]
    sessions: dict[str, StoredSession]

    @property
    def live(self) -> Live:
        """The Live that is asked first."""
        return self.lives[0]

    @property
    def session(self) -> StoredSession:
        return self.sessions["s1"]


@asynccontextmanager
async def gateway_over(
    keys: Path, *, lives: int = 1, stores: int = 1, **more: Any
) -> AsyncIterator[Standing]:
    """A gateway of its own over so many Lives; nothing of it may be left behind."""
    sessions = {"s1": StoredSession("s1")}
    servers = [Live(sessions) for _ in range(lives)]
    for server in servers:
        await server.start()
    before = tasks()
    try:
        async with AsyncExitStack() as stack:
            parts = [await stack.enter_async_context(Part()) for _ in range(stores)]
            told: GatewaySettings = settings(keys, parts, [], **_addresses(servers), **more)
            address, running = await stack.enter_async_context(opened(told))
            yield Standing(address, running, servers, parts, sessions)
    finally:
        for server in servers:
            await server.stop()
    # Another gateway of this run looks after its parts every second, in tasks of a moment.
    await until(lambda: tasks() <= before)


def _addresses(lives: list[Live]) -> dict[str, Any]:
    return {"live_addresses": tuple(HostPort("127.0.0.1", live.port) for live in lives)}


def tasks() -> set[asyncio.Task[Any]]:
    """The tasks that are a gateway's."""
    return {task for task in asyncio.all_tasks() if "/gateway/" in repr(task)}


@dataclass
class Heard:
    """What a browser has heard so far, in order."""

    frames: list[dict[str, Any]] = field(default_factory=list)

    def of(self, kind: str) -> list[Any]:
        return [frame[kind] for frame in self.frames if kind in frame]

    @property
    def seqs(self) -> list[int]:
        return [event["seq"] for event in self.of("event")]

    def last(self, kind: str) -> Any:
        return self.of(kind)[-1]


class Browser:
    """The browser's side of one WebSocket."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.heard = Heard()

    async def say(self, *frames: dict[str, Any], batch: bool = False) -> None:
        """Send frames, each alone unless they shall be one batch."""
        if batch:
            await self.socket.send(json.dumps({"batch": list(frames)}))
            return
        for frame in frames:
            await self.socket.send(json.dumps(frame))

    async def hello(self, subject: str = "alice", *, claims: Any = None, **more: Any) -> None:
        await self.say({"hello": {"token": token(subject, **(claims or {})), **more}})

    async def hears(self, kind: str, count: int = 1) -> Any:
        """Return the frame that is the so-manieth of its kind, within 10 s."""
        await self.until(lambda heard: len(heard.of(kind)) >= count)
        return self.heard.of(kind)[count - 1]

    async def until(self, enough: Callable[[Heard], bool]) -> Heard:
        """Listen until it is enough, for 10 s at most."""
        async with asyncio.timeout(10):
            while not enough(self.heard):
                self._take(await self.socket.recv())
        return self.heard

    async def closes(self) -> tuple[int, str]:
        """Return the code and reason of the close, within 10 s."""
        async with asyncio.timeout(10):
            try:
                while True:
                    self._take(await self.socket.recv())
            except ConnectionClosed:
                assert self.socket.close_code is not None
                return self.socket.close_code, self.socket.close_reason or ""

    def _take(self, message: str | bytes) -> None:
        assert isinstance(message, str), "frames are text"
        found = json.loads(message)
        self.heard.frames.extend(found.get("batch", [found]))


@asynccontextmanager
async def browsing(
    address: HostPort | str, session_id: str = "s1", **more: Any
) -> AsyncIterator[Browser]:
    """A browser with an open WebSocket that has said nothing yet."""
    given: dict[str, Any] = {"compression": None, "proxy": None, "max_size": None} | more
    async with connect(f"ws://{address}/api/ws/{session_id}", **given) as socket:
        yield Browser(socket)


@asynccontextmanager
async def attached(
    address: HostPort, session_id: str = "s1", **hello: Any
) -> AsyncIterator[Browser]:
    """A browser that has seen the present."""
    async with browsing(address, session_id) as browser:
        await browser.hello(**hello)
        await browser.hears("caughtUp")
        yield browser


async def until(condition: Callable[[], object]) -> None:
    """Return when something has become true that nobody tells us, within 10 s."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def append(op_id: str, content: str = "x", **more: Any) -> dict[str, Any]:
    """A frame that appends a message."""
    return {"append": {"opId": op_id, "content": content}, **more}


async def by_hand(address: HostPort) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Open a WebSocket that does only what the test says."""
    reader, writer = await asyncio.open_connection(address.host, address.port)
    key = base64.b64encode(bytes(16)).decode()
    writer.write(
        f"GET /api/ws/s1 HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\n"
        f"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
        "\r\n".encode()
    )
    while (await reader.readline()).strip():
        pass
    return reader, writer
