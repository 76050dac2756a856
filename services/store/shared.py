"""Sessions that are shared with a user, as lists and watches tell of them.

No entry is copied for a member: a pointer names the session, its head says whose list it stands in
and where, and its table of members as what it is shared. All is read at one revision.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence

from services.store.acquisition import decoded_head, decoded_members
from services.store.pending import INTERVAL_SECONDS
from services.store.repository import Repository, ScopeChange
from sessiond.numbers import MEMBER_ROLE_NUMBER
from sessiond.store.v1.records_pb2 import IndexEntry


async def shared_entries(
    repository: Repository, user_id: str, session_ids: Sequence[str], *, revision: int
) -> list[tuple[str, bytes]]:
    """Return the entries of those of these sessions that are shared with the user, by their ids.

    Each says as what. A session that is gone, or of which the user is no member, is passed over.

    Raises:
        RevisionCompacted: the revision is no longer kept.
    """
    places, roles = [], []
    for found in await repository.shared_sessions(session_ids, revision=revision):
        head = decoded_head(found.session_id, found.head)
        if head.tombstone is not None:
            continue
        members, _ = decoded_members(found.session_id, found.members)
        member = members.get(user_id)
        if member is not None:
            places.append((head.user_id, head.meta.index_ms, found.session_id))
            roles.append(member.role)
    entries = await repository.entries_of(places, revision=revision)
    return [
        (session_id, entry + _SHARED_AS[role])
        for (_, _, session_id), role, entry in zip(places, roles, entries, strict=True)
        if entry
    ]


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
    found = await shared_entries(repository, user_id, page.session_ids, revision=page.revision)
    return page.revision, found


async def follow_shared(
    repository: Repository, user_id: str, *, after_revision: int
) -> AsyncGenerator[ScopeChange, None]:
    """Yield what changes among the sessions that are shared with a user, without an end.

    Of what comes within a quarter of a second, the newest is read, once.

    Raises:
        RevisionCompacted: changes are no longer kept.
    """
    clock = asyncio.get_running_loop().time
    async with repository.watch_shared(user_id, after_revision=after_revision) as changes:
        touched: dict[str, int] = {}
        revision, due = after_revision, 0.0
        while True:
            try:
                async with asyncio.timeout_at(due if touched else None):
                    change = await anext(changes)
            except TimeoutError:
                pass
            else:
                revision = max(revision, change.revision)
                touched.update(dict.fromkeys(change.session_ids, change.revision))
                if not change.session_ids:
                    yield ScopeChange(change.revision, (), ())
                if not touched or clock() < due:
                    continue
            entries = dict(
                await shared_entries(repository, user_id, sorted(touched), revision=revision)
            )
            for session_id, touched_at in touched.items():
                if session_id not in entries:
                    # No later than it left: it may have become the user's own since.
                    yield ScopeChange(touched_at, (), (session_id,))
            yield ScopeChange(revision, tuple(entries.items()), ())
            touched.clear()
            due = clock() + INTERVAL_SECONDS
