"""One Live instance's stream of commits: requests in, outcomes out, in no fixed order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator

from services.serving.health import Health
from services.store.beside import beside
from services.store.commit import Committer
from services.store.outcomes import commit_from_wire, response_of
from services.store.writes import Outcome, Unstorable
from sessiond.errors import Unavailable
from sessiond.v1 import ownership_pb2 as pb

# A refused commit brings a head of at most 4 KiB back: this many stay far below 4 MiB.
_RESPONSE_OUTCOMES = 512


class Outbox:
    """Outcomes on their way to one stream.

    It is full at `capacity` commits whose outcomes are not yet written. Then the stream is not
    read further, so who does not read outcomes cannot send commits either.
    """

    def __init__(self, *, capacity: int = 8192) -> None:
        self._capacity = capacity
        self._outcomes: list[tuple[int, Outcome]] = []
        self._awaited = 0
        self._ended = False
        self._changed = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()

    def expect(self, commits: int) -> None:
        """Say that as many outcomes are to come."""
        self._awaited += commits
        self._judge()

    def settle(self, tag: int, outcome: Outcome) -> None:
        """Put in one outcome."""
        self._awaited -= 1
        if not self._outcomes:
            self._changed.set()
        self._outcomes.append((tag, outcome))

    def end(self) -> None:
        """Say that nothing more will be expected."""
        self._ended = True
        self._changed.set()

    async def room(self) -> None:
        """Wait until the outbox is not full."""
        await self._room.wait()

    async def take(self) -> list[tuple[int, Outcome]]:
        """Wait for outcomes and return those that are there, with the tags of their commits.

        There are none when all have been given.
        """
        while not self._outcomes:
            if self._ended and self._awaited == 0:
                return []
            self._changed.clear()
            await self._changed.wait()
        taken = self._outcomes[:_RESPONSE_OUTCOMES]
        del self._outcomes[:_RESPONSE_OUTCOMES]
        self._judge()
        return taken

    def _judge(self) -> None:
        if self._awaited + len(self._outcomes) < self._capacity:
            self._room.set()
        else:
            self._room.clear()


async def commit_stream(
    requests: AsyncIterator[pb.CommitRequest], committer: Committer, health: Health
) -> AsyncGenerator[pb.CommitResponse, None]:
    """Carry the commits of one stream to the committer, and their outcomes back.

    Outcomes that are there together travel together. The stream ends when its requests have ended
    and every outcome was given. When the part drains, requests are no longer read, and the stream
    ends as `Unavailable` after the outcomes of all that were: what was not read is unknown to its
    sender, who settles it by the same commits on another stream. Commits that were read run to
    their end whatever becomes of the stream.
    """
    outbox = Outbox()

    async def read() -> None:
        async for request in requests:
            outbox.expect(len(request.commits))
            for wire in request.commits:
                commit = commit_from_wire(request.instance, wire)
                if commit is None:
                    outbox.settle(wire.tag, Unstorable())
                else:
                    committer.submit(commit, outbox.settle, wire.tag)
            await committer.room()
            await outbox.room()

    async def read_until_drained() -> None:
        try:
            async with beside(read()) as reading, beside(health.drain_begins()) as draining:
                await asyncio.wait({reading, draining}, return_when=asyncio.FIRST_COMPLETED)
                if reading.done():
                    reading.result()
        finally:
            outbox.end()

    async with beside(read_until_drained()) as reading:
        while outcomes := await outbox.take():
            yield response_of(outcomes)
        await reading
    if health.draining:
        raise Unavailable
