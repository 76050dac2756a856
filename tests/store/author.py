"""Live in miniature: owns sessions of a repository and writes them by the rules."""

from __future__ import annotations

import hashlib
import itertools

from services.store.answers import Snapshot
from services.store.repository import Repository
from services.store.writes import (
    AwaitedWrite,
    Commit,
    Deletion,
    DraftWrite,
    IndexWrite,
    Outcome,
    SharedWrite,
)
from sessiond.session.access import Identity, Role
from sessiond.session.apply import apply
from sessiond.session.changes import AppendMessage, BeginTurn, Change, RewindSession
from sessiond.session.decide import decide
from sessiond.session.events import Record, TurnEnded
from sessiond.session.limits import DEFAULT_LIMITS
from sessiond.session.rewinding import fill, filled_from, fold
from sessiond.session.state import Session
from sessiond.store.codec import (
    Tombstone,
    decode_head,
    decode_outputs,
    decode_record,
    encode_draft,
    encode_entry,
    encode_head,
    encode_members,
    encode_outputs,
    encode_record,
    encode_tombstone_head,
    load,
    needed_seqs,
)
from sessiond.v1 import ownership_pb2 as pb
from tests.writing import committed

ADMIN = Identity("root", Role.ADMIN)
SECRET = "s" * 43
"""That of every link that is made here."""
CRM = Identity("crm", Role.SERVICE, acting_for="alice")


class Author:
    """One registered instance that writes whatever a test asks for; its clock is the test's."""

    def __init__(self, repository: Repository, instance: bytes = b"author-instance!") -> None:
        self.repository = repository
        self.instance = instance
        self.lease = 0
        self.now_ms = 1_800_000_000_000
        self._ids = itertools.count(1_000_000)

    async def register(self, address: str = "127.0.0.1:7301") -> Author:
        """Register the instance."""
        self.lease = await self.repository.register(
            self.instance, address=address, ttl_seconds=3600
        )
        return self

    async def state(self, session_id: str) -> tuple[Snapshot, Session]:
        """Own a session and return it."""
        snapshot = await self.repository.acquire(
            session_id, self.instance, next(self._ids).to_bytes(16, "big")
        )
        assert isinstance(snapshot, Snapshot)
        head, rows = decode_head(snapshot.head), decode_outputs(snapshot.outputs)
        records = await self.repository.records_at(
            session_id, needed_seqs(head, rows), revision=snapshot.revision
        )
        return snapshot, load(head, rows, map(decode_record, records), snapshot.members)

    async def change(
        self,
        session_id: str,
        *changes: Change,
        identity: Identity | None = None,
        apart_ms: int = 1,
        text: str = "",
    ) -> Session:
        """Make changes in one commit, one millisecond apart, and return the session.

        `text` is what has been written in the turn that runs.
        """
        commit, session = await self.commit_of(
            session_id, *changes, identity=identity, apart_ms=apart_ms, text=text
        )
        await committed(self.repository, commit)
        return session

    async def commit_of(
        self,
        session_id: str,
        *changes: Change,
        identity: Identity | None = None,
        apart_ms: int = 1,
        text: str = "",
    ) -> tuple[Commit, Session]:
        """Return the commit that makes these changes, and the session as it will be."""
        snapshot, session = await self.state(session_id)
        before = decode_head(snapshot.head)
        asking = identity or Identity(session.user_id)
        owner, members = session.user_id, session.members
        records: list[bytes] = []
        ended_turn = ""
        for change in changes:
            self.now_ms += apart_ms
            past = await self._past(session_id, snapshot, change)
            events = decide(
                session,
                change,
                identity=asking,
                now_ms=self.now_ms,
                new_id=lambda: f"id-{next(self._ids)}",
                limits=DEFAULT_LIMITS,
                text=text,
                past=past,
                secret_hash=hashlib.sha256(SECRET.encode()).digest(),
            )
            for event in events:
                record = Record(
                    seq=session.seq + 1,
                    time_ms=self.now_ms,
                    actor=asking.actor,
                    event=event,
                    epoch=before.meta.epoch,
                    instance=self.instance,
                )
                session = apply(session, record)
                if past is not None:
                    session = filled_from(session, past)
                records.append(encode_record(record))
                if isinstance(event, TurnEnded):
                    ended_turn = event.turn_id
        previous = before.meta.index_ms
        position = session.last_active_ms if session.last_active_ms >= previous + 250 else previous
        meta = before.meta._replace(
            commit_id=next(self._ids).to_bytes(16, "big"),
            size=before.meta.size + sum(map(len, records)),
            index_ms=position,
            awaited_agent=session.awaited_agent,
        )
        commit = Commit(
            instance=self.instance,
            session_id=session_id,
            expected_head=snapshot.head,
            head=encode_head(session, meta),
            first_seq=before.seq + 1,
            records=tuple(records),
            outputs=encode_outputs(session),
            index=IndexWrite(
                session.user_id,
                position,
                previous,
                encode_entry(session),
                owner if owner != session.user_id else "",
            ),
            awaited=_awaited(owner, session, before.meta.awaited_agent),
            ended_turn=ended_turn,
            members=encode_members(session),
            shared=tuple(
                SharedWrite(user_id, user_id in session.members)
                for user_id in sorted({*members, *session.members})
                if members.get(user_id) != session.members.get(user_id)
            ),
        )
        return commit, session

    async def _past(self, session_id: str, snapshot: Snapshot, change: Change) -> Session | None:
        """Return the session as it was where a rewind goes back to."""
        if not isinstance(change, RewindSession):
            return None
        stored = await self.repository.records(
            session_id, 1, change.to_seq, revision=snapshot.revision
        )
        records = [*map(decode_record, stored)]
        return fill(fold(None, records), records)

    async def begin_turn(self, session_id: str) -> str:
        """Begin a turn as a service, and return its id."""
        session = await self.change(session_id, BeginTurn(), identity=CRM)
        assert session.turn is not None
        return session.turn.id

    async def draft_of(self, session_id: str, *texts: str) -> Commit:
        """Return a commit of the first pieces of the running turn's text."""
        snapshot, session = await self.state(session_id)
        assert session.turn is not None
        drafts = []
        offset = 0
        for number, text in enumerate(texts, 1):
            drafts.append(DraftWrite(session.turn.id, number, encode_draft(offset, text)))
            offset += len(text)
        return Commit(self.instance, session_id, snapshot.head, b"", drafts=tuple(drafts))

    async def say(self, session_id: str, *contents: str, apart_ms: int = 1) -> Session:
        """Append messages of the owner's."""
        return await self.change(
            session_id, *(AppendMessage(content) for content in contents), apart_ms=apart_ms
        )

    async def delete(self, session_id: str) -> Outcome:
        """Leave a tombstone."""
        snapshot, session = await self.state(session_id)
        meta = decode_head(snapshot.head).meta
        tombstone = Tombstone(ADMIN.actor, "delete-1", b"h" * 16, self.now_ms)
        return await self.repository.delete(
            Deletion(
                instance=self.instance,
                session_id=session_id,
                expected_head=snapshot.head,
                head=encode_tombstone_head(meta.log_id, tombstone),
                user_id=session.user_id,
                position_ms=meta.index_ms,
                awaited_agent=meta.awaited_agent,
                shared_with=tuple(session.members),
            )
        )


