"""Listing a user's sessions: one revision, exact order, pages that continue exactly."""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from services.store.answers import RevisionCompacted
from services.store.listing import Place, Placing
from services.store.repository import Repository
from services.store.shared import all_shared
from services.store.tokens import Fact, seal, unseal
from sessiond.errors import (
    Internal,
    InvalidArgument,
    PageTokenExpired,
    PermissionDenied,
    Unavailable,
)
from sessiond.numbers import STATUS_NUMBER
from sessiond.session.access import Identity, Role
from sessiond.session.state import Status
from sessiond.store.codec import decode_entry
from sessiond.store.v1.records_pb2 import IndexEntry

_log = structlog.get_logger(__name__)

_TRIES = 3

# What is read beyond a page in the first go: most lists are not so busy that a quarter of a second
# holds more. What a filter leaves out is made up for in reads that double.
_MARGIN = 8
_NEXT_READ = 64
_MOST_READ = 1024
_LAST_MS = 10**13 - 2


@dataclass(frozen=True, slots=True)
class ListQuery:
    """Whose sessions, and which of them.

    `own` are the sessions that the user owns, `shared` those that others share with them. `q` is
    looked for in title and last message, case aside. None: whatever they are.
    """

    user_id: str
    status: Status | None = None
    workflow_id: str | None = None
    q: str | None = None
    own: bool = True
    shared: bool = True

    @property
    def facts(self) -> list[Fact]:
        """What a page token belongs to."""
        return [
            "list",
            self.user_id,
            self.status,
            self.workflow_id,
            self.q,
            self.own,
            self.shared,
        ]

    def matcher(self) -> Matcher:
        """Return what tells whether an entry is asked for."""
        return Matcher(self)


class Matcher:
    """Tells whether an entry is asked for."""

    def __init__(self, query: ListQuery) -> None:
        self._status = None if query.status is None else STATUS_NUMBER[query.status]
        self._workflow_id = query.workflow_id
        self._q = (query.q or "").casefold()

    def matches(self, entry: IndexEntry) -> bool:
        """Return whether the entry is asked for."""
        return (
            (self._status is None or entry.status == self._status)
            and (self._workflow_id is None or entry.workflow_id == self._workflow_id)
            and (
                not self._q
                or self._q in entry.title.casefold()
                or self._q in entry.last_message.casefold()
            )
        )


def check_own_list(identity: Identity, user_id: str, what: str = "list your own sessions") -> None:
    """Return if the caller may see all sessions of this user.

    Raises:
        PermissionDenied: it is another user's list, and the caller no administrator. `what` says
            what they may do to their own.
    """
    if identity.role is Role.ADMIN:
        return
    if identity.role not in (Role.USER, Role.SERVICE) or identity.user_id != user_id:
        raise PermissionDenied(f"You may {what} only.")


async def list_sessions(
    repository: Repository, query: ListQuery, *, page_size: int, page_token: str | None
) -> tuple[list[IndexEntry], str]:
    """Return a page of entries in the order of the list, and the token of the next; "" for none.

    Raises:
        InvalidArgument: the page token is not one of this query.
        PageTokenExpired: the listing is too old to go on.
    """
    if page_token:
        after, revision = _opened(query, page_token)
        try:
            return await _page(repository, query, page_size, after=after, revision=revision)
        except RevisionCompacted:
            raise PageTokenExpired from None
    for _ in range(_TRIES):
        try:
            return await _page(repository, query, page_size, after=None, revision=None)
        except RevisionCompacted:
            continue
    raise Unavailable


async def _page(
    repository: Repository,
    query: ListQuery,
    page_size: int,
    *,
    after: Place | None,
    revision: int | None,
) -> tuple[list[IndexEntry], str]:
    matcher = query.matcher()
    placing: Placing[IndexEntry] = Placing(after)
    found: list[tuple[Place, IndexEntry]] = []

    def take(session_id: str, value: bytes) -> None:
        entry = decoded_entry(session_id, value)
        if matcher.matches(entry):
            placing.add(Place.of(entry.last_active_ms, entry.id), entry)

    async def take_shared(at: int | None) -> int:
        # All of them, whatever the page: they are few, and only together in order.
        read_at, shared = await all_shared(repository, query.user_id, revision=at)
        for each in shared:
            take(*each)
        return read_at

    if not query.own:
        revision = await take_shared(revision)
        found = placing.placed(None)
    shared_left = query.shared
    key = after.read_after if after else None
    limit, following = page_size + _MARGIN, _NEXT_READ
    # One more than the page tells whether there is a next page.
    while query.own and len(found) <= page_size:
        read = await repository.entries(query.user_id, after=key, limit=limit, revision=revision)
        revision = read.revision
        if shared_left:
            await take_shared(revision)
            shared_left = False
        for own in read.entries:
            take(own.session_id, own.value)
        more = read.more and bool(read.entries)
        found += placing.placed(read.entries[-1].position_ms if more else None)
        if not more:
            break
        key = (read.entries[-1].position_ms, read.entries[-1].session_id)
        limit, following = following, min(2 * following, _MOST_READ)
    page = found[:page_size]
    if len(found) <= page_size or revision is None:
        return [entry for _, entry in page], ""
    return [entry for _, entry in page], _sealed(query, revision, page[-1][0])


def decoded_entry(session_id: str, value: bytes) -> IndexEntry:
    """Return what an entry says.

    Raises:
        Internal: it says nothing; that is a fault of ours, and logged.
    """
    try:
        return decode_entry(value)
    except ValueError:
        _log.exception("index entry cannot be read", session=session_id)
        raise Internal from None


def _sealed(query: ListQuery, revision: int, last: Place) -> str:
    return seal(query.facts, [revision, last.last_active_ms, last.session_id])


def _opened(query: ListQuery, page_token: str) -> tuple[Place, int]:
    revision, last_active_ms, session_id = unseal(
        page_token, query.facts, (int, int, str), field="page_token"
    )
    assert isinstance(revision, int) and isinstance(last_active_ms, int)
    if revision < 1 or not 0 <= last_active_ms <= _LAST_MS:
        raise InvalidArgument.of("page_token", "must be one that this query was given")
    return Place.of(last_active_ms, str(session_id)), revision
