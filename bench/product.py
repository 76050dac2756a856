"""What our parts are asked for around measurements: sessions, histories, and the truth."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from itertools import cycle
from typing import TypeVar

from bench.frames import Author, texts
from bench.streams import Lane, Road, spread
from bench.system import System
from sessiond.v1.live_pb2_grpc import LiveServiceStub
from sessiond.v1.store_pb2 import CreateSessionRequest, GetSessionRequest
from sessiond.v1.store_pb2_grpc import StoreServiceStub

CONNECT = "/sessiond.v1.LiveService/Connect"

_AT_ONCE = 32

T = TypeVar("T")
R = TypeVar("R")


class Lost(Exception):
    """A session does not hold what was acknowledged."""


class Product:
    """Our parts, as those who measure need them."""

    def __init__(self, system: System, *, content_bytes: int) -> None:
        self.system = system
        self.live = LiveServiceStub(system.channel("live-1"))
        self.store = StoreServiceStub(system.channel("store-1"))
        self.texts = texts(content_bytes)
        self.road = Road(system.channel("live-1"), CONNECT, attached=True)
        self._next = cycle(self.texts)

    async def create(self, user: str) -> str:
        """Create a session of the user's; return its id."""
        answer = await self.store.CreateSession(
            CreateSessionRequest(), metadata=self.system.calling(user)
        )
        return answer.session.id

    async def author(self, user: str) -> Author:
        """Create a session of the user's for appends."""
        return Author(await self.create(user), next(self._next))

    async def authors(self, user: str, number: int) -> list[Author]:
        """Create so many."""
        return await together(self.author, [user] * number)

    async def lanes(self, sessions: int, streams: int) -> list[Lane]:
        """Create so many sessions, spread over so many streams of a user each."""

        async def lane(each: tuple[int, int]) -> Lane:
            number, size = each
            user = f"writer-{number}"
            return Lane(self.system.calling(user), await self.authors(user, size))

        return await together(lane, enumerate(spread(sessions, streams)))

    async def check(self, lanes: Iterable[Lane], before: int = 0) -> None:
        """Compare what each session holds with what was acknowledged, and `before` that.

        Raises:
            Lost: one holds more or less.
        """
        asked = [(lane, author) for lane in lanes for author in lane.authors]

        async def one(each: tuple[Lane, Author]) -> None:
            lane, author = each
            request = GetSessionRequest(session_id=author.session_id, tail=0)
            answer = await self.store.GetSession(request, metadata=lane.metadata)
            stored = answer.session.revision - 1 - before  # the first event made the session
            if stored != author.acknowledged:
                raise Lost(
                    f"{author.acknowledged} appends were acknowledged and {stored} are stored"
                )

        await together(one, asked)


async def together(
    job: Callable[[T], Awaitable[R]], things: Iterable[T], *, at_once: int = _AT_ONCE
) -> list[R]:
    """Do the job with each thing, so many at once; return what came of it, in order."""
    places = asyncio.Semaphore(at_once)

    async def one(thing: T) -> R:
        async with places:
            return await job(thing)

    async with asyncio.TaskGroup() as tasks:
        doing = [tasks.create_task(one(thing)) for thing in things]
    return [each.result() for each in doing]