def wired(commit: Commit, tag: int) -> pb.Commit:
    """Return a commit as Live sends it."""
    index, awaited = commit.index, commit.awaited
    return pb.Commit(
        tag=tag,
        session_id=commit.session_id,
        expected_head=commit.expected_head,
        head=commit.head,
        first_seq=commit.first_seq,
        records=commit.records,
        outputs=commit.outputs,
        index=pb.IndexWrite(
            user_id=index.user_id,
            position_ms=index.position_ms,
            previous_position_ms=index.previous_position_ms,
            entry=index.entry,
            previous_user_id=index.previous_user_id or None,
        )
        if index
        else None,
        awaited=pb.AwaitedWrite(agent=awaited.agent, previous_agent=awaited.previous_agent)
        if awaited
        else None,
        drafts=[
            pb.DraftWrite(turn_id=draft.turn_id, number=draft.number, value=draft.value)
            for draft in commit.drafts
        ],
        ended_turn=commit.ended_turn,
        members=commit.members,
        shared=[pb.SharedWrite(user_id=each.user_id, shared=each.shared) for each in commit.shared],
    )


def _awaited(owner: str, session: Session, before: str) -> AwaitedWrite | None:
    """Return where the session is found from now on; put anew where it names another owner."""
    agent = session.awaited_agent
    if agent != before:
        return AwaitedWrite(agent, before)
    return AwaitedWrite(agent, "") if agent and session.user_id != owner else None
