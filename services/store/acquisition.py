"""Taking sessions over, and reading what a new owner needs of their logs."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import structlog

from services.store.answers import NotRegistered, Owned, RevisionCompacted, Snapshot
from services.store.repository import Repository
from sessiond.errors import Internal, SessionNotFound, Unavailable
from sessiond.session.state import Link, Member
from sessiond.store.codec import (
    StoredHead,
    decode_head,
    decode_members,
    decode_outputs,
    needed_seqs,
)

_log = structlog.get_logger(__name__)

# Compaction leaves 30 s and more: who meets it twice in one read is not merely unlucky.
_TRIES = 3

_CHUNK_BYTES = 1024 * 1024
_CHUNK_RECORDS = 1000


class Acquired:
    """The caller owns the session: head, tables and what it needs to go on.

    `records` are in order of seq, `drafts` those of the running turn, in order.
    """

    def __init__(self, snapshot: Snapshot, records: list[bytes], drafts: list[bytes]) -> None:
        self.head = snapshot.head
        self.outputs = snapshot.outputs
        self.members = snapshot.members
        self.records = records
        self.drafts = drafts


class Deleted:
    """Nobody owns the session: the head is its tombstone."""

    def __init__(self, head: bytes) -> None:
        self.head = head


async def acquire(
    repository: Repository, session_id: str, instance: bytes, commit_id: bytes, *, recent: int
) -> Acquired | Deleted | Owned | NotRegistered:
    """Make the instance the owner, and load the session as it stands at that revision.

    With its `recent` newest records, and what is stored of the turn that runs.

    Raises:
        SessionNotFound: no head stands there.
        Unavailable: not settled, or not loaded, in time; acquiring again is safe.
    """
    for _ in range(_TRIES):
        outcome = await repository.acquire(session_id, instance, commit_id)
        if outcome is None:
            raise SessionNotFound
        if not isinstance(outcome, Snapshot):
            return outcome
        head = decoded_head(session_id, outcome.head)
        if head.tombstone is not None:
            return Deleted(outcome.head)
        try:
            return Acquired(
                outcome,
                await _records(repository, session_id, outcome, head, recent),
                await _drafts(repository, session_id, outcome, head),
            )
        except RevisionCompacted:
            continue
    raise Unavailable


async def read_records(
    repository: Repository, session_id: str, first_seq: int, last_seq: int
) -> AsyncGenerator[list[bytes], None]:
    """Yield the records from `first_seq` to `last_seq` or the newest, in runs of about 1 MiB.

    Raises:
        SessionNotFound: no session stands there, or it was deleted meanwhile.
    """
    compacted = 0
    seq = max(first_seq, 1)
    while True:
        snapshot, head = await living(repository, session_id)
        last = min(last_seq, head.seq)
        run = run_length(head)
        try:
            while seq <= last:
                records = await repository.records(
                    session_id, seq, min(seq + run - 1, last), revision=snapshot.revision
                )
                whole(session_id, records, min(run, last - seq + 1))
                seq += len(records)
                compacted = 0  # a reader that is slow, but gets on, is not the one to be sent away
                for chunk in _chunks(records):
                    yield chunk
            return
        except RevisionCompacted:
            # Records never change, so another revision goes on where this one ended.
            compacted += 1
            if compacted == _TRIES:
                raise Unavailable from None


async def living(repository: Repository, session_id: str) -> tuple[Snapshot, StoredHead]:
    """Read a session that is neither deleted nor a copy that is still being written.

    Raises:
        SessionNotFound: there is none.
    """
    snapshot = await repository.snapshot(session_id)
    if snapshot is None:
        raise SessionNotFound
    head = decoded_head(session_id, snapshot.head)
    if head.tombstone is not None or head.meta.building is not None:
        raise SessionNotFound
    return snapshot, head


def decoded_head(session_id: str, data: bytes) -> StoredHead:
    """Return the head of these bytes.

    Raises:
        Internal: they are none; that is a fault of ours, and logged.
    """
    try:
        return decode_head(data)
    except ValueError:
        _log.exception("head cannot be read", session=session_id)
        raise Internal from None


def decoded_members(session_id: str, data: bytes) -> tuple[dict[str, Member], dict[str, Link]]:
    """Return the members by user and the links by id that this table holds.

    Raises:
        Internal: it cannot be read; that is a fault of ours, and logged.
    """
    try:
        return decode_members(data)
    except ValueError:
        _log.exception("members cannot be read", session=session_id)
        raise Internal from None


def whole(session_id: str, records: list[bytes], expected: int) -> None:
    """Return if as many records came as must stand there.

    Raises:
        Internal: there is a hole in the log; that is a fault of ours, and logged.
    """
    if len(records) != expected:
        _log.error("hole in the log", session=session_id, found=len(records), expected=expected)
        raise Internal


def run_length(head: StoredHead) -> int:
    """Return how many records of this session are about 1 MiB: at least 1, at most 1000."""
    mean = max(head.meta.size // max(head.seq, 1), 1)
    return max(1, min(_CHUNK_RECORDS, _CHUNK_BYTES // mean))


async def _records(
    repository: Repository, session_id: str, snapshot: Snapshot, head: StoredHead, recent: int
) -> list[bytes]:
    newest_from = max(1, head.seq - max(recent, 0) + 1)
    try:
        needed = needed_seqs(head, decode_outputs(snapshot.outputs))
    except ValueError:
        _log.exception("outputs cannot be read", session=session_id)
        raise Internal from None
    scattered = [seq for seq in needed if seq < newest_from]
    records = await repository.records_at(session_id, scattered, revision=snapshot.revision)
    whole(session_id, records, len(scattered))
    run = run_length(head)
    for first in range(newest_from, head.seq + 1, run):
        last = min(first + run - 1, head.seq)
        found = await repository.records(session_id, first, last, revision=snapshot.revision)
        whole(session_id, found, last - first + 1)
        records += found
    return records


async def _drafts(
    repository: Repository, session_id: str, snapshot: Snapshot, head: StoredHead
) -> list[bytes]:
    if head.turn is None:
        return []
    return await repository.drafts(session_id, head.turn.id, revision=snapshot.revision)


def _chunks(records: list[bytes]) -> list[list[bytes]]:
    chunks: list[list[bytes]] = []
    size = 0
    for record in records:
        if not chunks or size + len(record) > _CHUNK_BYTES:
            chunks.append([])
            size = 0
        chunks[-1].append(record)
        size += len(record)
    return chunks
