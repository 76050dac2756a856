"""The changes of a scope, also those that a watch leaves out.

    following --it is time--> reading the whole scope --what differs--> following, from there on

etcd before 3.5.13 can skip events of a watch after a compaction. So the scope is read anew now and
then, and compared with what was told of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import aclosing, suppress

from services.store.repository import AgentScope, Repository, Scope, ScopeChange
from sessiond.errors import Unavailable

_AT_ONCE = 500


class Told:
    """What was told of one scope: of each session when, and a digest of its entry.

    Who goes on from a cursor begins with nothing: each session that is not told until the scope is
    read anew is told once more then, and one that was left out when it went stays.
    """

    def __init__(self) -> None:
        self._sessions: dict[str, tuple[int, int]] = {}

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
    repository: Repository, scope: Scope
) -> AsyncGenerator[tuple[int, tuple[tuple[str, bytes], ...]], None]:
    """Yield the revision that a scope is read at, and its entries, in at least one page.

    Raises:
        RevisionCompacted: the revision was forgotten between two pages.
    """
    if isinstance(scope, AgentScope):
        awaited = await repository.awaited(scope.agent)
        yield awaited.revision, awaited.entries
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
    repository: Repository, scope: Scope, told: Told, *, after_revision: int, rest_seconds: float
) -> AsyncGenerator[ScopeChange, None]:
    """Yield what happens to a scope after a revision, and every `rest_seconds` what was left out.

    Raises:
        RevisionCompacted: changes are no longer kept.
    """
    while True:
        async with aclosing(_followed(repository, scope, after_revision, rest_seconds)) as followed:
            async for change in followed:
                after_revision = change.revision
                told.note(change)
                yield change
        with suppress(Unavailable):  # a watch goes on without a quorum, and so does this
            after_revision, entries = await _whole(repository, scope)
            for change in tuple(told.differences(after_revision, entries)):
                told.note(change)
                yield change


async def _followed(
    repository: Repository, scope: Scope, after_revision: int, seconds: float
) -> AsyncGenerator[ScopeChange, None]:
    """Yield the changes of so many seconds."""
    ends_at = asyncio.get_running_loop().time() + seconds
    async with repository.watch(scope, after_revision=after_revision) as watch:
        while True:
            try:
                async with asyncio.timeout_at(ends_at):
                    change = await anext(watch)
            except TimeoutError:
                return
            yield change


async def _whole(repository: Repository, scope: Scope) -> tuple[int, list[tuple[str, bytes]]]:
    async with aclosing(pages(repository, scope)) as read:
        found = [page async for page in read]
    return found[0][0], [entry for _, entries in found for entry in entries]
