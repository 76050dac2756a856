"""The in-memory reference: the repository's contract as plainly as it can be written.

It serves the contract suite and simulations, never a running Store. Every write makes a revision,
and nothing waits: each call is one synchronous step of the event loop, so all are in one order.
There is no clock and no chance here. Registrations end by `deregister` or `expire`, history by
`compact`; tombstones stay.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final

from services.store.answers import (
    AgentScope,
    AllChanges,
    AwaitedPage,
    ChangedSince,
    Entry,
    EntryPage,
    EntryScan,
    Existing,
    Instance,
    NotRegistered,
    Owned,
    Remains,
    Scope,
    ScopeChange,
    SharedChange,
    SharedPage,
    SharedSession,
    Snapshot,
    UserScope,
)
from services.store.history import History, Key
from services.store.keys import LAST_DRAFT, LAST_POSITION_MS, LAST_SEQ, Keys
from services.store.memory_feed import Everything, changed_since, first_after
from services.store.repository import Repository
from services.store.writes import (
    BatchRefused,
    Commit,
    Committed,
    CopyEnd,
    CopyPiece,
    Creation,
    Deletion,
    Outcome,
    Refused,
    Unstorable,
)
from sessiond.errors import InvalidArgument, SessionFull
from sessiond.store import codec

LARGEST: Final = 1536 * 1024
"""Bytes that one batch, creation or commit may have, as in etcd."""

MOST_COMMITS: Final = 63
"""Commits that one batch may hold."""

MOST_OPERATIONS: Final = 128
"""Operations that one commit may be; each commit beside it in a batch takes one of them away."""


_KEYS: Final = Keys()
"""Gives scans the order that etcd has."""


class MemoryRepository(Repository):
    """Keeps everything in this object."""

    def __init__(self) -> None:
        self._kept = History()
        self._live: dict[bytes, Instance] = {}
        self._leases = itertools.count(1)
        self._jobs: dict[str, tuple[bytes, int]] = {}
        self._history_id = ""

    # --- what only a reference can do ------------------------------------------------------------

    def expire(self, instance: bytes) -> None:
        """End a registration as if its heartbeats had stopped."""
        if self._live.pop(instance, None):
            self._kept.write({})

    def compact(self) -> None:
        """Forget all history before the present revision."""
        self._kept.compact()

    def renew_history(self, history_id: str) -> None:
        """Say that revisions are of another history, as after a backup was restored."""
        self._history_id = history_id

    def expire_job(self, job: str) -> None:
        """End a hold as if it had not been prolonged."""
        if self._jobs.pop(job, None):
            self._kept.write({})

    # --- sessions --------------------------------------------------------------------------------

    async def create(self, creation: Creation) -> Committed | Existing:
        """Store a new session, or say what stands in its place."""
        session_id = creation.session_id
        head, record = ("head", session_id), ("record", session_id, 1)
        if len(creation.head) + len(creation.record) + len(creation.entry) > LARGEST:
            raise SessionFull
        standing = self._kept.get(head)
        if standing is not None:
            first = self._kept.get(record) or b""
            return Committed() if first == creation.record else Existing(standing, first)
        written = {
            head: creation.head,
            record: creation.record,
            _entry(creation.user_id, creation.position_ms, session_id): creation.entry,
        }
        if creation.awaited_agent:
            written["awaited", creation.awaited_agent, session_id] = creation.entry
        self._kept.write(written)
        return Committed()

    async def snapshot(self, session_id: str) -> Snapshot | None:
        """Read head and tables as they are now."""
        head = self._kept.get(("head", session_id))
        return None if head is None else self._snapshot(session_id, head)

    async def records(
        self, session_id: str, first_seq: int, last_seq: int, *, revision: int
    ) -> list[bytes]:
        """Return the records of a range of seqs at a revision."""
        self._kept.check(revision)
        within = self._kept.range(("record", session_id), revision)
        return [value for key, value in within if first_seq <= int(key[2]) <= last_seq]

    async def records_at(
        self, session_id: str, seqs: Sequence[int], *, revision: int
    ) -> list[bytes]:
        """Return the records of these seqs at a revision."""
        if seqs:
            self._kept.check(revision)
        found = (self._kept.get(("record", session_id, seq), revision) for seq in seqs)
        return [record for record in found if record is not None]

    async def drafts(self, session_id: str, turn_id: str, *, revision: int) -> list[bytes]:
        """Return the drafts of a turn at a revision."""
        self._kept.check(revision)
        found = self._kept.range(("draft", session_id, turn_id), revision)
        return [value for _, value in found]

    # --- lists -----------------------------------------------------------------------------------

    async def count(self, user_id: str) -> int:
        """Return how many sessions the user has now."""
        return len(self._kept.range(("entry", user_id)))

    async def count_shared(self, user_id: str) -> int:
        """Return how many sessions are shared with the user now."""
        return len(self._kept.range(("shared", user_id)))

    async def entries(
        self, user_id: str, *, after: tuple[int, str] | None, limit: int, revision: int | None
    ) -> EntryPage:
        """Return a page of a user's entries."""
        revision = self._kept.revision if revision is None else revision
        self._kept.check(revision)
        start = None if after is None else _entry(user_id, *after)
        found = self._kept.range(("entry", user_id), revision, after=start)
        page = tuple(Entry(str(key[3]), -int(key[2]), value) for key, value in found[:limit])
        return EntryPage(revision, page, more=len(found) > limit)

    async def shared(self, user_id: str, *, revision: int | None) -> SharedPage:
        """Return which sessions are shared with a user."""
        revision = self._kept.revision if revision is None else revision
        self._kept.check(revision)
        found = self._kept.range(("shared", user_id), revision)
        return SharedPage(revision, tuple(str(key[2]) for key, _ in found))

    async def shared_sessions(
        self, session_ids: Sequence[str], *, revision: int
    ) -> list[SharedSession]:
        """Return heads and members of these sessions."""
        if session_ids:
            self._kept.check(revision)
        found = []
        for session_id in session_ids:
            head = self._kept.get(("head", session_id), revision)
            if head is not None:
                members = self._kept.get(("members", session_id), revision) or b""
                found.append(SharedSession(session_id, head, members))
        return found

    async def entries_of(
        self, places: Sequence[tuple[str, int, str]], *, revision: int
    ) -> list[bytes]:
        """Return the entries that stand at these places."""
        if places:
            self._kept.check(revision)
        return [self._kept.get(_entry(*place), revision) or b"" for place in places]

    @asynccontextmanager
    async def watch_shared(
        self, user_id: str, *, after_revision: int
    ) -> AsyncIterator[AsyncIterator[SharedChange]]:
        """Follow what is shared with a user from a revision on."""
        yield _SharedChanges(self._kept, user_id, after_revision)

    async def awaited(self, agent: str) -> AwaitedPage:
        """Return all sessions that await an agent now."""
        found = self._kept.range(("awaited", agent))
        return AwaitedPage(self._kept.revision, tuple((str(key[2]), value) for key, value in found))

    @asynccontextmanager
    async def watch(
        self, scope: Scope, *, after_revision: int
    ) -> AsyncIterator[AsyncIterator[ScopeChange]]:
        """Follow a scope from a revision on."""
        yield _Changes(self._kept, _prefix(scope), after_revision)

    async def scan(self, after: bytes | None, limit: int, revision: int | None) -> EntryScan:
        """Return a piece of all entries, in the order of etcd's keys."""
        revision = self._kept.revision if revision is None else revision
        self._kept.check(revision)
        found = sorted(
            (_KEYS.entry(str(user), -int(place), str(session_id)), value)
            for (_, user, place, session_id), value in self._kept.range(("entry",), revision)
        )
        if after is not None:
            found = [each for each in found if each[0] > after]
        page = []
        for key, value in found[:limit]:
            place = _KEYS.parse_entry(key)
            page.append(Entry(place.session_id, place.position_ms, value))
        last_key = found[:limit][-1][0] if page else b""
        return EntryScan(revision, tuple(page), last_key, more=len(found) > limit)

    # --- jobs ------------------------------------------------------------------------------------

    async def hold_job(self, job: str, holder: bytes, *, ttl_seconds: int) -> int:
        """Take or prolong a job, until it is released or expires."""
        if job not in self._jobs:
            self._kept.write({})
            self._jobs[job] = holder, self._kept.revision
        held_by, term = self._jobs[job]
        return term if held_by == holder else 0

    async def release_job(self, job: str, holder: bytes) -> None:
        """Let a job go."""
        if job in self._jobs and self._jobs[job][0] == holder:
            self.expire_job(job)

    # --- erasures --------------------------------------------------------------------------------

    async def erasure(self, user_id: str) -> bytes | None:
        """Return a user's erasure as it is now."""
        return self._kept.get(("erasure", user_id))

    async def erasures(self) -> tuple[tuple[str, bytes], ...]:
        """Return all erasures as they are now."""
        return tuple((str(key[1]), value) for key, value in self._kept.range(("erasure",)))

    async def ask_erasure(self, user_id: str, erasure: bytes, *, expected: bytes | None) -> bytes:
        """Store an erasure in the place of the expected one."""
        standing = self._kept.get(("erasure", user_id))
        if standing != expected:
            return standing or b""
        self._kept.write({("erasure", user_id): erasure})
        return erasure

    async def remains(self, user_id: str) -> Remains:
        """Return what names a user now."""
        own, shared = self._kept.range(("entry", user_id)), self._kept.range(("shared", user_id))
        return Remains(
            self._kept.revision,
            tuple(Entry(str(key[3]), -int(key[2]), value) for key, value in own),
            tuple(str(key[2]) for key, _ in shared),
            len(self._kept.range(("template", user_id))),
            await self.copies(user_id),
        )

    async def complete_erasure(
        self, user_id: str, receipt: bytes, *, expected: bytes, revision: int
    ) -> bool:
        """Write a receipt, and remove the rest."""
        standing = self._kept.get(("erasure", user_id))
        left, stays = (
            {key for kind in kinds for key, _ in self._kept.range((kind, user_id))}
            for kinds in (("shared", "template", "copy"), ("entry",))
        )
        if standing != expected:
            return standing == receipt
        if any(self._kept.written(key) > revision for key in left | stays):
            return False
        self._kept.write({**dict.fromkeys(left), ("erasure", user_id): receipt})
        return True

    # --- templates -------------------------------------------------------------------------------

    async def put_template(self, user_id: str, name: str, template: bytes) -> None:
        """Store a template."""
        if len(template) > LARGEST:
            raise InvalidArgument.of("user_inputs", "must be shorter")
        self._kept.write({("template", user_id, name): template})

    async def template(self, user_id: str, name: str) -> bytes | None:
        """Return a template."""
        return self._kept.get(("template", user_id, name))

    async def templates(self, user_id: str) -> tuple[tuple[str, bytes], ...]:
        """Return all templates of a user by name."""
        found = self._kept.range(("template", user_id))
        return tuple((str(key[2]), value) for key, value in found)

    async def count_templates(self, user_id: str) -> int:
        """Return how many templates the user has."""
        return len(self._kept.range(("template", user_id)))

    async def delete_template(self, user_id: str, name: str) -> None:
        """Delete a template."""
        if await self.template(user_id, name) is not None:
            self._kept.write({("template", user_id, name): None})

    # --- all sessions ----------------------------------------------------------------------------

    @asynccontextmanager
    async def watch_all(self, *, after_revision: int) -> AsyncIterator[AsyncIterator[AllChanges]]:
        """Follow all sessions from a revision on."""
        yield Everything(self._kept, after_revision)

    async def history_id(self) -> str:
        """Return which history revisions belong to."""
        return self._history_id

    async def check_kept(self, revision: int) -> None:
        """Return if what happened after a revision is still kept."""
        self._kept.check(revision)

    async def changed_since(self, after_revision: int) -> ChangedSince:
        """Return which sessions were written or deleted after a revision."""
        return changed_since(self._kept, after_revision)

    async def first_after(self, session_id: str, after_revision: int, *, last_seq: int) -> int:
        """Return the seq of the first record written after a revision."""
        return first_after(self._kept, session_id, after_revision, last_seq)

    # --- ownership -------------------------------------------------------------------------------

    async def register(self, instance: bytes, *, address: str, ttl_seconds: int) -> int:
        """Register an instance until it is deregistered or expires."""
        for other in [one for one in self._live.values() if one.address == address]:
            if other.instance != instance:
                self.expire(other.instance)
        if instance in self._live:
            raise InvalidArgument.of("instance", "must never have been registered before")
        lease = next(self._leases)
        self._live[instance] = Instance(instance, lease, address, draining=False)
        self._kept.write({})
        return lease

    async def heartbeat(self, instance: bytes, lease: int, *, draining: bool) -> bool:
        """Say whether a registration stands."""
        standing = self._live.get(instance)
        if standing is None or standing.lease != lease:
            return False
        if standing.draining != draining:
            self._live[instance] = dataclasses.replace(standing, draining=draining)
            self._kept.write({})
        return True

    async def deregister(self, instance: bytes, lease: int) -> None:
        """End the registration on a lease, whoever's it is."""
        for standing in [one for one in self._live.values() if one.lease == lease]:
            self.expire(standing.instance)

    async def instances(self) -> tuple[int, tuple[Instance, ...]]:
        """Return who is registered now."""
        return self._kept.revision, tuple(self._live.values())

    @asynccontextmanager
    async def watch_instances(self) -> AsyncIterator[AsyncIterator[tuple[Instance, ...]]]:
        """Follow who is registered."""
        yield _Instances(self._kept, self._live)

    async def acquire(
        self, session_id: str, instance: bytes, commit_id: bytes
    ) -> Snapshot | Owned | NotRegistered | None:
        """Make the instance the owner, unless another registered one is."""
        head = self._kept.get(("head", session_id))
        if head is None:
            return None
        stored = codec.decode_head(head)
        if stored.meta.building is not None:
            return None
        if stored.tombstone is not None:
            return self._snapshot(session_id, head)
        if instance not in self._live:
            return NotRegistered()
        if stored.meta.commit_id == commit_id:
            return self._snapshot(session_id, head)
        owner = stored.meta.owner
        if owner != instance and owner in self._live:
            return Owned(owner, self._live[owner].address)
        epoch = stored.meta.epoch + 1
        head = codec.take_over(head, owner=instance, epoch=epoch, commit_id=commit_id)
        self._kept.write({("head", session_id): head})
        return self._snapshot(session_id, head)

    async def commit(self, batch: Sequence[Commit]) -> list[Outcome]:
        """Store each commit, or say what stood in its way."""
        outcomes: list[Outcome] = [Unstorable()] * len(batch)
        parts = {place: each for place, each in enumerate(batch) if not _malformed(each)}
        if _too_much(parts.values()):
            if len(parts) > 1:
                raise BatchRefused
            return outcomes
        written: dict[Key, bytes | None] = {}
        for place, commit in parts.items():
            outcomes[place] = outcome = self._judge(commit)
            if isinstance(outcome, Committed):
                written.update(self._writes(commit))
        if written:
            self._kept.write(written)
        return outcomes

    async def delete(self, deletion: Deletion) -> Outcome:
        """Replace a session by its tombstone."""
        session_id = deletion.session_id
        if refused := self._refused(session_id, deletion.expected_head, deletion.instance):
            return refused
        children = ("record", "outputs", "members", "draft")
        written: dict[Key, bytes | None] = {
            key: None for kind in children for key, _ in self._kept.range((kind, session_id))
        }
        written[_entry(deletion.user_id, deletion.position_ms, session_id)] = None
        if deletion.awaited_agent:
            written["awaited", deletion.awaited_agent, session_id] = None
        for user_id in deletion.shared_with:
            written["shared", user_id, session_id] = None
        written["head", session_id] = deletion.head
        self._kept.write(written)
        return Committed()

    # --- copies ----------------------------------------------------------------------------------

    async def copies(self, user_id: str) -> tuple[str, ...]:
        """Return which copies the user makes now."""
        return tuple(str(key[2]) for key, _ in self._kept.range(("copy", user_id)))

    async def begin_copy(
        self, session_id: str, head: bytes, *, maker_id: str
    ) -> Committed | Existing:
        """Put a copy's head, or say what stands in its place."""
        standing = self._kept.get(("head", session_id))
        if standing is None:
            self._kept.write({("head", session_id): head, ("copy", maker_id, session_id): b""})
        elif standing != head:
            return Existing(standing, self._kept.get(("record", session_id, 1)) or b"")
        return Committed()

    async def write_copy(self, piece: CopyPiece) -> Committed | Refused:
        """Store a piece of a copy."""
        if sum(map(len, piece.records)) + len(piece.head) > LARGEST:
            raise SessionFull
        written: dict[Key, bytes | None] = {
            ("record", piece.session_id, seq): record
            for seq, record in enumerate(piece.records, piece.first_seq)
        }
        return self._write_copy(piece.session_id, piece.expected_head, piece.head, written)

    async def finish_copy(self, end: CopyEnd) -> Committed | Refused:
        """Make a copy visible."""
        session_id = end.session_id
        written: dict[Key, bytes | None] = {
            _entry(end.user_id, end.position_ms, session_id): end.entry,
            ("copy", end.maker_id, session_id): None,
        }
        if end.outputs:
            written["outputs", session_id] = end.outputs
        if end.members:
            written["members", session_id] = end.members
        for user_id in end.shared_with:
            written["shared", user_id, session_id] = b""
        if end.awaited_agent:
            written["awaited", end.awaited_agent, session_id] = end.entry
        return self._write_copy(session_id, end.expected_head, end.head, written)

    async def drop_copy(
        self, session_id: str, head: bytes, *, maker_id: str
    ) -> Committed | Refused:
        """Remove a copy."""
        if self._kept.get(("head", session_id)) is None:
            return Committed()
        written: dict[Key, bytes | None] = {
            key: None for key, _ in self._kept.range(("record", session_id))
        }
        written["copy", maker_id, session_id] = None
        return self._write_copy(session_id, head, None, written)

    def _write_copy(
        self,
        session_id: str,
        expected: bytes,
        head: bytes | None,
        written: Mapping[Key, bytes | None],
    ) -> Committed | Refused:
        standing = self._kept.get(("head", session_id))
        if standing != expected:
            same = head is not None and standing == head
            return Committed() if same else Refused(standing or b"", registered=True)
        self._kept.write({**written, ("head", session_id): head})
        return Committed()

    # --- how it stands ---------------------------------------------------------------------------

    def _judge(self, commit: Commit) -> Outcome:
        refused = self._refused(commit.session_id, commit.expected_head, commit.instance)
        if refused is None and commit.successor:
            successor = self._live.get(commit.successor)
            if successor is None or successor.draining:
                return Refused(commit.expected_head, registered=True)
        return refused or Committed()

    def _refused(self, session_id: str, expected_head: bytes, instance: bytes) -> Refused | None:
        head = self._kept.get(("head", session_id))
        registered = instance in self._live
        if head == expected_head and registered:
            return None
        return Refused(head or b"", registered)

    def _writes(self, commit: Commit) -> Mapping[Key, bytes | None]:
        session_id, index, awaited = commit.session_id, commit.index, commit.awaited
        ended = self._kept.range(("draft", session_id, commit.ended_turn))
        written: dict[Key, bytes | None] = {key: None for key, _ in ended}
        for draft in commit.drafts:
            written["draft", session_id, draft.turn_id, draft.number] = draft.value
        if commit.head:
            written["head", session_id] = commit.head
        for seq, record in enumerate(commit.records, commit.first_seq):
            written["record", session_id, seq] = record
        if commit.outputs is not None:
            written["outputs", session_id] = commit.outputs
        if commit.members is not None:
            written["members", session_id] = commit.members
        for each in commit.shared:
            written["shared", each.user_id, session_id] = b"" if each.shared else None
        if index is not None:
            before = index.previous_user_id or index.user_id
            written[_entry(before, index.previous_position_ms, session_id)] = None
            written[_entry(index.user_id, index.position_ms, session_id)] = index.entry
        if awaited is not None and awaited.agent != awaited.previous_agent:
            if awaited.previous_agent:
                written["awaited", awaited.previous_agent, session_id] = None
            if awaited.agent and index is not None:
                written["awaited", awaited.agent, session_id] = index.entry
        return written

    def _snapshot(self, session_id: str, head: bytes) -> Snapshot:
        outputs, members = (
            self._kept.get((table, session_id)) or b"" for table in ("outputs", "members")
        )
        return Snapshot(self._kept.revision, head, outputs, members)


