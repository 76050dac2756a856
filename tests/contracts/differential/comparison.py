"""Doing the same to both places, and comparing every answer and every refusal."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from typing import Any

from hypothesis.stateful import RuleBasedStateMachine, invariant

from services.store.answers import AgentScope, AllChanges, Scope, ScopeChange, Snapshot, UserScope
from services.store.writes import Commit, Committed, Creation, Deletion
from sessiond.store.codec import decode_head
from tests.contracts.chats import Chat, creation
from tests.contracts.differential.sides import REFUSALS, Moment, Moments, Side
from tests.contracts.differential.works import AGENTS, NAMES, SESSIONS, TURNS, USERS

PATIENCE = 30.0

Run = Callable[[Coroutine[Any, Any, Any]], Any]
"""Runs a coroutine where etcd's client lives."""


class Comparison(RuleBasedStateMachine):
    """Both sides, and what those who use them know: who was registered, and who owned what."""

    def __init__(self, sides: Sequence[Side], run: Run) -> None:
        super().__init__()
        self.sides = sides
        self.run = run
        self.alike = True
        self.moments = Moments()
        self.instances: list[bytes] = []  # one for each registration
        self.standing: list[bytes] = []
        self.created: list[Creation] = []
        self.acquired: list[tuple[str, bytes, bytes]] = []
        self.chats: list[Chat] = []
        self.deletions: list[Deletion] = []
        self.heads: dict[str, bytes] = {}
        self.places: dict[str, tuple[str, int, str]] = {}  # user, position, agent
        self.markers = itertools.count()
        for side in sides:
            run(side.follow(UserScope(USERS[0]), AgentScope(AGENTS[0])))

    def teardown(self) -> None:
        """Compare what was watched, and all that is left."""
        if self.alike:
            self.catch_up()
            self.compare_all()
        for side in self.sides:
            self.run(side.close())

    # --- asking --------------------------------------------------------------------------------

    def ask(self, call: Callable[[Side], Awaitable[Any]]) -> Any:
        """Let both do it; return what they answer, or why they refuse."""
        (memory, answer), (etcd, same) = self.run(self._both(call))
        self.alike = answer == same
        assert self.alike, f"the reference: {answer}\netcd: {same}"
        for pair in zip(memory, etcd, strict=True):
            self.moments.meet(*pair)
        return answer

    async def _both(self, call: Callable[[Side], Awaitable[Any]]) -> list[tuple[list[int], Any]]:
        answers = []
        for side in self.sides:
            answer: Any
            try:
                async with asyncio.timeout(PATIENCE):
                    answer = await call(side)
            except REFUSALS as refusal:
                answer = refusal
            answers.append(side.shown(answer))
        return answers

    @invariant()
    def the_same_instances_are_registered(self) -> None:
        """After every step, and at revisions that belong together."""
        standing = self.ask(lambda side: side.repository.instances())
        self.standing = [one.instance for one in standing]

    # --- who and what --------------------------------------------------------------------------

    def instance(self, pick: int) -> bytes:
        """Return an instance, mostly one that is registered."""
        some = self.standing if self.standing and pick % 5 < 4 else self.instances
        return some[-1 - pick % len(some)]

    def chat(self, pick: int) -> Chat:
        """Return what some owner knows, mostly one that may write."""
        some = self.present if self.present and pick % 6 < 5 else self.chats
        return some[-1 - pick % len(some)]

    @property
    def present(self) -> list[Chat]:
        """What those know who own a session now."""
        return [
            chat
            for chat in self.chats
            if chat.head == self.heads[chat.session_id] and chat.instance in self.standing
        ]

    def moment(self, pick: int) -> Moment:
        """Return a moment, seldom one that is still to come."""
        if pick % 37 == 36:
            return self.moments.present.shifted(100_000)
        known = self.moments.all
        return known[-1 - pick % len(known)]

    def owned(self, session_id: str, instance: bytes, head: bytes) -> None:
        """Know that the instance owns the session from now on."""
        self.heads[session_id] = head
        self.chats.append(Chat(session_id, instance, head, *self.places[session_id]))

    # --- doing ---------------------------------------------------------------------------------

    def create(self, made: Creation) -> None:
        if self.ask(lambda side: side.repository.create(made)) == Committed():
            self.created.append(made)
            if made.session_id not in self.heads:
                self.heads[made.session_id] = made.head
                self.places[made.session_id] = made.user_id, made.position_ms, made.awaited_agent

    def acquire(self, session_id: str, instance: bytes, commit_id: bytes) -> None:
        answer = self.ask(lambda side: side.repository.acquire(session_id, instance, commit_id))
        if isinstance(answer, Snapshot):
            self.acquired.append((session_id, instance, commit_id))
            if decode_head(answer.head).tombstone is None:
                self.owned(session_id, instance, answer.head)

    def commit(self, batch: Sequence[tuple[Chat, Commit]]) -> None:
        told = [commit for _, commit in batch]
        outcomes = self.ask(lambda side: side.repository.commit(told))
        if isinstance(outcomes, list):
            for (chat, commit), outcome in zip(batch, outcomes, strict=True):
                if outcome == Committed():
                    chat.took(commit)
                    self.heads[chat.session_id] = chat.head
                    self.places[chat.session_id] = chat.user_id, chat.position_ms, chat.agent

    def delete(self, deletion: Deletion) -> None:
        self.deletions.append(deletion)
        if self.ask(lambda side: side.repository.delete(deletion)) == Committed():
            self.heads[deletion.session_id] = deletion.head

    # --- watching ------------------------------------------------------------------------------

    def mark(self, user_id: str, agent: str) -> str:
        """Create one more session, so that watches of these have an end to be read to."""
        session_id = f"marker-{next(self.markers)}"
        made = creation(session_id, user_id, agent=agent)
        assert self.ask(lambda side: side.repository.create(made)) == Committed()
        return session_id

    def watch(self, scope: Scope, moment: Moment) -> None:
        """Compare all changes after a moment."""
        match scope:
            case UserScope(user_id):
                marker = self.mark(user_id, "")
            case AgentScope(agent):
                marker = self.mark("nobody", agent)

        async def changes(side: Side) -> list[ScopeChange]:
            watch = side.repository.watch(scope, after_revision=moment.at(side))
            async with watch as watched:
                return await until(watched, marker)

        self.ask(changes)

    def watch_all(self, moment: Moment) -> None:
        """Compare what happened to all sessions after a moment."""
        marker = self.mark("nobody", "")

        async def changes(side: Side) -> list[AllChanges]:
            async with side.repository.watch_all(after_revision=moment.at(side)) as watched:
                return await told_until(watched, marker)

        self.ask(changes)

    def catch_up(self) -> None:
        """Compare what was watched all the time."""
        marker = self.mark(USERS[0], AGENTS[0])
        self.ask(lambda side: until(side.followed[0], marker))
        self.ask(lambda side: until(side.followed[1], marker))
        self.ask(lambda side: told_until(side.everything, marker))
        self.ask(lambda side: side.settled())

    def compact(self) -> None:
        """Forget history, when everything that is watched has been seen."""
        self.catch_up()
        present = self.moments.present
        self.ask(lambda side: side.compact(present.at(side)))
        self.moments.forgotten = present

    # --- looking -------------------------------------------------------------------------------

    def compare_all(self) -> None:
        """Compare everything that stands now, through every read and past all of them."""
        self.ask(lambda side: side.repository.instances())
        now = self.moments.present
        for session_id in SESSIONS:
            self.compare_snapshot(session_id)
            self.compare_records(session_id, 1, 20_000, now)
            for turn_id in TURNS:
                self.compare_drafts(session_id, turn_id, now)
        for user_id in USERS:
            self.compare_page(user_id, None, 1000, None)
            self.compare_count(user_id)
            self.compare_templates(user_id)
            self.compare_remains(user_id)
        for agent in AGENTS:
            self.compare_awaited(agent)
        self.ask(lambda side: side.scan(3))
        self.ask(lambda side: side.erasures())
        self.compare_stored(now)

    def compare_snapshot(self, session_id: str) -> None:
        self.ask(lambda side: side.repository.snapshot(session_id))

    def compare_records(self, session_id: str, first: int, last: int, moment: Moment) -> None:
        self.ask(
            lambda side: side.repository.records(session_id, first, last, revision=moment.at(side))
        )

    def compare_drafts(self, session_id: str, turn_id: str, moment: Moment) -> None:
        self.ask(lambda side: side.repository.drafts(session_id, turn_id, revision=moment.at(side)))

    def compare_page(
        self, user_id: str, after: tuple[int, str] | None, limit: int, moment: Moment | None
    ) -> Any:
        def asked(side: Side) -> Any:
            revision = None if moment is None else moment.at(side)
            return side.repository.entries(user_id, after=after, limit=limit, revision=revision)

        return self.ask(asked)

    def compare_count(self, user_id: str) -> None:
        self.ask(lambda side: side.repository.count(user_id))
        self.ask(lambda side: side.repository.count_shared(user_id))

    def compare_templates(self, user_id: str) -> None:
        self.ask(lambda side: side.repository.templates(user_id))
        self.ask(lambda side: side.repository.count_templates(user_id))
        for name in NAMES:
            self.compare_template(user_id, name)

    def compare_template(self, user_id: str, name: str) -> None:
        self.ask(lambda side: side.repository.template(user_id, name))

    def compare_remains(self, user_id: str) -> None:
        self.ask(lambda side: side.repository.remains(user_id))
        self.ask(lambda side: side.repository.shared(user_id, revision=None))
        self.ask(lambda side: side.repository.erasure(user_id))

    def compare_awaited(self, agent: str) -> None:
        self.ask(lambda side: side.repository.awaited(agent))

    def compare_stored(self, moment: Moment) -> None:
        self.ask(lambda side: side.stored(moment.at(side)))


async def until(changes: AsyncIterator[ScopeChange], marker: str) -> list[ScopeChange]:
    """Return the changes up to the marker's creation, but for those that change nothing."""
    seen = []
    async for change in changes:
        if change.entries or change.removed:
            seen.append(change)
        if marker in (session_id for session_id, _ in change.entries):
            break
    return seen


async def told_until(changes: AsyncIterator[AllChanges], marker: str) -> list[AllChanges]:
    """Return the changes of all sessions up to the marker's creation, as `until` does."""
    seen = []
    async for change in changes:
        if change.heads or change.records or change.erased:
            seen.append(change)
        if marker in change.heads:
            break
    return seen
