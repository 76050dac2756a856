"""Following a user's sessions, or those that await some agents.

    (no cursor) --> listing --listed--> changes
                       ^                   |
                       +------- reset -----+  what happened between is no longer kept

A listing is read at one revision per scope, and what follows are the changes after it. The cursor
on each message holds, for each scope, the revision up to which everything was told.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, aclosing, suppress
from dataclasses import dataclass

from services.serving.health import Health
from services.store.answers import (
    AgentScope,
    RevisionCompacted,
    ScopeChange,
    SharedScope,
    UserScope,
)
from services.store.beside import beside
from services.store.lists import check_own_list
from services.store.pending import Change, Pending
from services.store.reconciling import Followed, Told, pages, reconciled
from services.store.repository import Repository
from services.store.showing import Showing
from services.store.tokens import Fact, seal, unseal
from sessiond.errors import InvalidArgument, PermissionDenied, Unauthenticated, Unavailable
from sessiond.session.access import Identity, Role
from sessiond.session.state import Status
from sessiond.v1 import store_pb2 as pb

RECONCILE_SECONDS = 300.0
"""What a watch may have left out is told after so long at the latest."""

RECONCILE_SHARED_SECONDS = 60.0
"""The same for what is shared: little may happen there, and each look renews the cursor."""

_LONGEST_REST = 3600.0
_LISTED = pb.WatchSessionsResponse.Listed()
_RESET = pb.WatchSessionsResponse.Reset()


@dataclass(frozen=True, slots=True)
class WatchQuery:
    """Which sessions are followed: all of a user, or all that await one of some agents.

    A user's are their own and those that are shared with them.
    """

    scopes: tuple[Followed, ...]
    status: Status | None = None

    @classmethod
    def of_user(cls, user_id: str, status: Status | None) -> WatchQuery:
        """Follow a user's sessions."""
        return cls((UserScope(user_id), SharedScope(user_id)), status)

    @classmethod
    def of_agents(cls, names: Sequence[str], status: Status | None) -> WatchQuery:
        """Follow the sessions that await one of these agents."""
        return cls(tuple(AgentScope(name) for name in sorted(set(names))), status)

    @property
    def facts(self) -> list[Fact | list[Fact]]:
        """What a cursor belongs to."""
        names: list[Fact] = [
            scope.user_id if isinstance(scope, UserScope) else scope.agent
            for scope in self.scopes
            if not isinstance(scope, SharedScope)
        ]
        return ["watch", type(self.scopes[0]).__name__, names, self.status]


def check_watch(identity: Identity, query: WatchQuery) -> None:
    """Return if the caller may follow these sessions.

    Raises:
        PermissionDenied: another user's list, or an agent that the token does not name.
    """
    for scope in query.scopes:
        match scope:
            case UserScope(user_id) | SharedScope(user_id):
                check_own_list(identity, user_id)
            case AgentScope(agent):
                if identity.role is not Role.ADMIN and agent not in identity.agents:
                    raise PermissionDenied("Your token must name every agent that you follow.")


def sealed_cursor(query: WatchQuery, revisions: Sequence[int]) -> str:
    """Return the cursor for a revision per scope."""
    return seal(query.facts, list(revisions))


def opened_cursor(query: WatchQuery, cursor: str) -> list[int]:
    """Return the revisions of a cursor.

    Raises:
        InvalidArgument: it is not one of this query.
    """
    facts = unseal(cursor, query.facts, (int,), field="cursor")
    revisions = [fact for fact in facts if isinstance(fact, int) and fact > 0]
    if len(facts) == 1:  # of a version that followed a user's own sessions alone
        revisions *= len(query.scopes)
    if len(revisions) != len(query.scopes):
        raise InvalidArgument.of("cursor", "must be one that this query was given")
    return revisions


