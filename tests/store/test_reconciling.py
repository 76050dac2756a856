"""What a watch left out is told when its scope is read anew, and nothing else is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.serving.health import Health
from services.store import watching
from services.store.answers import EntryPage, Scope, ScopeChange, UserScope
from services.store.memory import MemoryRepository
from services.store.pending import Pending
from services.store.reconciling import Told, reconciled
from services.store.watching import Watching, WatchQuery
from sessiond.errors import Unavailable
from sessiond.session.changes import ApproveOutput, SubmitOutput
from tests.store.author import Author
from tests.store.conftest import Begin
from tests.store.test_watch_sessions import GTM, following

ALICE = UserScope("alice")
AT_ONCE = 0.0
PATIENCE = 20
Changes = AsyncGenerator[ScopeChange, None]


class Forgetful(MemoryRepository):
    """Its watches leave everything out, or all that `leaves_out` says."""

    leaves_out: Callable[[ScopeChange], bool] = staticmethod(lambda change: True)

    @asynccontextmanager
    async def watch(
        self, scope: Scope, *, after_revision: int
    ) -> AsyncIterator[AsyncIterator[ScopeChange]]:
        async with super().watch(scope, after_revision=after_revision) as changes:
            yield self._rest(changes)

    async def _rest(self, changes: AsyncIterator[ScopeChange]) -> AsyncIterator[ScopeChange]:
        async for change in changes:
            if not self.leaves_out(change):
                yield change


@pytest.fixture
def repository() -> Forgetful:
    """A repository whose watches leave something out."""
    return Forgetful()


async def next_news(changes: Changes) -> tuple[list[str], list[str]]:
    """Return whose entries are told next, and who left."""
    async with asyncio.timeout(PATIENCE):
        async for change in changes:
            if change.entries or change.removed:
                return [session_id for session_id, _ in change.entries], list(change.removed)
    raise AssertionError


async def test_what_was_left_out_is_told_once(
    repository: Forgetful, author: Author, begin: Begin
) -> None:
    """An entry that is new, one that differs, and one that is gone; never one that is the same."""
    for name in ("changed", "deleted", "same"):
        await begin(name)
    told = Told()
    page = await repository.entries("alice", after=None, limit=10, revision=None)
    told.note(ScopeChange(page.revision, tuple((e.session_id, e.value) for e in page.entries), ()))
    changes = reconciled(
        repository, ALICE, told, after_revision=page.revision, rest_seconds=AT_ONCE
    )
    async with aclosing(changes):
        await author.say("changed", "hello")
        await author.delete("deleted")
        await begin("new")
        assert await next_news(changes) == ([], ["deleted"])
        entries, removed = await next_news(changes)
        assert (sorted(entries), removed) == (["changed", "new"], [])
        await author.say("same", "hello")
        assert await next_news(changes) == (["same"], [])


async def test_the_watch_goes_on_after_what_was_read(
    repository: Forgetful, author: Author, begin: Begin
) -> None:
    """Nothing that is older than what was read is told after it."""
    await begin("a")
    repository.leaves_out = lambda change: False
    changes = reconciled(repository, ALICE, Told(), after_revision=1, rest_seconds=AT_ONCE)
    async with aclosing(changes):
        revisions = []
        for _ in range(20):
            await author.say("a", "hello")
            revisions.append((await anext(changes)).revision)
        assert revisions == sorted(revisions)


async def test_a_scope_that_cannot_be_read_is_followed_on(
    repository: Forgetful, author: Author, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a quorum a watch stands, and so does this; the next reading tells."""
    await begin("a")
    entries = repository.entries
    refusals = 3

    async def refused(*args: object, **more: object) -> EntryPage:
        nonlocal refusals
        refusals -= 1
        if refusals >= 0:
            raise Unavailable
        return await entries(*args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(repository, "entries", refused)
    changes = reconciled(repository, ALICE, Told(), after_revision=10_000, rest_seconds=AT_ONCE)
    async with aclosing(changes):
        assert await next_news(changes) == (["a"], [])
        assert refusals < 0


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from([b"1", b"2", None]))))
def test_differences_lead_to_what_stands(steps: list[tuple[str, bytes | None]]) -> None:
    """Whatever was told before, after the differences the scope is told as it stands."""
    told, stands, shown = Told(), dict[str, bytes](), dict[str, bytes]()
    for revision, (session_id, value) in enumerate(steps, 1):
        stands.pop(session_id, None)
        if value is not None:
            stands[session_id] = value
        if revision % 3 == 0:  # the others are left out
            entries = ((session_id, value),) if value is not None else ()
            removed = (session_id,) if value is None else ()
            told.note(change := ScopeChange(revision, entries, removed))
            _show(shown, change)
    for change in tuple(told.differences(len(steps) + 1, stands.items())):
        told.note(change)
        _show(shown, change)
    assert shown == stands
    assert [c for c in told.differences(99, stands.items()) if c.entries or c.removed] == []


def _show(shown: dict[str, bytes], change: ScopeChange) -> None:
    shown.update(change.entries)
    for session_id in change.removed:
        shown.pop(session_id, None)


def test_a_late_leaving_undoes_no_entering_elsewhere() -> None:
    """Who went from one agent to another is not told as gone because the first comes late."""
    pending = Pending([5, 5], [("a", 3)])
    told = Told()
    told.note(ScopeChange(3, (("a", b"one"),), ()))
    pending.offer(1, ScopeChange(7, (("a", b"two"),), ()), now=0.0)
    for change in told.differences(9, ()):
        pending.offer(0, change, now=0.0)
    taken = pending.take(1.0)
    assert taken is not None and taken.entry == b"two"
    assert pending.take(1.0) is None
    assert pending.revisions == [9, 7]


async def test_a_watch_of_sessions_tells_what_was_left_out(
    repository: Forgetful, author: Author, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of several agents, too; and the cursor goes on from what was read."""
    monkeypatch.setattr(watching, "RECONCILE_SECONDS", AT_ONCE)
    await begin("a", workflow="master-workflow-v2")
    clock = asyncio.get_running_loop().time
    query = WatchQuery.of_agents(["persona-strategist", "gtm-consultant"], None)
    async with following(Watching(repository, Health(), clock=clock), query) as follower:
        assert await follower.listing() == ["a"]
        await author.change("a", SubmitOutput("plan", output_id="o-1"), identity=GTM)
        assert await follower.told() == ("removed_id", "a")
        await author.change("a", ApproveOutput())
        assert await follower.told() == ("session", "a")
