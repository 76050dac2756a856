"""The changes of a scope, also those that a watch leaves out.

    following --it is time--> reading the whole scope --what differs--> following, from there on

etcd before 3.5.13 can skip events of a watch after a compaction. So the scope is read anew now and
then, and compared with what was told of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator
from contextlib import aclosing, asynccontextmanager, suppress

from services.store.answers import AgentScope, Scope, ScopeChange, SharedScope
from services.store.repository import Repository
from services.store.shared import all_shared, follow_shared
from sessiond.errors import Unavailable

_AT_ONCE = 500

Followed = Scope | SharedScope


class Told:
    """What was told of one scope: of each session when, and a digest of its entry.

    Who goes on from a cursor begins with nothing: each session that is not told until the scope is
    read anew is told once more then, and one that was left out when it went stays.
    """

    def __init__(self) -> None:
        self._sessions: dict[str, tuple[int, int]] = {}

    def __len__(self) -> int:
        """Return of how many sessions something was told."""
        return len(self._sessions)

    def note(self, change: ScopeChange) -> None:
        """Remember what is told."""
        for session_id, entry in change.entries:
            self._sessions[session_id] = (change.revision, hash(entry))
        for session_id in change.removed:
            self._sessions.pop(session_id, None)

    def differences(
        self, revision: int, entries: Iterable[tuple[str, bytes]]
    ) -> Iterator[ScopeChange]:
        """Yield what was not told of the scope as it stands at a revision.

        When a session left is not known. It is told as of the first revision at which it can have,
        so that nothing that another scope tells of it since is undone.
        """
        found = dict(entries)
        for session_id, (told_at, _) in self._sessions.items():
            if session_id not in found:
                yield ScopeChange(told_at + 1, (), (session_id,))
        news = tuple(
            (session_id, entry)
            for session_id, entry in found.items()
            if self._sessions.get(session_id, (0, None))[1] != hash(entry)
        )
        yield ScopeChange(revision, news, ())


async def pages(
    repository: Repository, scope: Followed
) -> AsyncGenerator[tuple[int, tuple[tuple[str, bytes], ...]], None]:
    """Yield the revision that a scope is read at, and its entries, in at least one page.

    Raises:
        RevisionCompacted: the revision was forgotten between two pages.
    """
    if isinstance(scope, AgentScope):
        awaited = await repository.awaited(scope.agent)
        yield awaited.revision, awaited.entries
        return
    if isinstance(scope, SharedScope):
        read_at, shared = await all_shared(repository, scope.user_id, revision=None)
        yield read_at, tuple(shared)
        return
    after: tuple[int, str] | None = None
    revision: int | None = None
    more = True
    while more:
        page = await repository.entries(
            scope.user_id, after=after, limit=_AT_ONCE, revision=revision
        )
        yield page.revision, tuple((entry.session_id, entry.value) for entry in page.entries)
        more, revision = page.more, page.revision
        if page.entries:
            after = (page.entries[-1].position_ms, page.entries[-1].session_id)


async def reconciled(
    repository: Repository,
    scope: Followed,
    told: Told,
    *,
    after_revision: int,
    rest_seconds: float,
) -> AsyncGenerator[ScopeChange, None]:
    """Yield what happens to a scope after a revision, and every `rest_seconds` what was left out.

    Raises:
        RevisionCompacted: changes are no longer kept.
    """
    if isinstance(scope, SharedScope) and not told:
        # Its sessions change in no common order, so a cursor does not say what was told of them.
        async for change in _left_out(repository, scope, told):
            yield change
    while True:
        async with aclosing(_followed(repository, scope, after_revision, rest_seconds)) as followed:
            async for change in followed:
                after_revision = change.revision
                told.note(change)
                yield change
        async for change in _left_out(repository, scope, told):
            after_revision = max(after_revision, change.revision)
            yield change


async def _left_out(
    repository: Repository, scope: Followed, told: Told
) -> AsyncGenerator[ScopeChange, None]:
    """Yield what was not told of a scope as it now stands; nothing where that cannot be read."""
    with suppress(Unavailable):  # a watch goes on without a quorum, and so does this
        revision, entries = await _whole(repository, scope)
        for change in tuple(told.differences(revision, entries)):
            told.note(change)
            yield change


@asynccontextmanager
async def _watch(
    repository: Repository, scope: Followed, after_revision: int
) -> AsyncIterator[AsyncIterator[ScopeChange]]:
    if isinstance(scope, SharedScope):
        shared = follow_shared(repository, scope.user_id, after_revision=after_revision)
        async with aclosing(shared):
            yield shared
    else:
        async with repository.watch(scope, after_revision=after_revision) as watch:
            yield watch


async def _followed(
    repository: Repository, scope: Followed, after_revision: int, seconds: float
) -> AsyncGenerator[ScopeChange, None]:
    """Yield the changes of so many seconds."""
    ends_at = asyncio.get_running_loop().time() + seconds
    async with _watch(repository, scope, after_revision) as watch:
        while True:
            try:
                async with asyncio.timeout_at(ends_at):
                    change = await anext(watch)
            except TimeoutError:
                return
            yield change


async def _whole(repository: Repository, scope: Followed) -> tuple[int, list[tuple[str, bytes]]]:
    async with aclosing(pages(repository, scope)) as read:
        found = [page async for page in read]
    return found[0][0], [entry for _, entries in found for entry in entries]
