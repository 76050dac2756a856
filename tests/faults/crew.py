"""The clients of a round, at work: callers, followers, browsers, an agent, and what probes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import count

from sessiond import Client
from sessiond.session.access import Role
from tests.faults.clients.browser import Browser
from tests.faults.clients.callers import Caller
from tests.faults.clients.follower import Follower
from tests.faults.clients.grpc_road import GrpcRoad
from tests.faults.clients.library import LibraryUser
from tests.faults.clients.notebook import Book, Voice, user
from tests.faults.clients.prober import Prober
from tests.faults.clients.rest_road import RestRoad
from tests.faults.clients.worker import Worker
from tests.faults.cluster import Grounds

SESSIONS = tuple(f"session-{number}" for number in range(1, 7))
CHAT = "chat-1"
"""The session in which turns are written."""

PAUSE_SECONDS = 0.03
_USER = "alice"
_STRANGER = "alice:b"
"""Whose keys would stand among those of the other user if ids were not escaped."""

_AGENT = "assistant"


@dataclass
class Crew:
    """Clients at work, each in a task of its own.

    Attributes:
        first: asks for what the round itself needs.
        prober: measures what faults do to sessions.
        broken: what clients ended of.
    """

    book: Book
    first: Caller
    prober: Prober
    working: list[asyncio.Task[None]]
    following: list[asyncio.Task[None]]
    broken: list[Exception] = field(default_factory=list)

    async def finish(self, within: float) -> int:
        """Begin nothing new; return how many clients wait for a last word all the same."""
        self.book.closing.set()
        _, late = await asyncio.wait([*self.working, *self.prober.asking], timeout=within)
        if late:
            self.book.given_up.set()
            await asyncio.wait(late, timeout=10)
        return len(late)

    async def accepted(self, within: float) -> list[str]:
        """Return which sessions accept no change."""

        async def one(session: str) -> bool:
            try:
                async with asyncio.timeout(within):
                    return await self.first.touch(session) is not None
            except TimeoutError:
                return False

        sessions = [*SESSIONS, CHAT]
        taken = await asyncio.gather(*map(one, sessions))
        return [session for session, well in zip(sessions, taken, strict=True) if not well]

    async def go(self) -> None:
        """End all tasks."""
        tasks = [*self.working, *self.following, *self.prober.asking]
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        self.broken = [each for each in ended if isinstance(each, Exception)]


@asynccontextmanager
async def crew(found: Grounds, book: Book) -> AsyncIterator[Crew]:
    """Let clients work in new sessions while the block runs."""
    token = found.keys.user_token(_USER)
    lives, stores = found.names("live"), found.names("store")
    async with AsyncExitStack() as stack:
        channels = {
            name: await stack.enter_async_context(found.door_channel(name))
            for name in (*lives, *stores)
        }

        def over_grpc(name: str, at: Sequence[str], first: int = 0) -> Caller:
            road = GrpcRoad(
                [channels[each] for each in at], [channels[each] for each in stores], token, first
            )
            return Caller(Voice(book, name, user(_USER)), road, SESSIONS, _USER)

        async def over_rest(name: str, first: int) -> Caller:
            road = RestRoad(found.doors_of("gateway"), token, first)
            stack.push_async_callback(road.close)
            return Caller(Voice(book, name, user(_USER)), road, SESSIONS, _USER)

        numbers = count(1)

        def caller_past(victims: Collection[str]) -> Caller:
            at = sorted(lives, key=lambda name: name in victims)
            return over_grpc(f"prober-{next(numbers)}", at)

        first = over_grpc("first", lives)
        for session in SESSIONS:
            await first.create(session)
        await first.create(CHAT, workflow="chat")

        async def library(token: str) -> Client:
            lives, stores = found.doors_of("live"), found.doors_of("store")
            return await stack.enter_async_context(Client(live=lives, store=stores, token=token))

        callers = [over_grpc(f"grpc-{number}", lives, number) for number in range(4)]
        callers += [await over_rest(f"rest-{number}", number) for number in range(3)]
        worker = Worker(
            book,
            "worker",
            await library(found.keys.user_token("worker", role="agent", agents=[_AGENT])),
            actor=user("worker", Role.AGENT),
            session=CHAT,
            agent=_AGENT,
        )
        # One who has a session too, and asks for those of another.
        stranger = Caller(
            Voice(book, "stranger", user(_STRANGER)),
            GrpcRoad(
                [channels[each] for each in lives],
                [channels[each] for each in stores],
                found.keys.user_token(_STRANGER),
                1,
            ),
            (SESSIONS[1], "session-of-a-stranger"),
            _STRANGER,
        )
        await stranger.create("session-of-a-stranger")
        person = LibraryUser(
            book, "library", await library(token), actor=user(_USER), session=SESSIONS[0]
        )
        followers = [
            Follower(
                book,
                f"follower-{number}",
                [channels[name] for name in lives[number:] + lives[:number]],
                token,
                [*SESSIONS, CHAT],
            )
            for number in range(3)
        ]
        addresses = found.doors_of("gateway")
        browsers = [
            Browser(
                Voice(book, f"browser-{number}", user(_USER)),
                addresses[number % 2 :] + addresses[: number % 2],
                token=token,
                session=session,
            )
            for number, session in enumerate([*SESSIONS[:3], CHAT])
        ]
        task = asyncio.create_task
        at_work = Crew(
            book,
            first,
            Prober(caller_past),
            working=[
                *(task(each.run(PAUSE_SECONDS)) for each in callers),
                *(task(each.run(5 * PAUSE_SECONDS)) for each in browsers),
                task(stranger.run(10 * PAUSE_SECONDS)),
                task(person.run(5 * PAUSE_SECONDS)),
                task(worker.run()),
            ],
            following=[
                *(task(each.run()) for each in followers),
                *(task(each.follow()) for each in browsers),
            ],
        )
        try:
            yield at_work
        finally:
            await at_work.go()
