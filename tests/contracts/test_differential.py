"""The in-memory reference does, step by step, what etcd does."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule, run_state_machine_as_test

from cluster.supervisor import Cluster
from services.store.answers import AgentScope, EntryPage, Snapshot, UserScope
from services.store.etcd.client import EtcdClient
from services.store.etcd.repository import EtcdRepository
from sessiond.store.codec import decode_head
from tests.contracts.differential.beside import Beside
from tests.contracts.differential.comparison import PATIENCE
from tests.contracts.differential.sides import EtcdSide, MemorySide, Moment
from tests.contracts.differential.works import agents, picks, positions, sessions, turns, users
from tests.contracts.places import EtcdPlace, MemoryPlace

EXAMPLES = int(os.environ.get("SESSIOND_DIFFERENTIAL_EXAMPLES", "35"))
STEPS_OF_ONE = int(os.environ.get("SESSIOND_DIFFERENTIAL_STEPS", "40"))

seqs = st.integers(1, 9)


class Repositories(Beside):
    """Everything that Store asks of a repository, and what befalls one."""

    def __init__(self, *told: Any) -> None:
        super().__init__(*told)
        self.further: list[tuple[str, tuple[int, str], Moment]] = []  # pages not read yet

    # --- reading -------------------------------------------------------------------------------

    @rule(session_id=sessions)
    def read_head(self, session_id: str) -> None:
        self.compare_snapshot(session_id)

    @rule(session_id=sessions, first=seqs, last=seqs, pick=picks)
    def read_records(self, session_id: str, first: int, last: int, pick: int) -> None:
        self.compare_records(session_id, first, last, self.moment(pick))

    @rule(session_id=sessions, asked=st.lists(seqs, max_size=5), pick=picks)
    def read_single_records(self, session_id: str, asked: list[int], pick: int) -> None:
        at = self.moment(pick).at
        self.ask(lambda side: side.repository.records_at(session_id, asked, revision=at(side)))

    @rule(session_id=sessions, turn_id=turns, pick=picks)
    def read_drafts(self, session_id: str, turn_id: str, pick: int) -> None:
        self.compare_drafts(session_id, turn_id, self.moment(pick))

    @rule(
        user_id=users,
        limit=st.integers(0, 4),
        after=st.none() | st.tuples(positions, sessions),
        pick=st.none() | picks,
    )
    def read_page(
        self, user_id: str, limit: int, after: tuple[int, str] | None, pick: int | None
    ) -> None:
        self.page(user_id, after, limit, None if pick is None else self.moment(pick))

    @precondition(lambda self: self.further)
    @rule(pick=picks, limit=st.integers(1, 4))
    def read_next_page(self, pick: int, limit: int) -> None:
        """Go on where an earlier page ended, at its revision."""
        user_id, after, moment = self.further.pop(pick % len(self.further))
        self.page(user_id, after, limit, moment)

    def page(
        self, user_id: str, after: tuple[int, str] | None, limit: int, moment: Moment | None
    ) -> None:
        page = self.compare_page(user_id, after, limit, moment)
        if isinstance(page, EntryPage) and page.entries and page.more:
            last = page.entries[-1]
            ended = last.position_ms, last.session_id
            self.further.append((user_id, ended, moment or self.moments.present))

    @rule(user_id=users, agent=agents)
    def read_lists(self, user_id: str, agent: str) -> None:
        self.compare_count(user_id)
        self.compare_awaited(agent)

    @rule(user_id=users, asked=st.lists(sessions, max_size=4), pick=picks)
    def read_shared(self, user_id: str, asked: list[str], pick: int) -> None:
        at = self.moment(pick).at
        self.ask(lambda side: side.repository.shared(user_id, revision=at(side)))
        self.ask(lambda side: side.repository.shared_sessions(asked, revision=at(side)))

    @rule(places=st.lists(st.tuples(users, positions, sessions), max_size=4), pick=picks)
    def read_single_entries(self, places: list[tuple[str, int, str]], pick: int) -> None:
        at = self.moment(pick).at
        self.ask(lambda side: side.repository.entries_of(places, revision=at(side)))

    @rule(user_id=users, limit=st.integers(1, 5))
    def read_beside(self, user_id: str, limit: int) -> None:
        self.compare_remains(user_id)
        self.compare_templates(user_id)
        self.ask(lambda side: side.scan(limit))

    @rule(session_id=sessions, pick=picks)
    def read_what_changed(self, session_id: str, pick: int) -> None:
        """Since a moment, whether it is still kept or not."""
        at = self.moment(pick).at
        self.ask(lambda side: side.repository.check_kept(at(side)))
        self.ask(lambda side: side.repository.changed_since(at(side)))
        found = self.ask(lambda side: side.repository.snapshot(session_id))
        if isinstance(found, Snapshot) and (last := decode_head(found.head).seq):
            self.ask(lambda side: side.repository.first_after(session_id, at(side), last_seq=last))

    @rule(pick=picks)
    def look_back(self, pick: int) -> None:
        """At all that stood at a moment, if that is still kept."""
        self.compare_stored(self.moment(pick))

    # --- watching and forgetting ---------------------------------------------------------------

    @rule(scope=users.map(UserScope) | agents.map(AgentScope), pick=picks)
    def watch_since(self, scope: UserScope | AgentScope, pick: int) -> None:
        moment = self.moments.all[-1 - pick % len(self.moments.all)]
        if self.moments.followable(moment):
            self.watch(scope, moment)

    @rule(pick=picks)
    def watch_all_since(self, pick: int) -> None:
        moment = self.moments.all[-1 - pick % len(self.moments.all)]
        if self.moments.followable(moment):
            self.watch_all(moment)

    @rule()
    def see_all_changes(self) -> None:
        self.catch_up()

    @precondition(lambda self: self.moments.kept > 8)
    @rule()
    def forget(self) -> None:
        self.compact()


@pytest.fixture
async def etcd_client(etcd: Cluster) -> AsyncIterator[EtcdClient]:
    async with EtcdClient([etcd.address("etcd-1")]) as client:
        yield client


@pytest.mark.timeout(900)
async def test_the_reference_does_what_etcd_does(
    etcd_client: EtcdClient, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After every step answers, refusals, watches and all that is stored are the same."""
    # On a busy machine a commit would else be given up, which the reference never does.
    monkeypatch.setattr("services.store.etcd.patience.SHORTEST", PATIENCE)
    loop = asyncio.get_running_loop()
    numbers = itertools.count()

    def on_loop(coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, loop).result(4 * PATIENCE)

    def made() -> Repositories:
        within = f"{namespace}{next(numbers)}/"
        etcd_place = EtcdPlace(
            etcd_client,
            EtcdRepository(etcd_client, namespace=within, settle_seconds=PATIENCE),
            within,
        )
        return Repositories([MemorySide(MemoryPlace()), EtcdSide(etcd_place)], on_loop)

    told = settings(
        max_examples=EXAMPLES,
        stateful_step_count=STEPS_OF_ONE,
        derandomize="CI" in os.environ,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, Phase.shrink],
    )
    machine: Any = made  # typed as a class, used as a factory

    # etcd's client lives in this loop, so whoever waits for its answers must not stand in it.
    await asyncio.to_thread(lambda: run_state_machine_as_test(machine, settings=told))
