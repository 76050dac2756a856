"""From what a revision did to what the feed tells of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

import structlog

from services.store.acquisition import decoded_head
from services.store.answers import AllChanges
from services.store.repository import Repository
from sessiond.errors import Internal
from sessiond.event_wire import event_to_wire
from sessiond.session.events import Record, SessionCreated
from sessiond.session.standing import OwnerTransferred
from sessiond.state_wire import set_actor
from sessiond.store.codec import StoredHead, Tombstone, decode_record
from sessiond.v1 import store_pb2 as pb
from sessiond.wire import set_timestamp

_log = structlog.get_logger(__name__)

_REMEMBERED: Final = 10_000


@dataclass(frozen=True, slots=True)
class Told:
    """A message of the feed, without a cursor, and what filters ask of it.

    `user_ids` are the owner, and of a transfer the former one and the new one as well. `kind` is
    the event's, as the fields of Event name it; "" for a deletion. `time_ms` is when it happened; 0
    where nobody knows.
    """

    message: pb.WatchChangesResponse
    time_ms: int
    user_ids: frozenset[str] = frozenset()
    workflow_id: str = ""
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Copied:
    """A copy became visible: its records were written before, and are read when it is told."""

    session_id: str


@dataclass(frozen=True, slots=True)
class Step:
    """What there is to tell of everything up to a revision.

    `time_ms` is no later than what happens after it.
    """

    revision: int
    time_ms: int
    told: tuple[Told | Copied, ...]


class Telling:
    """Tells what happened. `now_ms` is the wall clock."""

    def __init__(self, repository: Repository, *, now_ms: Callable[[], int]) -> None:
        self._repository = repository
        self._now_ms = now_ms
        self._workflows: dict[str, str] = {}

    async def step(self, changes: AllChanges) -> Step:
        """Return what there is to tell of a revision.

        Raises:
            RevisionCompacted: the revision is no longer kept.
            Internal: what stands there cannot be read.
        """
        records: dict[str, list[bytes]] = defaultdict(list)
        for session_id, data in changes.records:
            records[session_id].append(data)
        told: list[Told | Copied] = [
            erased(session_id)
            for session_id in changes.erased
            if await self._was_seen(session_id, changes.revision - 1)
        ]
        for session_id, data in changes.heads.items():
            head = decoded_head(session_id, data)
            if head.tombstone is not None:
                told.append(deleted(session_id, head.tombstone))
            elif head.meta.building is not None:
                continue
            elif session_id in records:
                told += await self.records(session_id, head, records[session_id], changes.revision)
            elif _has_come(head):
                told.append(Copied(session_id))
        times = [each.time_ms for each in told if isinstance(each, Told) and each.time_ms]
        # A session that once had a clock ahead of ours stays ahead, and a cursor that said so
        # would not notice that a day is over.
        now_ms = self._now_ms()
        return Step(changes.revision, min(now_ms, max(times, default=now_ms)), tuple(told))

    async def records(
        self, session_id: str, head: StoredHead, records: Iterable[bytes], revision: int
    ) -> list[Told]:
        """Return what records of a session tell; the head says whose it is."""
        workflow_id = head.workflow_id or await self._workflow(session_id, revision)
        found = []
        for data in records:
            record = _record(session_id, data)
            message = pb.WatchChangesResponse()
            message.changed.user_id = head.user_id
            message.changed.workflow_id = workflow_id
            message.changed.event.CopyFrom(event_to_wire(record, session_id))
            kind = message.changed.event.WhichOneof("event") or ""
            user_ids = frozenset((head.user_id, *_owners_of(record)))
            found.append(Told(message, record.time_ms, user_ids, workflow_id, kind))
        return found

    async def _was_seen(self, session_id: str, revision: int) -> bool:
        """Return whether what was gone after a revision was more than an unfinished copy."""
        found = await self._repository.shared_sessions([session_id], revision=revision)
        heads = (decoded_head(session_id, each.head) for each in found)
        return all(head.meta.building is None for head in heads)

    async def _workflow(self, session_id: str, revision: int) -> str:
        """Return the workflow of a session whose head is of before heads knew it."""
        known = self._workflows.get(session_id)
        if known is None:
            found = await self._repository.records_at(session_id, [1], revision=revision)
            event = _record(session_id, found[0]).event if found else None
            known = event.workflow.id if isinstance(event, SessionCreated) else ""
            if len(self._workflows) >= _REMEMBERED:
                self._workflows.clear()
            self._workflows[session_id] = known
        return known


def deleted(session_id: str, tombstone: Tombstone) -> Told:
    """Return what a tombstone tells."""
    told = erased(session_id)
    set_timestamp(told.message.deleted.time, tombstone.time_ms)
    set_actor(told.message.deleted.actor, tombstone.actor)
    return Told(told.message, tombstone.time_ms)


def erased(session_id: str) -> Told:
    """Return what is told of a session that left nothing."""
    message = pb.WatchChangesResponse()
    message.deleted.session_id = session_id
    return Told(message, 0)


def tombstone_of(session_id: str, head: bytes) -> Tombstone | None:
    """Return what a head says of its session's end; None for a session that lives."""
    return decoded_head(session_id, head).tombstone


def _has_come(head: StoredHead) -> bool:
    """Return whether a head that was put without records is the first that others see of a copy."""
    return head.meta.copied_seq == head.seq and head.meta.epoch == 0


def _owners_of(record: Record) -> tuple[str, ...]:
    """Return who is and was the owner by a transfer, whoever is by now."""
    event = record.event
    return (event.user_id, event.former_user_id) if isinstance(event, OwnerTransferred) else ()


def _record(session_id: str, data: bytes) -> Record:
    try:
        return decode_record(data)
    except ValueError:
        _log.exception("record cannot be read", session=session_id)
        raise Internal from None
