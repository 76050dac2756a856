"""Reads, one at a time: whole sessions, and lists of them, with every answer to its last byte."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import orjson

from bench.bench import Bench
from bench.filling import fill
from bench.floors.etcd import Raw
from bench.floors.serving import method
from bench.frames import Author
from bench.measuring import Sample, Timing, drive
from bench.product import Product
from bench.rows import Case, Parameters, Row, by_name
from bench.shaping import KEYS, shape_of_an_append
from bench.streams import Lane
from bench.system import System
from services.store.keys import Span
from sessiond.v1.store_pb2 import (
    GetSessionRequest,
    GetSessionResponse,
    ListSessionsRequest,
    ListSessionsResponse,
)

STORE, REST = "Store, gRPC", "gateway, REST"
RANGE, PAIR = "etcd: range", "gRPC: pass-through pair"

_GIVES, _PASSES = "gives", "passes on"
_SERVICE = "/sessiond.v1.StoreService/"
_STREAM_SESSIONS = 1000
_APART, _APART_SECONDS = 70, 0.05


async def loads(bench: Bench) -> list[Row]:
    """Measure loads of whole sessions over gRPC and REST."""
    async with bench.running() as system:
        reads = await Reads.opened(bench, system)
        product, cases = reads.product, list[Case]()
        for messages in bench.plan.loads:
            user = f"reader-of-{messages}"
            lane = Lane(system.calling(user), [await product.author(user)])
            bench.told(f"loads: storing {messages} messages")
            await fill(product.road, [lane], messages)
            session_id = lane.authors[0].session_id
            request = GetSessionRequest(session_id=session_id).SerializeToString()
            whole = await reads.ask("GetSession", request, user)
            session = GetSessionResponse.FromString(whole).session
            _expect(len(session.conversation_history), messages)
            path = f"/api/sessions/{session_id}"
            await reads.look(path, user, "conversationHistory", messages)
            cases += reads.cases(
                {"messages": messages},
                Read(user, "GetSession", request, len(whole), path),
                KEYS.events(session_id, 2, messages + 1),
                messages,
            )
        return await bench.in_turn(system, cases)


async def lists(bench: Bench) -> list[Row]:
    """Measure the first page of a user's list over gRPC and REST."""
    async with bench.running() as system:
        reads = await Reads.opened(bench, system)
        cases: list[Case] = []
        for page, sessions in bench.plan.lists:
            user = f"reader-of-{sessions}-by-{page}"
            bench.told(f"lists: storing {sessions} sessions")
            await reads.store_sessions(user, sessions, _APART if page < sessions else 0)
            request = ListSessionsRequest(user_id=user, page_size=page).SerializeToString()
            whole = await reads.ask("ListSessions", request, user)
            _expect(len(ListSessionsResponse.FromString(whole).sessions), page)
            path = f"/api/users/{user}/sessions?pageSize={page}"
            await reads.look(path, user, "sessions", page)
            cases += reads.cases(
                {"page": page, "sessions": sessions},
                Read(user, "ListSessions", request, len(whole), path),
                KEYS.entries(user),
                page,
            )
        return await bench.in_turn(system, cases)


@dataclass(frozen=True, slots=True)
class Read:
    """One thing to read: by whom, how over gRPC, how long that answer is, and where over REST."""

    user: str
    rpc: str
    request: bytes
    size: int
    path: str


class Reads:
    """Our reads, and what stands beside them."""

    def __init__(self, system: System, product: Product, raw: Raw) -> None:
        self.product = product
        self._system = system
        self._raw = raw

    @classmethod
    async def opened(cls, bench: Bench, system: System) -> Reads:
        """Start the pair that passes bytes through."""
        product = Product(system, content_bytes=bench.plan.content_bytes)
        raw = Raw(system.channel("etcd-1"), await shape_of_an_append(product))
        behind = await system.program(_GIVES, "bench.floors.pass_on")
        await system.program(_PASSES, "bench.floors.pass_on", behind)
        return cls(system, product, raw)

    def cases(self, named: Parameters, read: Read, span: Span, keys: int) -> list[Case]:
        """Return the floors and ours for one thing to read."""

        def case(what: str, measure: Callable[[Timing], Awaitable[Sample]]) -> Case:
            return Case(what, measure, named, unit="reads", floor=True)

        bare = case(RANGE, partial(self._raw.ranges, span, keys))
        pair = case(PAIR, partial(self._pass_through, read.size))
        return [
            bare,
            pair,
            *(
                Case(what, partial(measure, read), named, "reads", beside=by_name(pair, bare))
                for what, measure in ((STORE, self._over_grpc), (REST, self._over_rest))
            ),
        ]

    async def ask(self, rpc: str, request: bytes, user: str) -> bytes:
        """Return an answer of Store's as it came."""
        ask: Any = self._system.channel("store-1").unary_unary(_SERVICE + rpc)
        data: bytes = await ask(request, metadata=self._system.calling(user))
        return data

    async def look(self, path: str, user: str, field: str, expected: int) -> None:
        """Look once whether the gateway's answer holds what is counted on."""
        connection = await self._system.rest(user)
        _expect(len(orjson.loads(await connection.get(path))[field]), expected)

    async def store_sessions(self, user: str, sessions: int, apart: int) -> None:
        """Give the user so many sessions of one message each, the last of them apart in time.

        A listing reads a quarter of a second beyond its page. Nobody is active in dozens of
        sessions within that, so neither is this user.
        """
        while sessions:
            number = min(sessions, _STREAM_SESSIONS)
            authors: list[Author] = await self.product.authors(user, number)
            await fill(self.product.road, [Lane(self._system.calling(user), authors)], 1)
            sessions -= number
        for author in authors[:apart]:
            await self.product.live.AppendMessage(
                author.request(), metadata=self._system.calling(user)
            )
            await asyncio.sleep(_APART_SECONDS)

    async def _over_grpc(self, read: Read, timing: Timing) -> Sample:
        async def call() -> int:
            _expect(len(await self.ask(read.rpc, read.request, read.user)), read.size)
            return 1

        return await drive([call], timing)

    async def _over_rest(self, read: Read, timing: Timing) -> Sample:
        connection = await self._system.rest(read.user)

        async def call() -> int:
            await connection.get(read.path)
            return 1

        return await drive([call], timing)

    async def _pass_through(self, size: int, timing: Timing) -> Sample:
        ask: Any = self._system.channel(_PASSES).unary_unary(method("Give"))

        async def call() -> int:
            _expect(len(await ask(b"%d" % size)), size)
            return 1

        return await drive([call], timing)


def _expect(found: int, expected: int) -> None:
    if found != expected:
        raise RuntimeError(f"{found} came instead of {expected}")
