"""Writing a session that comes from elsewhere: piece by piece, and then visible all at once.

    begin --> a head marked as building --write--> ... --finish--> a session like any other

Until it is finished nobody else takes it for a session, so a copy that is given up half way is no
session with a hole. Whoever asks for the same copy again goes on where it ended; the doctor removes
what nobody comes back for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from typing import Any, Final

from services.store.acquisition import decoded_head
from services.store.answers import Existing
from services.store.commit import Committer
from services.store.places import OneEach
from services.store.repository import Repository
from services.store.space import Space
from services.store.writes import Committed, CopyEnd, CopyPiece, Refused
from sessiond.errors import (
    PermissionDenied,
    SessionFull,
    SessionNotFound,
    TooManySessions,
    TooManyShared,
    Unavailable,
)
from sessiond.session.access import Identity
from sessiond.session.limits import Limits
from sessiond.session.state import Session
from sessiond.store.codec import (
    Building,
    HeadMeta,
    encode_building_head,
    encode_entry,
    encode_head,
    encode_members,
    encode_outputs,
)

PIECE_RECORDS: Final = 100
"""Records that travel in one transaction: etcd takes 128 operations."""

PIECE_BYTES: Final = 1024 * 1024
"""Bytes of records that travel in one transaction: etcd takes 1.5 MiB."""


class Copying:
    """Makes copies in a repository.

    One piece of each copy is on its way at a time, and it waits in line with the commits of Live:
    so a copy takes a place of theirs, and not the whole road. `committer` None goes past the line.

    Attributes:
        makers: the place of each actor: one who makes many copies at once would take the whole road
            after all, and fill etcd before anybody sees it.
    """

    def __init__(
        self,
        repository: Repository,
        limits: Limits,
        *,
        now_ms: Callable[[], int],
        random_bytes: Callable[[int], bytes],
        committer: Committer | None = None,
        space: Space | None = None,
    ) -> None:
        self.repository = repository
        self.limits = limits
        self.now_ms = now_ms
        self.random_bytes = random_bytes
        self.committer = committer
        self.makers = OneEach()
        self._space = space or Space()

    def check_space(self) -> None:
        """Return if there is space for more.

        Raises:
            Unavailable: there is little left.
        """
        if self._space.is_short:
            raise self._space.refusal()

    async def check_count(self, user_id: str, session_id: str) -> None:
        """Return if the user may have this session as well.

        Other copies that they make count too: nobody can fill etcd with what is never finished.

        Raises:
            TooManySessions: they have as many as one may have.
        """
        others = set(await self.repository.copies(user_id)) - {session_id}
        if await self.repository.count(user_id) + len(others) >= self.limits.sessions_per_user:
            raise TooManySessions

    async def check_shared(self, user_ids: Iterable[str]) -> None:
        """Return if there may be one session more that is shared with each of these users.

        Raises:
            TooManyShared: with one of them, as many are shared as may be.
        """
        counts = await asyncio.gather(*map(self.repository.count_shared, user_ids))
        if any(count >= self.limits.shared_per_user for count in counts):
            raise TooManyShared

    async def begin(self, session_id: str, log_id: int, building: Building) -> Copy | Existing:
        """Begin a copy, or go on with the one of the same actor, operation id and hash.

        `Existing` is what stands in its place: a session, a tombstone, or another copy.
        """
        self.check_space()
        head = encode_building_head(log_id, building)
        maker_id = building.lister_id
        outcome = await self.repository.begin_copy(session_id, head, maker_id=maker_id)
        if isinstance(outcome, Existing):
            standing = decoded_head(session_id, outcome.head).meta.building
            if standing is None or standing[:3] != building[:3]:
                return outcome
            head = outcome.head
        return Copy(self, session_id, head)


class Copy:
    """A copy that is being written.

    Attributes:
        seq: how many records of it stand.
        size: how many bytes these are.
        building: who makes it, of what, and when a piece was last written.
    """

    def __init__(self, copying: Copying, session_id: str, head: bytes) -> None:
        stored = decoded_head(session_id, head)
        if stored.meta.building is None:
            raise ValueError("the head is not that of a copy")
        self.seq = stored.seq
        self.size = stored.meta.size
        self.building = stored.meta.building
        self._copying = copying
        self._repository = copying.repository
        self._session_id = session_id
        self._head = head
        self._log_id = stored.meta.log_id

    async def write(self, records: Sequence[bytes]) -> None:
        """Store the records that follow the last one.

        Whether each has its place in a session is the caller's to know.

        Raises:
            SessionFull: the session would be larger than one can come to be.
            Unavailable: somebody else writes this copy, or there was no answer; it may be gone on
                with.
        """
        for piece in pieces(records):
            self._copying.check_space()
            added = sum(map(len, piece))
            limits = self._copying.limits
            if self.size + added > limits.most_bytes:
                raise SessionFull(f"A session may have {limits.session} bytes.")
            if self.seq + len(piece) > limits.most_events:
                raise SessionFull(f"A session may have {limits.events} changes.")
            await self._write(piece, added)

    async def read(self, seqs: Sequence[int]) -> list[bytes]:
        """Return records of these seqs, which were written before."""
        snapshot = await self._repository.snapshot(self._session_id)
        if snapshot is None or snapshot.head != self._head:
            raise Unavailable
        return await self._repository.records_at(self._session_id, seqs, revision=snapshot.revision)

    async def finish(self, session: Session) -> None:
        """Make the copy visible: `session` is what its records lead to.

        Raises:
            OutcomeUnknown: it may or may not be visible now.
            Unavailable: somebody else writes this copy.
            SessionNotFound: somebody finished it before, and it was deleted since.
        """
        meta = HeadMeta(
            log_id=self._log_id,
            commit_id=self._copying.random_bytes(16),
            size=self.size,
            index_ms=session.last_active_ms,
            awaited_agent=session.awaited_agent,
            copied_seq=session.seq,
        )
        shared = session.members or session.links
        end = CopyEnd(
            session_id=self._session_id,
            expected_head=self._head,
            head=encode_head(session, meta),
            maker_id=self.building.lister_id,
            user_id=session.user_id,
            entry=encode_entry(session),
            position_ms=meta.index_ms,
            outputs=encode_outputs(session),
            members=encode_members(session) if shared else b"",
            shared_with=tuple(session.members),
            awaited_agent=meta.awaited_agent,
        )
        outcome = await self._in_turn(lambda: self._repository.finish_copy(end))
        if isinstance(outcome, Refused):
            self._check_finished(outcome)

    async def drop(self) -> None:
        """Remove the copy, if nobody else went on with it."""
        maker_id = self.building.lister_id
        await self._repository.drop_copy(self._session_id, self._head, maker_id=maker_id)

    async def _write(self, piece: Sequence[bytes], added: int) -> None:
        building = self.building._replace(touched_ms=self._copying.now_ms())
        seq, size = self.seq + len(piece), self.size + added
        head = encode_building_head(self._log_id, building, seq=seq, size=size)
        write = CopyPiece(self._session_id, self._head, head, self.seq + 1, piece)
        outcome = await self._in_turn(lambda: self._repository.write_copy(write))
        if not isinstance(outcome, Committed):
            raise Unavailable
        self._head, self.building, self.seq, self.size = head, building, seq, size

    async def _in_turn(
        self, write: Callable[[], Coroutine[Any, Any, Committed | Refused]]
    ) -> Committed | Refused:
        committer = self._copying.committer
        return await (write() if committer is None else committer.in_turn(write))

    def _check_finished(self, refused: Refused) -> None:
        """Return if the session of this copy stands there, whoever finished it."""
        if not refused.head:
            raise Unavailable
        head = decoded_head(self._session_id, refused.head)
        if head.meta.log_id != self._log_id or head.meta.building is not None:
            raise Unavailable
        if head.tombstone is not None:
            raise SessionNotFound


def pieces(records: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    """Yield the records in runs that one transaction can hold; the longest possible."""
    first, size = 0, 0
    for place, record in enumerate(records):
        full = place - first == PIECE_RECORDS or size + len(record) > PIECE_BYTES
        if full and place > first:
            yield records[first:place]
            first, size = place, 0
        size += len(record)
    if first < len(records):
        yield records[first:]


def check_may_own(identity: Identity) -> None:
    """Return if sessions can be the caller's.

    Raises:
        PermissionDenied: it is an agent, or a service that acts for nobody.
    """
    if not identity.user_id:
        raise PermissionDenied("Only users, and services acting for one, create sessions.")
