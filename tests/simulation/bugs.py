"""Bugs, as they are made: each takes one law away from the product, for as long as a block runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, NamedTuple

from services.live.catch_up import CatchUp
from services.live.forming import Formed
from services.live.operations import Operations
from services.live.outcome import Verdict, judge
from services.live.registration import Instance
from services.live.room import Room
from services.live.writing import Writing
from services.store.memory import MemoryRepository
from services.store.repository import Refused
from sessiond.errors import SessiondError, Unavailable
from sessiond.store.codec import decode_head
from tests.simulation.schedule import Schedule

Patch = tuple[Any, str, Any]


@contextmanager
def patched(*patches: Patch) -> Iterator[None]:
    """Put these in place of what stands there."""
    before = [(owner, name, getattr(owner, name)) for owner, name, _ in patches]
    for owner, name, value in patches:
        setattr(owner, name, value)
    try:
        yield
    finally:
        for owner, name, value in before:
            setattr(owner, name, value)


def acknowledge_before_commit() -> Patch:
    """Give the answers of a commit when it is formed."""
    form = Room.form

    def early(self: Room) -> Formed | None:
        formed = form(self)
        if formed is not None:
            formed.give()
        return formed

    return Room, "form", early


def show_before_commit() -> Patch:
    """Show the events of a commit when it is formed."""
    form = Room.form

    def early(self: Room) -> Formed | None:
        formed = form(self)
        for record in formed.records if formed is not None else ():
            self.audience.show(record)
        return formed

    return Room, "form", early


def compare_no_head() -> Patch:
    """Let everybody write who is registered."""

    def refused(
        self: MemoryRepository, session_id: str, expected_head: bytes, instance: bytes
    ) -> Refused | None:
        head = self._kept.get(("head", session_id)) or b""
        return None if instance in self._live else Refused(head, registered=False)

    return MemoryRepository, "_refused", refused


def resume_one_too_late() -> Patch:
    """Leave out the first event after a cursor."""
    events = CatchUp._events

    async def late(self: CatchUp, room: Room, seq: int, session: Any) -> None:
        await events(self, room, seq + 1, session)

    return CatchUp, "_events", late


def resume_one_too_early() -> Patch:
    """Show the last event that the reader has once more."""
    events = CatchUp._events

    async def early(self: CatchUp, room: Room, seq: int, session: Any) -> None:
        await events(self, room, max(1, seq - 1), session)

    return CatchUp, "_events", early


def settle_by_reading() -> Patch:
    """Take an unknown write for one that failed, when a read does not show it."""

    async def read(self: Writing, room: Room, instance: Instance) -> bool:
        if not instance.is_alive() or (formed := room.form()) is None:
            return False
        write: Any = formed.write
        if not hasattr(write, "expected_head") or not hasattr(write, "records"):
            verdict = await self._settled(instance, formed)
        else:
            verdict = judge(formed.attempt, await self._store.commit(instance.id, write))
            if verdict is Verdict.AGAIN:
                try:
                    head = decode_head(await self._store.read_head(room.session.id))
                except SessiondError:
                    verdict = await self._settled(instance, formed)
                else:
                    if head.meta.commit_id == formed.attempt.commit_id:
                        verdict = Verdict.COMMITTED
                    else:
                        room._in_flight = None
                        for request, _ in formed.answers:
                            told = Unavailable()
                            request.give(told)
                        return True
        if not instance.is_alive():
            return False
        if verdict is Verdict.FENCED:
            instance.die()
            return False
        room.settle(verdict)
        return True

    return Writing, "next", read


def check_no_deadline() -> Patch:
    """Believe in one's own life until somebody says otherwise."""
    init: Callable[..., None] = Instance.__init__

    def immortal(self: Instance, *ids: Any, deadline: float, clock: Any) -> None:
        init(self, *ids, deadline=deadline + 1e6, clock=clock)

    return Instance, "__init__", immortal


def forget_operations() -> Patch:
    """Know no operation ids after a takeover."""
    init: Callable[..., None] = Operations.__init__

    def empty(self: Operations, records: Any, *more: Any, **also: Any) -> None:
        init(self, (), *more, **also)

    return Operations, "__init__", empty


def list_later() -> Patch:
    """Write a session and its entry apart: the entry comes with the next commit."""
    writes = MemoryRepository._writes

    def late(self: MemoryRepository, commit: Any) -> Any:
        if commit.index is None:
            return writes(self, commit)
        kept: dict[str, bytes] = self.__dict__.setdefault("_late", {})
        before = kept.get(commit.session_id, commit.index.entry)
        kept[commit.session_id] = commit.index.entry
        return writes(self, replace(commit, index=replace(commit.index, entry=before)))

    return MemoryRepository, "_writes", late


class Bug(NamedTuple):
    """A bug, words of the violation that names it, and the fault without which it does no harm."""

    patch: Callable[[], Patch]
    words: str
    fault: str = ""

    def meets(self, schedule: Schedule) -> bool:
        """Return whether the schedule has that fault, for longer than a registration lives."""
        return not self.fault or any(
            fault.kind == self.fault and (fault.seconds > 5.5 or "pause" not in fault.kind)
            for fault in schedule.faults
        )


BUGS = (
    Bug(acknowledge_before_commit, "ACKNOWLEDGED_"),
    Bug(show_before_commit, "SHOWN_"),
    Bug(compare_no_head, "was written twice"),
    Bug(resume_one_too_late, "STREAM_GAP"),
    Bug(resume_one_too_early, "STREAM_REPEAT"),
    Bug(settle_by_reading, "FAILED_STORED", "ambiguous"),
    Bug(check_no_deadline, "STALE_READ", "pause live"),
    Bug(forget_operations, "_TWICE"),
    Bug(list_later, "INDEX_STALE"),
)
