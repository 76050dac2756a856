"""Which operation ids a session has answered: what makes a repeated change exactly once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sessiond.errors import IdempotencyMismatch
from sessiond.session.access import Actor
from sessiond.session.events import Record
from sessiond.store.codec import StoredRecord

REMEMBERED = 1000
"""How many of a session's last changes are answered again: the promise of the contract."""


class Answered(NamedTuple):
    """The answer that an operation id got: a seq, for a change of this hash.

    A change that changed nothing was answered with the revision of that moment. No event has its
    operation id, so that answer is remembered only as long as the session is held.
    """

    seq: int
    hash: bytes


class Operations:
    """The operation ids of a session's last changes, scoped by actor.

    It may be given the newest of them first, and the older ones when somebody asks.
    """

    def __init__(self, records: Iterable[Record | StoredRecord] = ()) -> None:
        self._recorded: OrderedDict[tuple[Actor, str], Answered] = OrderedDict()
        self._unchanging: OrderedDict[tuple[Actor, str], Answered] = OrderedDict()
        for record in records:
            self.remember(record)

    @property
    def start(self) -> int:
        """The seq of the first change that is remembered; 1 when all of the session are."""
        return next(iter(self._recorded.values())).seq if self._recorded else 1

    def find(self, actor: Actor, op_id: str, change_hash: bytes) -> Answered | None:
        """Return the answer that this operation id got, or None when it is new.

        Raises:
            IdempotencyMismatch: it got its answer for another change.
        """
        key = actor, op_id
        answered = self._recorded.get(key) or self._unchanging.get(key)
        if answered is not None and answered.hash != change_hash:
            raise IdempotencyMismatch
        return answered

    def remember(self, record: Record | StoredRecord) -> None:
        """Remember the change that a record holds; those of 1000 changes ago are forgotten."""
        self._recorded[record.actor, record.op_id] = Answered(record.seq, record.hash)
        if len(self._recorded) > REMEMBERED:
            self._recorded.popitem(last=False)

    def forgotten(self, head: int) -> range:
        """Return the seqs of those of the last 1000 changes, up to `head`, that are not here."""
        return range(max(1, head - REMEMBERED + 1), self.start)

    def remember_older(self, records: Sequence[StoredRecord]) -> None:
        """Remember changes before those that are here; in order, and up to them."""
        for record in reversed(records):
            key = record.actor, record.op_id
            if record.seq < self.start and key not in self._recorded:
                self._recorded[key] = Answered(record.seq, record.hash)
                self._recorded.move_to_end(key, last=False)

    def remember_unchanging(self, actor: Actor, op_id: str, answered: Answered) -> None:
        """Remember the answer to a change that changed nothing."""
        self._unchanging[actor, op_id] = answered
        if len(self._unchanging) > REMEMBERED:
            self._unchanging.popitem(last=False)

    def forget_unchanging(self, actor: Actor, op_id: str) -> None:
        """Forget such an answer: what it rested on was never stored."""
        self._unchanging.pop((actor, op_id), None)
