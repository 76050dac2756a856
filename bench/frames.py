"""The frames of one session's appends, made once: what changes from one to the next is a number.

The bare pipeline gets the same frames, and its acknowledgements look like ours, so that the load
generator has the same work with both.
"""

from __future__ import annotations

import random
import secrets
from collections.abc import Iterator

from sessiond.v1.event_pb2 import Event
from sessiond.v1.live_pb2 import AppendMessageRequest, Attach, ClientFrame, Hello, ServerFrame

SESSION_ID_BYTES = 36
"""As long as the ids that Store gives."""

_DIGITS = 8


class Refused(Exception):
    """A change was refused, or the stream was ended."""


class Author:
    """One session and its appends, one after the other."""

    def __init__(self, session_id: str, text: str) -> None:
        self.session_id = session_id
        self.text = text
        self.sent = 0.0
        self.acknowledged = 0
        self._number = 0
        self._scope = secrets.token_hex(4)
        # The operation id is the last field, and its number always as long.
        whole = ClientFrame(batch=[ClientFrame(append=self.request())]).SerializeToString()
        self._stem = whole[:-_DIGITS]

    def append(self, now: float) -> bytes:
        """Return the next append, which is counted as sent now."""
        self.sent = now
        self._number += 1
        return self._stem + b"%08d" % self._number

    def request(self) -> AppendMessageRequest:
        """Return the next append as a unary call takes it."""
        return AppendMessageRequest(
            session_id=self.session_id, content=self.text, op_id=self.op_id()
        )

    def op_id(self) -> str:
        """Return the operation id of the next append."""
        self._number += 1
        return f"{self._scope}-{self._number:0{_DIGITS}}"


def greeting(session_ids: list[str]) -> bytes:
    """Return what opens a stream on these sessions, of which nothing past is wanted."""
    attach = [ClientFrame(attach=Attach(session_id=each, tail=0)) for each in session_ids]
    return ClientFrame(batch=[ClientFrame(hello=Hello()), *attach]).SerializeToString()


def caught_up(data: bytes) -> int:
    """Return for how many sessions this message says that the present is reached."""
    found = 0
    for frame in ServerFrame.FromString(data).batch:
        if frame.HasField("goaway"):
            raise Refused(f"{frame.goaway.reason}: {frame.goaway.detail}")
        found += frame.HasField("caught_up")
    return found


def events(data: bytes) -> list[Event]:
    """Return the events that this message shows."""
    found = []
    for frame in ServerFrame.FromString(data).batch:
        if frame.HasField("event"):
            found.append(frame.event)
        elif frame.HasField("goaway"):
            raise Refused(f"{frame.goaway.reason}: {frame.goaway.detail}")
    return found


def answered(data: bytes) -> Iterator[str]:
    """Yield the session of each append that this message acknowledges."""
    for frame in ServerFrame.FromString(data).batch:
        if frame.HasField("reply"):
            reply = frame.reply
            if reply.HasField("error"):
                raise Refused(f"{reply.error.code}: {reply.error.detail}")
            yield reply.session_id
        elif frame.HasField("goaway"):
            raise Refused(f"{frame.goaway.reason}: {frame.goaway.detail}")


def texts(size: int) -> list[str]:
    """Return some texts of words, of so many bytes each."""
    chance = random.Random(size)
    return ["m" + "".join(chance.choices("etaoinshrdlu    ", k=size - 1)) for _ in range(64)]
