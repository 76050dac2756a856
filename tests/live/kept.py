"""What is kept, and where a test can wait for it, count it, or lose its answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from services.store.answers import NotRegistered, Owned, Snapshot
from services.store.memory import MemoryRepository
from services.store.writes import Commit, Committed, Creation, Deletion, Outcome, Unknown
from sessiond.session.access import Identity
from sessiond.session.apply import apply
from sessiond.session.changes import CreateSession
from sessiond.session.decide import create
from sessiond.session.events import Record
from sessiond.session.limits import DEFAULT_LIMITS
from sessiond.store.codec import (
    HeadMeta,
    StoredHead,
    decode_head,
    decode_record,
    encode_entry,
    encode_head,
    encode_record,
)
from tests.live.rooms import ALICE, TWO_STEPS

PATIENCE = 10.0
"""How long a test waits for what must come."""


async def at_once() -> None:
    """Hold nobody."""


class Kept(MemoryRepository):
    """The reference, with places where a test can wait, count, or lose an answer.

    `before_commit` runs before a batch of records takes effect, `after_commit` when it has and
    gives the outcomes that Store hears of; the same for deletions, acquisitions, and releases,
    hand-overs among them.
    """

    def __init__(self) -> None:
        super().__init__()
        self.commits: list[Commit] = []
        self.acquisitions = 0
        self.before_commit: Callable[[], Awaitable[None]] = at_once
        self.before_release: Callable[[], Awaitable[None]] = at_once
        self.before_acquire: Callable[[], Awaitable[None]] = at_once
        self.after_commit: Callable[[list[Outcome]], list[Outcome]] = lambda outcomes: outcomes
        self.after_release: Callable[[list[Outcome]], list[Outcome]] = lambda outcomes: outcomes
        self.after_delete: Callable[[Outcome], Outcome] = lambda outcome: outcome

    async def commit(self, batch: Sequence[Commit]) -> list[Outcome]:
        if not any(commit.records for commit in batch):
            await self.before_release()
            return self.after_release(await super().commit(batch))
        self.commits.extend(batch)
        await self.before_commit()
        return self.after_commit(await super().commit(batch))

    async def delete(self, deletion: Deletion) -> Outcome:
        return self.after_delete(await super().delete(deletion))

    async def acquire(
        self, session_id: str, instance: bytes, commit_id: bytes
    ) -> Snapshot | Owned | NotRegistered | None:
        self.acquisitions += 1
        await self.before_acquire()
        return await super().acquire(session_id, instance, commit_id)

    async def make(self, session_id: str = "s1", identity: Identity = ALICE) -> None:
        """Make a session of two steps."""
        event = create(
            CreateSession(),
            workflow=TWO_STEPS,
            session_id=session_id,
            identity=identity,
            limits=DEFAULT_LIMITS,
        )
        now_ms = time.time_ns() // 1_000_000
        record = Record(seq=1, time_ms=now_ms, actor=identity.actor, event=event, op_id="made")
        session, data = apply(None, record), encode_record(record)
        meta = HeadMeta(
            log_id=7, size=len(data), index_ms=now_ms, awaited_agent=session.awaited_agent
        )
        outcome = await self.create(
            Creation(
                session_id=session_id,
                user_id=session.user_id,
                head=encode_head(session, meta),
                record=data,
                entry=encode_entry(session),
                position_ms=now_ms,
                awaited_agent=meta.awaited_agent,
            )
        )
        assert outcome == Committed()

    async def head(self, session_id: str = "s1") -> StoredHead:
        """Return a session's head as it stands."""
        snapshot = await self.snapshot(session_id)
        assert snapshot is not None
        return decode_head(snapshot.head)

    async def log(self, session_id: str = "s1") -> list[Record]:
        """Return all records of a session, in the order of their seqs."""
        snapshot = await self.snapshot(session_id)
        assert snapshot is not None
        found = await self.records(session_id, 1, 10**6, revision=snapshot.revision)
        return [decode_record(record) for record in found]

    async def until(self, true: Callable[[], Awaitable[bool]]) -> None:
        """Wait until something is true of what is kept, looking again at each new revision."""
        async with asyncio.timeout(PATIENCE):
            while not await true():
                await self._kept.moved()


def contents(log: Sequence[Record]) -> list[str]:
    """Return the texts of the messages in a log, after checking that it has no hole."""
    assert [record.seq for record in log] == list(range(1, len(log) + 1))
    return [text for record in log if (text := getattr(record.event, "content", None)) is not None]


@dataclass
class Gate:
    """Holds the first who comes until it is opened."""

    reached: asyncio.Event = field(default_factory=asyncio.Event)
    opened: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self) -> None:
        if not self.reached.is_set():
            self.reached.set()
            await self.opened.wait()


@dataclass
class Losses:
    """Loses some answers; what was asked for is done or not, as told."""

    times: int
    done: bool

    async def before(self) -> None:
        if not self.done and self.times > 0:
            self.times -= 1
            raise TimeoutError

    def after(self, outcomes: list[Outcome]) -> list[Outcome]:
        if self.done and self.times > 0:
            self.times -= 1
            return [Unknown()] * len(outcomes)
        return outcomes
