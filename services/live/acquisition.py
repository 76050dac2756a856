"""Becoming a session's owner: acquire it through Store, and load it into a room."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress

from services.live.audience import Later
from services.live.registration import Instance
from services.live.request import Request
from services.live.room import Room
from services.live.store import StoreClient
from sessiond.errors import (
    DeadlineExceeded,
    OutcomeUnknown,
    SessionMoved,
    SessionNotFound,
    Unavailable,
)
from sessiond.session.limits import Limits
from sessiond.store.codec import (
    StoredRecord,
    Tombstone,
    decode_draft,
    decode_head,
    decode_outputs,
    load,
    needed_seqs,
    read_record,
)
from sessiond.v1.ownership_pb2 import AcquireResponse, ReleaseRequest

RECENT = 100
"""Records that are loaded with a session: those that clients ask for who come back, and among which
the changes are that they repeat. A takeover loads many sessions at once; older ones can wait."""

TRIES = 2
"""How often Store is asked for a session; a second replica may answer where the first did not."""

AT_ONCE = 32
"""Sessions loaded at once; each may take 32 MiB on its way."""


class Deleted(Exception):
    """The session is deleted; this is what remains of it."""

    def __init__(self, tombstone: Tombstone) -> None:
        self.tombstone = tombstone
        super().__init__()

    def was_by(self, request: Request) -> bool:
        """Return whether it was this very change that deleted the session."""
        told = self.tombstone
        return (told.actor, told.op_id, told.hash) == (*request.key, request.hash)


class InstanceDied(Exception):
    """The instance is no longer registered, so it owns nothing new; the next one may ask."""


class Acquirer:
    """Makes rooms of sessions that no living instance but the own one owns."""

    def __init__(
        self,
        store: StoreClient,
        *,
        later: Later,
        limits: Limits,
        now_ms: Callable[[], int],
        new_id: Callable[[], str],
        new_commit_id: Callable[[], bytes],
    ) -> None:
        self._store = store
        self._later = later
        self._limits = limits
        self._now_ms = now_ms
        self._new_id = new_id
        self._new_commit_id = new_commit_id
        self._places = asyncio.Semaphore(AT_ONCE)

    async def acquire(self, session_id: str, instance: Instance) -> Room:
        """Return the session's room, in a new epoch of the instance.

        Raises:
            SessionNotFound: there never was such a session.
            Deleted: there was one.
            SessionMoved: another living instance owns it.
            InstanceDied: the instance has no registration any more.
            Unavailable: Store does not answer; asking again is safe.
        """
        async with self._places:
            response = await self._ask(session_id, instance)
            match response.WhichOneof("outcome"):
                case "acquired":
                    return self._load(response.acquired)
                case "owned":
                    raise SessionMoved(response.owned.address)
                case "deleted":
                    tombstone = decode_head(response.deleted).tombstone
                    raise Deleted(tombstone) if tombstone else SessionNotFound
                case _:
                    instance.die()
                    raise InstanceDied

    async def give_up(self, session_id: str, instance: Instance) -> None:
        """Let a session have no owner that the head gives to the instance; others may acquire it.

        Whether that was done is not known when Store does not answer.

        Raises:
            SessionNotFound: there is no such session.
        """
        with suppress(Unavailable, OutcomeUnknown, DeadlineExceeded):
            head = await self._store.read_head(session_id)
            if decode_head(head).meta.owner == instance.id:
                releasing = ReleaseRequest.Releasing(
                    session_id=session_id, expected_head=head, commit_id=self._new_commit_id()
                )
                await self._store.release(instance.id, [releasing])

    async def _ask(self, session_id: str, instance: Instance) -> AcquireResponse:
        for _ in range(TRIES):
            with suppress(Unavailable, OutcomeUnknown, DeadlineExceeded):
                return await self._store.acquire(
                    session_id, instance.id, self._new_commit_id(), recent=RECENT
                )
        raise Unavailable

    def _load(self, acquired: AcquireResponse.Acquired) -> Room:
        head = decode_head(acquired.head)
        outputs = decode_outputs(acquired.outputs)
        records = [read_record(record) for record in acquired.records]
        needed = set(needed_seqs(head, outputs))
        return Room(
            load(
                head,
                outputs,
                [each.whole() for each in records if each.seq in needed],
                acquired.members,
            ),
            head.meta,
            acquired.head,
            newest(records),
            drafts=[decode_draft(draft) for draft in acquired.drafts],
            later=self._later,
            limits=self._limits,
            now_ms=self._now_ms,
            new_id=self._new_id,
            new_commit_id=self._new_commit_id,
        )


def newest(records: Sequence[StoredRecord]) -> Sequence[StoredRecord]:
    """Return the records at the end that have no hole between them."""
    start = len(records) - 1
    while start > 0 and records[start - 1].seq == records[start].seq - 1:
        start -= 1
    return records[start:]
