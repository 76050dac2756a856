"""Forks and imports on a repository that can be made to break."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable, Iterable, Sequence

from services.store.copying import Copying
from services.store.forking import Forks, Made
from services.store.importing import Imports
from services.store.memory import MemoryRepository
from services.store.repository import Repository
from services.store.space import Space
from services.store.writes import Committed, CopyEnd, CopyPiece, Refused
from sessiond.errors import OutcomeUnknown, Unavailable
from sessiond.event_wire import event_to_wire
from sessiond.session.access import Identity
from sessiond.session.changes import ForkSession, ImportSession
from sessiond.session.events import Record
from sessiond.session.limits import DEFAULT_LIMITS, Limits
from sessiond.store.codec import decode_record
from sessiond.v1.store_pb2 import HistoryEvent, ImportSessionResponse
from tests.store.conftest import Clock, sessions_of

ALICE, BOB = Identity("alice"), Identity("bob")


class Fragile(MemoryRepository):
    """Breaks after so many writes of copies; `lost` says whether the last one was stored."""

    def __init__(self) -> None:
        super().__init__()
        self.left = 1_000_000
        self.lost = False
        self.pieces: list[CopyPiece] = []

    def _break(self) -> bool:
        self.left -= 1
        return self.left < 0

    async def write_copy(self, piece: CopyPiece) -> Committed | Refused:
        broken = self._break()
        if broken and not self.lost:
            raise Unavailable
        self.pieces.append(piece)
        outcome = await super().write_copy(piece)
        if broken:
            raise Unavailable
        return outcome

    async def finish_copy(self, end: CopyEnd) -> Committed | Refused:
        broken = self._break()
        if broken and not self.lost:
            raise OutcomeUnknown
        outcome = await super().finish_copy(end)
        if broken:
            raise OutcomeUnknown
        return outcome

    @property
    def written(self) -> list[int]:
        """The seqs of all records of copies that were written, in order."""
        return [
            seq
            for piece in self.pieces
            for seq in range(piece.first_seq, piece.first_seq + len(piece.records))
        ]


class Copier:
    """What one Store does with copies."""

    def __init__(
        self,
        repository: Repository,
        clock: Clock,
        *,
        limits: Limits = DEFAULT_LIMITS,
        space: Space | None = None,
        random_bytes: Callable[[int], bytes] | None = None,
    ) -> None:
        counted = itertools.count(1)
        self.sessions = sessions_of(repository, clock, limits)
        copying = Copying(
            repository,
            limits,
            now_ms=clock,
            random_bytes=random_bytes or (lambda size: next(counted).to_bytes(size, "big")),
            space=space,
        )
        self._forks = Forks(copying, self.sessions)
        self._imports = Imports(copying)

    async def fork(
        self,
        session_id: str,
        at_seq: int | None = None,
        new_id: str | None = None,
        *,
        identity: Identity = ALICE,
        op_id: str | None = "op",
    ) -> Made:
        return await self._forks.fork(identity, ForkSession(session_id, at_seq, new_id), op_id)

    async def store(
        self,
        session_id: str,
        events: Sequence[HistoryEvent],
        *,
        last_seq: int | None = None,
        identity: Identity = ALICE,
    ) -> ImportSessionResponse:
        """Import a session of these events; of as many as there are unless it is said otherwise."""
        change = ImportSession(session_id, len(events) if last_seq is None else last_seq)
        return await self._imports.store(identity, change, each(events))


async def each(events: Iterable[HistoryEvent]) -> AsyncIterator[HistoryEvent]:
    for event in events:
        yield event


async def log_of(repository: Repository, session_id: str) -> list[Record]:
    """Return all records that stand of a session, seen by anybody or not."""
    snapshot = await repository.snapshot(session_id)
    assert snapshot is not None
    found = await repository.records(session_id, 1, 99_999, revision=snapshot.revision)
    return [decode_record(data) for data in found]


async def history_of(repository: Repository, session_id: str) -> list[HistoryEvent]:
    """Return a session's events as an export tells them."""
    return [
        HistoryEvent(event=event_to_wire(record, session_id), hash=record.hash.hex())
        for record in await log_of(repository, session_id)
    ]
