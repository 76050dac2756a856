"""What one client has said in a session and has no reply to, and the turns that it writes.

Changes wait in the order in which they were made. On each new attachment all of them are written
again, as they were, with two exceptions. A begin whose turn may still run is said again although it
was answered: that is how a worker takes its turn up again. And the end of such a turn waits until
the worker has said again what the server had not stored, because the server checks the length.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sessiond.errors import IdempotencyMismatch, InvalidArgument, RateLimited
from sessiond.v1.live_pb2 import ClientFrame, Reply

CAPACITY = 1000
"""Changes without a reply. As many are answered from a session's memory when they are repeated."""


@dataclass(slots=True, eq=False)
class _Turn:
    id: str = ""
    live: bool = False  # its begin was answered on the present attachment
    resumed: bool = False  # the text may have shrunk to what was stored
    length: int = 0


@dataclass(slots=True, eq=False)
class _Change:
    frame: ClientFrame
    kind: str
    message: Any
    written: bool = False  # on the present attachment
    in_doubt: bool = False  # written on one that was lost
    turn: _Turn | None = None  # of a begin


class Unanswered:
    """The changes of one session that wait for a reply.

    Each method returns what is to be written now, in order.
    """

    def __init__(self) -> None:
        self._attached = False
        self._seen = 0
        self._changes: dict[str, _Change] = {}
        self._turns: dict[str, _Turn] = {}

    @property
    def frames(self) -> list[ClientFrame]:
        """The changes, in order; of begins those whose turn may run."""
        return [change.frame for change in self._changes.values()]

    def attached(self, seen: int) -> list[ClientFrame]:
        """Say all of it again; `seen` is the seq of the newest event that the client knows of."""
        self._attached = True
        self._seen = seen
        for change in self._changes.values():
            change.written = False
        return [frame for change in self._changes.values() for frame in self._written(change, seen)]

    def lost(self) -> None:
        """Note that nothing can be written until the next attachment."""
        self.ended()
        for change in self._changes.values():
            change.in_doubt |= change.written

    def ended(self) -> None:
        """Note that the other end has answered what it has done, and does no more."""
        self._attached = False
        for turn in self._turns.values():
            turn.live = False

    def in_doubt(self, op_id: str) -> bool:
        """Return whether a change may have been made without a reply."""
        change = self._changes.get(op_id)
        return change is not None and change.in_doubt

    def add(self, frame: ClientFrame, kind: str, seen: int) -> Iterable[ClientFrame]:
        """Take a change. One under an operation id that waits already is the same change.

        Raises:
            InvalidArgument: it has no operation id.
            IdempotencyMismatch: another change waits under this operation id.
            RateLimited: too many changes wait.
        """
        message = getattr(frame, kind)
        if not message.op_id:
            raise InvalidArgument.of("op_id", "must not be empty on a stream")
        known = self._changes.get(message.op_id)
        if known is not None:
            if known.kind != kind or known.message != message:
                raise IdempotencyMismatch
            if known.turn is None or not known.turn.id:
                return ()
            known.turn.live = False
            return self._written(known, seen)
        if len(self._changes) >= CAPACITY:
            raise RateLimited(f"{CAPACITY} changes of this session have no reply yet.")
        change = _Change(frame, kind, message, turn=_Turn() if kind == "begin_turn" else None)
        self._changes[message.op_id] = change
        return self._written(change, seen)

    def write_token(self, frame: ClientFrame) -> Sequence[ClientFrame]:
        """Pass a token on, unless the turn was not taken up again or the token leaves a hole."""
        if not self._attached:
            return ()
        token = frame.token
        turn = self._turns.get(token.turn_id)
        if turn is None:
            return (frame,)
        if not turn.live or (turn.resumed and token.offset > turn.length):
            return ()
        turn.length = max(turn.length, token.offset + len(token.text))
        return (frame, *self._ends(turn)) if turn.resumed else (frame,)

    def answered(self, reply: Reply) -> list[ClientFrame] | None:
        """Take a reply; None when nothing waits for it."""
        change = self._changes.get(reply.op_id)
        if change is None:
            return None
        failed = reply.HasField("error")
        if change.turn is not None:
            return self._begun(reply, change.turn, failed=failed)
        del self._changes[reply.op_id]
        if change.kind == "end_turn" and not failed:
            return self.turn_ended(change.message.turn_id)
        return []

    def turn_ended(self, turn_id: str) -> list[ClientFrame]:
        """Forget a turn; what was to end it still gets its reply."""
        turn = self._turns.pop(turn_id, None)
        return [] if turn is None else self._over(turn)

    def clear(self) -> dict[str, bool]:
        """Forget everything, and return the operation ids, with whether each is in doubt."""
        op_ids = {op_id: change.in_doubt for op_id, change in self._changes.items()}
        self._changes.clear()
        self._turns.clear()
        return op_ids

    def _begun(self, reply: Reply, turn: _Turn, *, failed: bool) -> list[ClientFrame]:
        if failed or reply.turn.ended:
            self._turns.pop(turn.id, None)
            return self._over(turn)
        turn.resumed = turn.id != ""
        turn.id = reply.turn.turn_id
        turn.live = self._attached
        turn.length = reply.turn.offset
        self._turns[turn.id] = turn
        return list(self._ends(turn))

    def _over(self, turn: _Turn) -> list[ClientFrame]:
        for op_id, change in self._changes.items():
            if change.turn is turn:
                del self._changes[op_id]
                break
        return list(self._ends(turn))

    def _ends(self, turn: _Turn) -> Iterator[ClientFrame]:
        """Yield the ends of a turn that waited and need to wait no longer."""
        for change in self._changes.values():
            if change.kind != "end_turn" or change.written:
                continue
            if change.message.turn_id == turn.id:
                yield from self._written(change, self._seen)

    def _written(self, change: _Change, seen: int) -> Sequence[ClientFrame]:
        if not self._attached or self._waits_for_text(change):
            return ()
        if not change.frame.since:
            change.frame.since = seen
        change.written = True
        return (change.frame,)

    def _waits_for_text(self, change: _Change) -> bool:
        if change.kind != "end_turn":
            return False
        turn = self._turns.get(change.message.turn_id)
        if turn is None:
            return False
        return not turn.live or (turn.resumed and turn.length < change.message.length)
