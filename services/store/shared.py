"""Sessions that are shared with a user, as lists and watches tell of them.

No entry is copied for a member: a pointer names the session, its head says whose list it stands in
and where, and its table of members as what it is shared. All is read at one revision.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence

from services.store.acquisition import decoded_head, decoded_members
from services.store.answers import ScopeChange
from services.store.pending import INTERVAL_SECONDS
from services.store.repository import Repository
from sessiond.numbers import MEMBER_ROLE_NUMBER
from sessiond.store.v1.records_pb2 import IndexEntry


async def _read(
    repository: Repository, user_id: str, session_ids: Sequence[str], *, revision: int
) -> tuple[list[tuple[str, bytes]], set[str]]:
    """Return the entries of those of these sessions that are shared with the user, by their ids.

    Each says as what. And return which of these sessions are the user's own. One that is gone, or
    of which the user is no member, is passed over.

    Raises:
        RevisionCompacted: the revision is no longer kept.
    """
    own, places, roles = set(), [], []
    for found in await repository.shared_sessions(session_ids, revision=revision):
        head = decoded_head(found.session_id, found.head)
        if head.tombstone is not None:
            continue
        if head.user_id == user_id:
            own.add(found.session_id)
        members, _ = decoded_members(found.session_id, found.members)
        member = members.get(user_id)
        if member is not None:
            places.append((head.user_id, head.meta.index_ms, found.session_id))
            roles.append(member.role)
    entries = await repository.entries_of(places, revision=revision)
    shared = [
        (session_id, entry + _SHARED_AS[role])
        for (_, _, session_id), role, entry in zip(places, roles, entries, strict=True)
        if entry
    ]
    return shared, own


# Encodings that follow one another are one message.
_SHARED_AS = {
    role: IndexEntry(shared_as=number).SerializeToString()
    for role, number in MEMBER_ROLE_NUMBER.items()
}


async def all_shared(
    repository: Repository, user_id: str, *, revision: int | None
) -> tuple[int, list[tuple[str, bytes]]]:
    """Return the revision that is read at, and the entries of all that is shared with the user.

    Raises:
        RevisionCompacted: the revision is no longer kept.
    """
    page = await repository.shared(user_id, revision=revision)
    if not page.session_ids:
        return page.revision, []
    shared, _ = await _read(repository, user_id, page.session_ids, revision=page.revision)
    return page.revision, shared


async def follow_shared(
    repository: Repository, user_id: str, *, after_revision: int
) -> AsyncGenerator[ScopeChange, None]:
    """Yield what changes among the sessions that are shared with a user, without an end.

    Of what comes within a quarter of a second, the newest is read, once. When a session left is
    not known, since changes may overtake one another: it is told as of the read that did not find
    it. One that is the user's own by then is not told: their own list says so, and since when.

    Raises:
        RevisionCompacted: changes are no longer kept.
    """
    clock = asyncio.get_running_loop().time
    async with repository.watch_shared(user_id, after_revision=after_revision) as changes:
        touched: set[str] = set()
        revision, due = after_revision, 0.0
        while True:
            try:
                async with asyncio.timeout_at(due if touched else None):
                    change = await anext(changes)
            except TimeoutError:
                pass
            else:
                revision = max(revision, change.revision)
                touched.update(change.session_ids)
                if not change.session_ids:
                    yield ScopeChange(revision, (), ())
                if not touched or clock() < due:
                    continue
            entries, own = await _read(repository, user_id, sorted(touched), revision=revision)
            left = touched - own - {session_id for session_id, _ in entries}
            yield ScopeChange(revision, tuple(entries), tuple(sorted(left)))
            touched.clear()
            due = clock() + INTERVAL_SECONDS
