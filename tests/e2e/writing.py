"""A writer that goes on whatever happens, and remembers what it was told of every message."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from types import TracebackType
from typing import Self

import httpx

from sessiond.session.events import MessageAppended
from tests.e2e.answers import good, problem
from tests.e2e.system import System, until

TOGETHER = 4
# Together at most 200 a second, so neither the rate is limited, nor is a key forgotten (after 1000
# changes) before an unknown message is repeated.
PAUSE_SECONDS = 0.02


class Writer:
    """Appends messages to one session, a few at a time, while the block runs.

    Each message has a key and a content of its own, and is sent once. `acknowledged` holds the seq
    of each content, `refused` those that were told to be not stored, `unknown` the rest.
    """

    def __init__(self, client: httpx.AsyncClient, session_id: str) -> None:
        self.session_id = session_id
        self.acknowledged: dict[str, int] = {}
        self.refused: set[str] = set()
        self.unknown: set[str] = set()
        self.told: dict[str, int] = defaultdict(int)
        self._client = client
        self._sent = 0
        self._stopping = False
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(self._write()) for _ in range(TOGETHER)]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopping = True
        await asyncio.gather(*self._tasks)

    async def goes_on(self, *, messages: int = 5, seconds: float = 30.0) -> None:
        """Wait until so many more messages were acknowledged."""
        wanted = len(self.acknowledged) + messages

        async def enough() -> bool:
            assert not any(task.done() for task in self._tasks)
            return len(self.acknowledged) >= wanted

        await until(enough, seconds=seconds)

    async def is_told(self, *codes: str, seconds: float = 30.0) -> None:
        """Wait until a message that is sent from now on ends with one of these codes."""
        before = sum(self.told[code] for code in codes)

        async def one_more() -> bool:
            assert not any(task.done() for task in self._tasks)
            return sum(self.told[code] for code in codes) > before

        await until(one_more, seconds=seconds)

    async def check(self, system: System) -> None:
        """What was acknowledged stands where it was said to; what was refused does not stand.

        What is unknown stands at most once, and exactly once after it was repeated.
        """
        places = await self._places(system)
        assert {content: [seq] for content, seq in self.acknowledged.items()} == {
            content: places[content] for content in self.acknowledged
        }
        assert not self.refused & places.keys()
        assert all(len(places[content]) <= 1 for content in self.unknown & places.keys())
        settled = {}
        for content in sorted(self.unknown):
            settled[content] = [good(await self._append(content), 201)["seq"]]
        again = await self._places(system)
        assert again == places | settled
        assert len(again) == len(self.acknowledged) + len(self.unknown)

    async def _places(self, system: System) -> dict[str, list[int]]:
        places: dict[str, list[int]] = defaultdict(list)
        for record in await system.records(self.session_id):
            if isinstance(record.event, MessageAppended):
                places[record.event.content].append(record.seq)
        return dict(places)

    async def _append(self, content: str) -> httpx.Response:
        return await self._client.post(
            f"/api/chat/{self.session_id}/messages",
            json={"content": content},
            headers={"Idempotency-Key": f"key of {content}"},
        )

    async def _write(self) -> None:
        while not self._stopping:
            self._sent += 1
            content = f"message {self._sent}"
            try:
                answer = await self._append(content)
            except httpx.TransportError:
                self.unknown.add(content)
                self.told["nothing"] += 1
                continue
            finally:
                await asyncio.sleep(PAUSE_SECONDS)
            if answer.status_code == httpx.codes.CREATED:
                self.acknowledged[content] = answer.json()["seq"]
                continue
            code = answer.json()["code"]
            self.told[code] += 1
            problem(answer, 503, code)
            assert int(answer.headers["retry-after"]) >= 1
            assert code in ("UNAVAILABLE", "SESSION_MOVED", "OUTCOME_UNKNOWN")
            (self.unknown if code == "OUTCOME_UNKNOWN" else self.refused).add(content)
