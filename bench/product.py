"""Our own figures: appends, lists and loads through the parts, each answer looked at."""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial

import orjson

from bench.load import Call
from bench.system import System
from sessiond.v1.live_pb2 import AppendMessageRequest
from sessiond.v1.live_pb2_grpc import LiveServiceStub
from sessiond.v1.store_pb2 import CreateSessionRequest, GetSessionRequest, ListSessionsRequest
from sessiond.v1.store_pb2_grpc import StoreServiceStub

_AT_ONCE = 32
_APART_SECONDS = 0.05


class Lost(Exception):
    """A session does not hold what was acknowledged."""


class Writer:
    """One user with one session, appending one message after the other."""

    def __init__(self, user: str, session_id: str, texts: Sequence[str]) -> None:
        self.user = user
        self.session_id = session_id
        self.acknowledged = 0
        self._texts = texts
        self._scope = secrets.token_hex(4)

    def next(self) -> tuple[str, str]:
        """Return the next operation id and text."""
        number = self.acknowledged
        return f"{self._scope}-{number}", self._texts[number % len(self._texts)]


class Product:
    """Calls through the parts."""

    def __init__(self, system: System, *, content_bytes: int) -> None:
        self._system = system
        self._live = LiveServiceStub(system.channel("live"))
        self._echo = LiveServiceStub(system.channel("echo"))
        self._store = StoreServiceStub(system.channel("store"))
        chance = random.Random(content_bytes)
        self._texts = [_text(content_bytes, chance) for _ in range(64)]

    # --- what is there before a measurement ------------------------------------------------------

    async def create(self, user: str) -> str:
        """Create a session of the user's; return its id."""
        answer = await self._store.CreateSession(
            CreateSessionRequest(), metadata=self._system.calling(user)
        )
        return answer.session.id

    async def list_of(self, user: str, sessions: int, *, apart: int) -> None:
        """Give the user so many sessions of one message each, the newest of them `apart` in time.

        A listing reads a quarter of a second beyond its page. Nobody is active in dozens of
        sessions within that, so neither is this user.
        """

        async def one() -> None:
            await self.append(Writer(user, await self.create(user), self._texts))

        await _together([one] * (sessions - apart))
        for _ in range(apart):
            await one()
            await asyncio.sleep(_APART_SECONDS)

    async def history(self, user: str, messages: int) -> str:
        """Give the user a session of so many messages; return its id."""
        session_id = await self.create(user)

        async def one() -> None:
            await self.append(Writer(user, session_id, self._texts))

        await _together([one] * messages)
        return session_id

    # --- what is measured ------------------------------------------------------------------------

    async def append(self, writer: Writer) -> int:
        """Append over gRPC."""
        op_id, text = writer.next()
        request = AppendMessageRequest(session_id=writer.session_id, content=text, op_id=op_id)
        await self._live.AppendMessage(request, metadata=self._system.calling(writer.user))
        writer.acknowledged += 1
        return 1

    @asynccontextmanager
    async def echoes(self, in_flight: int) -> AsyncIterator[Sequence[Call]]:
        """The same calls to a server that does nothing."""

        def caller(writer: Writer) -> Call:
            calling = self._system.calling(writer.user)

            async def call() -> int:
                op_id, text = writer.next()
                request = AppendMessageRequest(
                    session_id=writer.session_id, content=text, op_id=op_id
                )
                await self._echo.AppendMessage(request, metadata=calling)
                return 1

            return call

        yield [caller(Writer(f"writer-{n}", "-" * 36, self._texts)) for n in range(in_flight)]

    @asynccontextmanager
    async def appends(self, in_flight: int) -> AsyncIterator[Sequence[Call]]:
        """Durable appends over gRPC, each caller to a new session of its own."""
        async with self._writers(in_flight) as writers:
            yield [partial(self.append, writer) for writer in writers]

    @asynccontextmanager
    async def rest_appends(self, in_flight: int) -> AsyncIterator[Sequence[Call]]:
        """The same over REST, each caller on a connection of its own."""
        async with self._writers(in_flight) as writers:
            calls = []
            for writer in writers:
                calls.append(await self._rest_append(writer))
            yield calls

    @asynccontextmanager
    async def lists(self, user: str, page: int) -> AsyncIterator[Sequence[Call]]:
        """The first page of the user's list over gRPC."""
        request = ListSessionsRequest(user_id=user, page_size=page)
        calling = self._system.calling(user)

        async def call() -> int:
            answer = await self._store.ListSessions(request, metadata=calling)
            _expect(len(answer.sessions), page)
            return 1

        yield [call]

    @asynccontextmanager
    async def rest_lists(self, user: str, page: int) -> AsyncIterator[Sequence[Call]]:
        """The same over REST."""
        connection = await self._system.rest(user)
        path = f"/api/users/{user}/sessions?pageSize={page}"
        _expect(len(orjson.loads(await connection.get(path))["sessions"]), page)

        async def call() -> int:
            await connection.get(path)
            return 1

        yield [call]

    @asynccontextmanager
    async def loads(
        self, user: str, session_id: str, messages: int
    ) -> AsyncIterator[Sequence[Call]]:
        """The whole session over gRPC."""
        request = GetSessionRequest(session_id=session_id)
        calling = self._system.calling(user)

        async def call() -> int:
            answer = await self._store.GetSession(request, metadata=calling)
            _expect(len(answer.session.conversation_history), messages)
            return 1

        yield [call]

    @asynccontextmanager
    async def rest_loads(
        self, user: str, session_id: str, messages: int
    ) -> AsyncIterator[Sequence[Call]]:
        """The same over REST."""
        connection = await self._system.rest(user)
        path = f"/api/sessions/{session_id}"
        _expect(len(orjson.loads(await connection.get(path))["conversationHistory"]), messages)

        async def call() -> int:
            await connection.get(path)
            return 1

        yield [call]

    # --- inside ----------------------------------------------------------------------------------

    @asynccontextmanager
    async def _writers(self, number: int) -> AsyncIterator[list[Writer]]:
        """New sessions, one a user; afterwards each holds what was acknowledged, and no more."""
        users = [f"writer-{n}" for n in range(number)]
        created = await asyncio.gather(*map(self.create, users))
        writers = [
            Writer(user, session_id, self._texts)
            for user, session_id in zip(users, created, strict=True)
        ]
        # Live takes a session over at its first change: that is not what is measured.
        await asyncio.gather(*map(self.append, writers))
        yield writers
        await asyncio.gather(*map(self._check, writers))

    async def _check(self, writer: Writer) -> None:
        answer = await self._store.GetSession(
            GetSessionRequest(session_id=writer.session_id, tail=0),
            metadata=self._system.calling(writer.user),
        )
        stored = answer.session.revision - 1  # the first event made the session
        if stored != writer.acknowledged:
            raise Lost(f"{writer.acknowledged} appends were acknowledged and {stored} are stored")

    async def _rest_append(self, writer: Writer) -> Call:
        connection = await self._system.rest(writer.user)
        path = f"/api/chat/{writer.session_id}/messages"

        async def call() -> int:
            op_id, text = writer.next()
            await connection.post(path, orjson.dumps({"content": text}), key=op_id)
            writer.acknowledged += 1
            return 1

        return call


async def _together(jobs: Sequence[Callable[[], Awaitable[object]]]) -> None:
    """Run all of them, so many at once."""
    places = asyncio.Semaphore(_AT_ONCE)

    async def one(job: Callable[[], Awaitable[object]]) -> None:
        async with places:
            await job()

    async with asyncio.TaskGroup() as tasks:
        for job in jobs:
            tasks.create_task(one(job))


def _text(size: int, chance: random.Random) -> str:
    """Return words of so many bytes in all."""
    words = "".join(chance.choices("etaoinshrdlu    ", k=size - 1))
    return "m" + words


def _expect(found: int, expected: int) -> None:
    if found != expected:
        raise RuntimeError(f"{found} came instead of {expected}")