class _Changes(AsyncIterator[ScopeChange]):
    """The changes under a prefix after a revision."""

    def __init__(self, kept: History, prefix: Key, passed: int) -> None:
        self._kept = kept
        self._prefix = prefix
        self._passed = passed

    async def __anext__(self) -> ScopeChange:
        while True:
            self._passed, written = await self._kept.change_after(self._passed)
            if change := _change(self._passed, self._prefix, written.items()):
                return change


class _SharedChanges(AsyncIterator[SharedChange]):
    """What happens to the sessions that are shared with a user after a revision."""

    def __init__(self, kept: History, user_id: str, passed: int) -> None:
        self._kept = kept
        self._user_id = user_id
        self._passed = passed

    async def __anext__(self) -> SharedChange:
        while True:
            self._passed, written = await self._kept.change_after(self._passed)
            touched = {str(key[1]) for key in written if key[0] == "head"}
            touched &= {
                str(key[2]) for key, _ in self._kept.range(("shared", self._user_id), self._passed)
            }
            touched |= {str(key[2]) for key in written if key[:2] == ("shared", self._user_id)}
            if touched:
                return SharedChange(self._passed, tuple(sorted(touched)))


class _Instances(AsyncIterator[tuple[Instance, ...]]):
    """Who is registered, now and after each change."""

    def __init__(self, kept: History, live: Mapping[bytes, Instance]) -> None:
        self._kept = kept
        self._live = live
        self._given: tuple[Instance, ...] | None = None

    async def __anext__(self) -> tuple[Instance, ...]:
        while (standing := tuple(self._live.values())) == self._given:
            await self._kept.moved()
        self._given = standing
        return standing


