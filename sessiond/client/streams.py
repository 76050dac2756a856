"""The streams of a client, and which of them carries a session.

Any Live carries any session, and passes on what another one owns. Where a session's owner is one
of the addresses that the client was given, the session goes to a stream to that Live, and the
detour is saved:

    attached elsewhere than at its owner --a stream there has its welcome--> moved to that stream
    its owner gave it away               ------------------------> attached at the new owner at once

The first one is no hurry, and nothing is given up before its successor stands. What is known of
owners is a hint: a stream that breaks goes on at whatever address serves.
"""

from __future__ import annotations

import asyncio

from sessiond.client.stream import Follower, Stream, Surroundings


class Streams:
    """All streams of one client."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._streams: list[Stream] = []
        self._expected: dict[Stream, dict[Follower, Stream]] = {}
        self._closing: set[asyncio.Task[None]] = set()

    def carry(self, follower: Follower) -> Stream:
        """Let any stream that has room carry a session, and return it."""
        stream = self._with_room(follower) or self._open()
        stream.follow(follower)
        return stream

    def end_idle(self) -> None:
        """End the streams that carry nothing any more, and that nothing waits for."""
        for stream in tuple(self._streams):
            if not len(stream) and stream not in self._expected:
                self._streams.remove(stream)
                closing = asyncio.create_task(stream.close(), name="sessiond-stream-close")
                self._closing.add(closing)
                closing.add_done_callback(self._closing.discard)

    async def close(self) -> None:
        """End all streams, and leave nothing behind."""
        streams, self._streams = self._streams, []
        await asyncio.gather(*(stream.close() for stream in streams))
        await asyncio.gather(*self._closing)

    # --- from streams --------------------------------------------------------------------------

    def greeted(self, stream: Stream) -> None:
        """Move the sessions that waited for a stream to have its welcome."""
        for follower, before in self._expected.pop(stream, {}).items():
            if before.carries(follower) and stream.takes(follower):
                self._move(follower, before, stream)
        self.end_idle()

    def elsewhere(self, stream: Stream, follower: Follower, owner: str) -> None:
        """Take the address of the owner of a session that is attached somewhere else."""
        if owner not in self._around.connects:
            return
        there = self._with_room(follower, owner) or self._open(owner)
        if there.connected:
            self._move(follower, stream, there)
            self.end_idle()
        else:
            self._expected.setdefault(there, {})[follower] = stream
            there.begin()

    def given_away(self, stream: Stream, follower: Follower, owner: str) -> bool:
        """Take the address of the new owner of a session that is attached nowhere now.

        Return whether it is attached there.
        """
        if owner not in self._around.connects or owner == stream.address:
            return False
        self._move(follower, stream, self._with_room(follower, owner) or self._open(owner))
        self.end_idle()
        return True

    # --- inside --------------------------------------------------------------------------------

    def _open(self, first: str = "") -> Stream:
        stream = Stream(self._around, self, first)
        self._streams.append(stream)
        return stream

    def _with_room(self, follower: Follower, address: str = "") -> Stream | None:
        """Return a stream, to that address if one is given, that can carry the session too."""
        self._streams = [stream for stream in self._streams if not stream.over]
        self._expected = {each: who for each, who in self._expected.items() if not each.over}
        for stream in self._streams:
            if stream.takes(follower) and address in ("", stream.address):
                return stream
        return None

    def _move(self, follower: Follower, before: Stream, there: Stream) -> None:
        before.release(follower)
        there.follow(follower)
        follower.moved(there)
