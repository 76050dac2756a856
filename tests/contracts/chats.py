"""Sessions as their owner knows them, for tests that write."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Mapping
from typing import Final

from services.store.answers import Snapshot
from services.store.repository import Repository
from services.store.writes import (
    AwaitedWrite,
    Commit,
    Committed,
    Creation,
    Deletion,
    DraftWrite,
    IndexWrite,
    SharedWrite,
)
from sessiond.store.codec import StoredHead, decode_head
from sessiond.store.v1 import records_pb2 as pb
from tests.writing import committed

_numbers: Final[Iterator[int]] = itertools.count(1)
START_MS: Final = 1_700_000_000_000


def some_bytes() -> bytes:
    """Return 16 bytes that no other call returns."""
    return next(_numbers).to_bytes(16, "big")


def head_bytes(
    *, seq: int = 1, epoch: int = 0, owner: bytes = b"", commit_id: bytes | None = None
) -> bytes:
    """Return a head that differs from all others."""
    commit_id = some_bytes() if commit_id is None else commit_id
    return pb.Head(
        format=1, log_id=7, status=1, seq=seq, epoch=epoch, owner=owner, commit_id=commit_id
    ).SerializeToString()


def tombstone_bytes(op_id: str = "delete") -> bytes:
    """Return the head of a deleted session."""
    tombstone = pb.Tombstone(actor=pb.Actor(subject="alice", role="user"), op_id=op_id)
    return pb.Head(format=1, log_id=7, tombstone=tombstone).SerializeToString()


def creation(
    session_id: str, user_id: str = "alice", *, position_ms: int = START_MS, agent: str = ""
) -> Creation:
    """Return a new session with bytes of its own."""
    return Creation(
        session_id=session_id,
        user_id=user_id,
        head=head_bytes(),
        record=b"created " + some_bytes(),
        entry=f"entry of {session_id} at 1".encode(),
        position_ms=position_ms,
        awaited_agent=agent,
    )


async def register(repository: Repository, address: str = "live:1") -> bytes:
    """Register a new instance."""
    instance = some_bytes()
    # Longer than the suite takes: one that ends by itself is a revision amid another test.
    await repository.register(instance, address=address, ttl_seconds=3600)
    return instance


async def own(repository: Repository, session_id: str, instance: bytes) -> Chat:
    """Acquire a session for an instance that is sure to get it."""
    acquired = await repository.acquire(session_id, instance, some_bytes())
    assert isinstance(acquired, Snapshot)
    return Chat(session_id, instance, acquired.head)


async def new_chat(
    repository: Repository,
    session_id: str,
    *,
    user_id: str = "alice",
    agent: str = "",
    instance: bytes | None = None,
) -> Chat:
    """Create a session and own it."""
    made = creation(session_id, user_id, agent=agent)
    assert await repository.create(made) == Committed()
    chat = await own(repository, session_id, instance or await register(repository))
    return dataclasses.replace(chat, user_id=user_id, agent=agent)


@dataclasses.dataclass
class Chat:
    """What an owner knows of a session: the head's bytes, and where it stands in lists."""

    session_id: str
    instance: bytes
    head: bytes
    user_id: str = "alice"
    position_ms: int = START_MS
    agent: str = ""

    @property
    def stored(self) -> StoredHead:
        return decode_head(self.head)

    def commit(
        self,
        *records: bytes,
        position_ms: int | None = None,
        agent: str | None = None,
        outputs: bytes | None = None,
        successor: bytes = b"",
        drafts: tuple[DraftWrite, ...] = (),
        ended_turn: str = "",
        members: bytes | None = None,
        shared: Mapping[str, bool] | None = None,
        given_to: str = "",
    ) -> Commit:
        """Return a commit of these records; the chat stays as it is until `took` it.

        `shared` says with whom it is shared from now on, or no longer; `given_to` is a new owner.
        """
        stored = self.stored
        seq = stored.seq + len(records)
        position_ms = self.position_ms if position_ms is None else position_ms
        return Commit(
            instance=self.instance,
            session_id=self.session_id,
            expected_head=self.head,
            head=head_bytes(seq=seq, epoch=stored.meta.epoch, owner=self.instance),
            first_seq=stored.seq + 1,
            records=records,
            outputs=outputs,
            index=IndexWrite(
                user_id=given_to or self.user_id,
                position_ms=position_ms,
                previous_position_ms=self.position_ms,
                entry=f"entry of {self.session_id} at {seq}".encode(),
                previous_user_id=self.user_id if given_to else "",
            ),
            awaited=None if agent is None else AwaitedWrite(agent, self.agent),
            successor=successor,
            drafts=drafts,
            ended_turn=ended_turn,
            members=members,
            shared=tuple(SharedWrite(*each) for each in (shared or {}).items()),
        )

    def drafting(self, *drafts: DraftWrite) -> Commit:
        """Return a commit of drafts alone."""
        return Commit(self.instance, self.session_id, self.head, b"", drafts=drafts)

    def took(self, commit: Commit) -> None:
        """Know that the commit is stored."""
        self.head = commit.head or self.head
        if commit.index is not None:
            self.user_id = commit.index.user_id
            self.position_ms = commit.index.position_ms
        if commit.awaited is not None:
            self.agent = commit.awaited.agent

    async def write(self, repository: Repository, commit: Commit) -> None:
        """Commit what must succeed."""
        await committed(repository, commit)
        self.took(commit)

    def deletion(self, head: bytes | None = None, *, shared_with: tuple[str, ...] = ()) -> Deletion:
        """Return the deletion of this session."""
        return Deletion(
            instance=self.instance,
            session_id=self.session_id,
            expected_head=self.head,
            head=tombstone_bytes() if head is None else head,
            user_id=self.user_id,
            position_ms=self.position_ms,
            awaited_agent=self.agent,
            shared_with=shared_with,
        )


async def revision_of(repository: Repository) -> int:
    """Return the newest revision."""
    return (await repository.instances())[0]


async def now(repository: Repository, session_id: str) -> Snapshot:
    """Read a session that must be there."""
    found = await repository.snapshot(session_id)
    assert found is not None
    return found


async def all_records(repository: Repository, session_id: str) -> list[bytes]:
    """Read all records of a session as it is now."""
    revision = (await now(repository, session_id)).revision
    return await repository.records(session_id, 1, 20_000, revision=revision)


async def listed(repository: Repository, user_id: str = "alice") -> list[str]:
    """Read the ids in a user's list, in its order."""
    page = await repository.entries(user_id, after=None, limit=1000, revision=None)
    return [entry.session_id for entry in page.entries]


async def all_drafts(repository: Repository, session_id: str, turn_id: str) -> list[bytes]:
    """Read all drafts of a turn as they are now."""
    revision = (await now(repository, session_id)).revision
    return await repository.drafts(session_id, turn_id, revision=revision)