class Watching:
    """Serves watches. `clock` gives seconds that never go back."""

    def __init__(
        self, repository: Repository, health: Health, *, clock: Callable[[], float]
    ) -> None:
        self._repository = repository
        self._health = health
        self._clock = clock

    async def watch(
        self, query: WatchQuery, *, cursor: str | None, seconds: float
    ) -> AsyncGenerator[pb.WatchSessionsResponse, None]:
        """Yield what the proto of WatchSessions promises, for as long as the caller's token lives.

        Raises:
            InvalidArgument: the cursor is not one of this query.
            Unauthenticated: `seconds`, the life of the caller's token, are over.
            Unavailable: the part drains; the last cursor goes on elsewhere.
        """
        revisions = opened_cursor(query, cursor) if cursor else None
        async with beside(self._health.drain_begins()) as draining:
            watch = _Watch(self._repository, query, self._clock, seconds, draining)
            while True:
                following = watch.listing() if revisions is None else watch.changes(revisions)
                try:
                    async with aclosing(following) as responses:
                        async for response in responses:
                            yield response
                            watch.check()
                    revisions = watch.revisions
                except RevisionCompacted:
                    revisions = None
                    yield pb.WatchSessionsResponse(reset=_RESET)


class _Watch:
    """One watch. Its memory is bounded: a feed waits when too many sessions wait to be told."""

    def __init__(
        self,
        repository: Repository,
        query: WatchQuery,
        clock: Callable[[], float],
        seconds: float,
        draining: asyncio.Task[None],
    ) -> None:
        self._repository = repository
        self._query = query
        self._clock = clock
        self._ends_at = clock() + seconds
        self._draining = draining
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._pending = Pending(())
        self._listed: list[tuple[str, int]] = []
        self._told: list[Told] = []
        self._showing = Showing(query.status, complete=False)
        self.revisions: list[int] = []
        draining.add_done_callback(lambda _: self._wake.set())

    def check(self) -> None:
        """Return if the watch may go on."""
        if self._draining.done():
            raise Unavailable
        if self._clock() >= self._ends_at:
            raise Unauthenticated("The token has expired.")

    async def listing(self) -> AsyncGenerator[pb.WatchSessionsResponse, None]:
        """Yield all sessions that match, and that this was all."""
        self.revisions = []
        self._listed = []
        self._told = []
        self._showing = Showing(self._query.status, complete=True)
        for scope in self._query.scopes:
            revision = 0
            told = Told()
            async with aclosing(pages(self._repository, scope)) as read:
                async for revision, entries in read:
                    told.note(ScopeChange(revision, entries, ()))
                    for session_id, value in entries:
                        if len(self._query.scopes) > 1:
                            self._listed.append((session_id, revision))
                        response = self._showing.response(Change(session_id, value))
                        if response is not None:
                            yield response
            self.revisions.append(revision)
            self._told.append(told)
        cursor = sealed_cursor(self._query, self.revisions)
        yield pb.WatchSessionsResponse(listed=_LISTED, cursor=cursor)

    async def changes(self, revisions: list[int]) -> AsyncGenerator[pb.WatchSessionsResponse, None]:
        """Yield the changes after these revisions, without an end."""
        self._pending = Pending(revisions, self._listed)
        self._listed = []
        told = self._told or [Told() for _ in revisions]
        async with AsyncExitStack() as stack:
            feeds: list[asyncio.Task[None]] = []
            for place in range(len(revisions)):
                feed = await stack.enter_async_context(
                    beside(self._feed(place, told[place], revisions[place]))
                )
                feed.add_done_callback(lambda _: self._wake.set())
                feeds.append(feed)
            while True:
                self._wake.clear()
                while (change := self._pending.take(self._clock())) is not None:
                    self._room.set()
                    response = self._showing.response(change)
                    if response is not None:
                        response.cursor = sealed_cursor(self._query, self._pending.revisions)
                        yield response
                for feed in feeds:
                    if feed.done():
                        feed.result()
                self.check()
                await self._rest()

    async def _feed(self, place: int, told: Told, revision: int) -> None:
        scope = self._query.scopes[place]
        is_shared = isinstance(scope, SharedScope)
        feed = reconciled(
            self._repository,
            scope,
            told,
            after_revision=revision,
            rest_seconds=RECONCILE_SHARED_SECONDS if is_shared else RECONCILE_SECONDS,
        )
        async with aclosing(feed):
            async for change in feed:
                while self._pending.full:
                    self._room.clear()
                    await self._room.wait()
                self._pending.offer(place, change, self._clock())
                self._wake.set()

    async def _rest(self) -> None:
        """Wait until something happens, or is due, or the token ends."""
        due = self._pending.next_due
        until = self._ends_at if due is None else min(due, self._ends_at)
        with suppress(TimeoutError):
            async with asyncio.timeout(min(max(until - self._clock(), 0.0), _LONGEST_REST)):
                await self._wake.wait()
