"""Readers of server-sent events, as strict as a browser's own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from services.serving.addresses import HostPort
from tests.gateway.conftest import bearer


@dataclass
class Sent:
    """One event; `id` is None where it had none."""

    kind: str = "message"
    data: Any = None
    id: str | None = None


@dataclass
class Listener:
    """What a reader has heard so far. `ended` says that the response is complete."""

    response: httpx.Response
    events: list[Sent] = field(default_factory=list)
    comments: int = 0
    retries: list[int] = field(default_factory=list)
    ended: bool = False

    def __post_init__(self) -> None:
        self._lines = self.response.aiter_lines()
        self._event = Sent()
        self._data: list[str] = []

    @property
    def last_id(self) -> str:
        return [event.id for event in self.events if event.id is not None][-1]

    def of(self, kind: str) -> list[Any]:
        """The data of the events of a kind."""
        return [event.data for event in self.events if event.kind == kind]

    @property
    def kinds(self) -> list[str]:
        return [event.kind for event in self.events]

    async def until(self, enough: Callable[[Listener], object]) -> None:
        """Listen until it is enough, for 10 s at most; the end is always enough."""
        async with asyncio.timeout(10):
            while not enough(self) and not self.ended:
                line = await anext(self._lines, None)
                if line is None:
                    self.ended = True
                else:
                    self._take(line)
        assert enough(self), f"ended after {self.kinds}"

    async def hears(self, kind: str, count: int = 1) -> Any:
        """Return the data of the so-manieth event of a kind."""
        await self.until(lambda heard: len(heard.of(kind)) >= count)
        return self.of(kind)[count - 1]

    async def ends(self) -> None:
        """Listen to the end."""
        await self.until(lambda heard: heard.ended)

    def _take(self, line: str) -> None:
        name, colon, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line:
            if self._data:
                self._event.data = json.loads("\n".join(self._data))
                self.events.append(self._event)
            self._event, self._data = Sent(), []
        elif not name and colon:
            self.comments += 1
        elif name == "event":
            self._event.kind = value
        elif name == "data":
            self._data.append(value)
        elif name == "id":
            self._event.id = value
        elif name == "retry":
            self.retries.append(int(value))
        else:
            raise AssertionError(line)


@asynccontextmanager
async def listening(
    address: HostPort, path: str, *, headers: dict[str, str] | None = None, **claims: Any
) -> AsyncIterator[Listener]:
    """A reader of a path that answers with events."""
    given = bearer(**claims) | (headers or {})
    async with (
        httpx.AsyncClient(base_url=f"http://{address}", timeout=20, trust_env=False) as client,
        client.stream("GET", path, headers=given) as response,
    ):
        assert response.status_code == 200, await response.aread()
        assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
        yield Listener(response)