def _entry(user_id: str, position_ms: int, session_id: str) -> Key:
    return ("entry", user_id, -position_ms, session_id)


def _prefix(scope: Scope) -> Key:
    match scope:
        case UserScope(user_id):
            return ("entry", user_id)
        case AgentScope(agent):
            return ("awaited", agent)


def _malformed(commit: Commit) -> bool:
    index = commit.index
    positions = () if index is None else (index.position_ms, index.previous_position_ms)
    return not (
        commit.coherent
        and commit.instance
        and commit.session_id
        and (index is None or index.user_id)
        and all(each.user_id for each in commit.shared)
        and (not commit.records or 0 <= commit.first_seq <= LAST_SEQ + 1 - len(commit.records))
        and all(0 <= position <= LAST_POSITION_MS for position in positions)
        and all(draft.turn_id and 0 <= draft.number <= LAST_DRAFT for draft in commit.drafts)
    )


def _too_much(parts: Collection[Commit]) -> bool:
    """Return whether the parts of a batch cannot go together, or a single one not at all."""
    beside = len(parts) + 1 if len(parts) > 1 else 0
    return (
        len(parts) > MOST_COMMITS
        or len({part.session_id for part in parts}) < len(parts)
        or sum(part.size for part in parts) > LARGEST
        or any(part.operations > MOST_OPERATIONS - beside for part in parts)
    )


def _change(
    revision: int, prefix: Key, written: Iterable[tuple[Key, bytes | None]]
) -> ScopeChange | None:
    """Return what one revision did under a prefix; None for nothing."""
    here = [(str(key[-1]), value) for key, value in written if key[: len(prefix)] == prefix]
    entries = {session_id: value for session_id, value in here if value is not None}
    removed = {session_id: None for session_id, _ in here if session_id not in entries}
    return ScopeChange(revision, tuple(entries.items()), tuple(removed)) if here else None
