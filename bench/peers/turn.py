"""One turn of one peer, in the environment and the process of its library."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from importlib.metadata import version
from typing import Protocol

from bench.peers.load import Call, drive, usage
from bench.peers.plan import APPENDS, LOADS, Case, Turn

_TEXTS = 64


class Lost(Exception):
    """What was acknowledged is not what is stored."""


class Session(Protocol):
    """A session as its only writer holds it.

    Attributes:
        messages: how many it has, as far as its writer was told.
    """

    messages: int

    async def append(self) -> None:
        """Append one message; return once it is durable."""

    async def stored(self) -> int:
        """Return how many messages the database has."""


class Peer(Protocol):
    """One library on its database."""

    async def prepare(self) -> Mapping[str, object]:
        """Store what will be read; return the settings by which the library does that."""

    async def sessions(self, case: Case, repeat: int) -> Sequence[Session]:
        """Open the sessions of a case of appends."""

    async def load(self, messages: int) -> int:
        """Load the session of so many messages; return how many came."""

    def listing(self) -> Callable[[], Awaitable[int]] | None:
        """Return what lists all sessions of one user, or None where there is no such call."""


Opened = Callable[[Turn, Iterator[str]], AbstractAsyncContextManager[Peer]]


def main(opened: Opened, packages: Sequence[str]) -> None:
    """Do what the first argument says; write what was found as lines of JSON."""
    import uvloop  # only the peers' environments need it

    turn = Turn.from_json(sys.argv[1])
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        for line in runner.run(take(turn, opened, packages)):
            print(line)


def texts(size: int) -> Iterator[str]:
    """Yield the texts that the main bench sends, over and over."""
    chance = random.Random(size)
    return itertools.cycle(
        ["m" + "".join(chance.choices("etaoinshrdlu    ", k=size - 1)) for _ in range(_TEXTS)]
    )


def loaded(messages: int) -> str:
    """Return the name of the session of so many messages that is loaded."""
    return f"loaded-{messages}"


def grown(messages: int, number: int) -> str:
    """Return the name of one of the sessions that had so many messages before the first turn."""
    return f"grown-{messages}-{number}"


def numbers(case: Case, repeat: int) -> Sequence[int]:
    """Return which of its sessions a case appends to.

    One alone is another in each turn, so that no history doubles.
    """
    return range(case.sessions) if case.sessions > 1 else (repeat,)


async def take(turn: Turn, opened: Opened, packages: Sequence[str]) -> list[str]:
    """Store what will be read, or measure every case; return what was found, a line each."""
    async with opened(turn, texts(turn.plan.content_bytes)) as peer:
        if turn.repeat is not None:
            lines: list[str] = []
            for case in turn.plan.cases():
                lines += await _measured(peer, case, turn, turn.repeat)
            return lines
        settings = await peer.prepare()
        packaged = {name: version(name) for name in packages}
        return [json.dumps({"packages": packaged, "settings": settings})]


async def _measured(peer: Peer, case: Case, turn: Turn, repeat: int) -> list[str]:
    sessions: Sequence[Session] = []
    calls: Sequence[Call]
    if case.group == APPENDS:
        sessions = await peer.sessions(case, repeat)
        calls = [session.append for session in sessions]
    elif case.group == LOADS:
        calls = [_expecting(case.messages, lambda: peer.load(case.messages))]
    elif listing := peer.listing():
        calls = [_expecting(case.sessions, listing)]
    else:
        return []
    sample = await drive(
        case,
        calls,
        warm_up=turn.plan.warm_up,
        seconds=turn.plan.window(case),
        usage=lambda: usage(turn.postmaster),
    )
    for session in sessions[:1]:  # one stands for all: a load takes its time
        if (stored := await session.stored()) != session.messages:
            raise Lost(f"{case}: {session.messages} acknowledged, {stored} stored")
    return [sample.to_json()]


def _expecting(count: int, read: Callable[[], Awaitable[int]]) -> Call:
    async def call() -> None:
        if (found := await read()) != count:
            raise Lost(f"{found} came instead of {count}")

    return call
