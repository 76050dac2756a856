"""What is done to both places."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from services.store.writes import Commit, DraftWrite
from sessiond.store.codec import take_over
from tests.contracts.chats import creation, some_bytes, tombstone_bytes
from tests.contracts.differential.comparison import Comparison
from tests.contracts.differential.works import (
    ADDRESSES,
    LARGE,
    SESSIONS,
    TURNS,
    USERS,
    Work,
    agents,
    picks,
    positions,
    sessions,
    users,
    works,
)

addresses = st.sampled_from(ADDRESSES)


class Changing(Comparison):
    """Everything that is written, and what befalls those who write."""

    # --- instances -----------------------------------------------------------------------------

    @initialize(agent=st.just("") | agents)
    def begin(self, agent: str) -> None:
        """Three instances: one owns two sessions with running turns, another one is leaving."""
        for address in ADDRESSES[:3]:
            self.register(address)
        leaving = self.instances[2]
        self.ask(lambda side: side.repository.heartbeat(leaving, side.leases[2], draining=True))
        for session_id in SESSIONS[:2]:
            self.create(creation(session_id, USERS[0], agent=agent))
            self.acquire(session_id, self.instances[0], some_bytes())
            running = self.chats[-1].drafting(*(DraftWrite(turn, 1, b"text") for turn in TURNS))
            self.commit([(self.chats[-1], running)])

    @precondition(lambda self: len(self.instances) < 12)
    @rule(address=addresses)
    def register(self, address: str) -> None:
        instance = some_bytes()
        self.ask(lambda side: side.register(instance, address))
        self.instances.append(instance)

    @rule(pick=picks, address=addresses)
    def register_again(self, pick: int, address: str) -> None:
        """An instance that stands is refused."""
        instance = self.instance(pick)
        if instance in self.standing:
            self.ask(lambda side: side.register(instance, address))

    @rule(pick=picks, other=st.none() | st.none() | picks, draining=st.booleans())
    def heartbeat(self, pick: int, other: int | None, draining: bool) -> None:
        """Seldom with another's lease."""
        instance = self.instance(pick)
        lease = self.lease(instance if other is None else self.instance(other))
        self.ask(
            lambda side: side.repository.heartbeat(instance, side.leases[lease], draining=draining)
        )

    @precondition(lambda self: len(self.standing) > 1)
    @rule(pick=picks, other=st.none() | st.none() | picks)
    def deregister(self, pick: int, other: int | None) -> None:
        instance = self.instance(pick)
        lease = self.lease(instance if other is None else self.instance(other))
        self.ask(lambda side: side.repository.deregister(instance, side.leases[lease]))

    @precondition(lambda self: len(self.standing) > 1)
    @rule(pick=picks)
    def expire(self, pick: int) -> None:
        instance = self.standing[pick % len(self.standing)]
        self.ask(lambda side: side.place.expire(instance))

    def lease(self, instance: bytes) -> int:
        return self.instances.index(instance)

    # --- sessions ------------------------------------------------------------------------------

    @rule(
        session_id=sessions,
        user_id=users,
        agent=st.just("") | agents,
        position_ms=positions,
        large=st.sampled_from([False] * 9 + [True]),
    )
    def create_one(
        self, session_id: str, user_id: str, agent: str, position_ms: int, large: bool
    ) -> None:
        made = creation(session_id, user_id, position_ms=position_ms, agent=agent)
        self.create(replace(made, record=LARGE) if large else made)

    @precondition(lambda self: self.created)
    @rule(pick=picks)
    def create_again(self, pick: int) -> None:
        """The same creation comes once more, whatever became of its session."""
        self.create(self.created[pick % len(self.created)])

    @rule(session_id=sessions, pick=picks)
    def acquire_one(self, session_id: str, pick: int) -> None:
        self.acquire(session_id, self.instance(pick), some_bytes())

    @precondition(lambda self: self.acquired)
    @rule(pick=picks, other=st.none() | picks)
    def acquire_again(self, pick: int, other: int | None) -> None:
        """An acquisition comes once more, or another instance's under the same commit id."""
        session_id, instance, commit_id = self.acquired[-1 - pick % len(self.acquired)]
        self.acquire(session_id, instance if other is None else self.instance(other), commit_id)

    @precondition(lambda self: self.chats)
    @rule(
        told=st.lists(works, min_size=1, max_size=4), doubled=st.sampled_from([False] * 9 + [True])
    )
    def commit_batch(self, told: list[Work], doubled: bool) -> None:
        """Each session once, but seldom one of them twice."""
        batch = {}
        for work in told:
            chat = self.chat(work.pick)
            batch[chat.session_id] = chat, self.formed(work)
        some = list(batch.values())
        self.commit(some + some[:1] if doubled else some)

    @precondition(lambda self: self.present)
    @rule(told=st.lists(works, min_size=1, max_size=4))
    def commit_in_order(self, told: list[Work]) -> None:
        """One after the other, most of one session."""
        for work in told:
            one = replace(work, pick=told[0].pick)
            self.commit([(self.chat(one.pick), self.formed(one))])

    def formed(self, work: Work) -> Commit:
        successor = b"" if work.successor is None else self.instance(work.successor)
        return work.commit(self.chat(work.pick), successor)

    @precondition(lambda self: self.chats)
    @rule(pick=picks, other=st.none() | picks)
    def hand_over(self, pick: int, other: int | None) -> None:
        """Give a session to another instance, or to none."""
        chat = self.chat(pick)
        owner = b"" if other is None else self.instance(other)
        epoch = chat.stored.meta.epoch + 1
        head = take_over(chat.head, owner=owner, epoch=epoch, commit_id=some_bytes())
        given = Commit(chat.instance, chat.session_id, chat.head, head, successor=owner)
        self.commit([(chat, given)])
        if chat.head == head:
            chat.head = given.expected_head  # the former owner knows no more than that
            if owner:
                self.owned(chat.session_id, owner, head)

    @precondition(lambda self: len(self.present) > 1)
    @rule(
        pick=picks,
        op_id=st.sampled_from(["delete", "another"]),
        shared_with=st.sampled_from([USERS, (), USERS[:1]]),
    )
    def delete_one(self, pick: int, op_id: str, shared_with: tuple[str, ...]) -> None:
        deletion = self.chat(pick).deletion(tombstone_bytes(op_id), shared_with=shared_with)
        self.delete(deletion)

    @precondition(lambda self: self.deletions)
    @rule(pick=picks, other=st.none() | picks, op_id=st.sampled_from(["delete", "another"]))
    def delete_again(self, pick: int, other: int | None, op_id: str) -> None:
        """A deletion comes once more: as it was, from another instance, of another operation."""
        deletion = self.deletions[-1 - pick % len(self.deletions)]
        instance = deletion.instance if other is None else self.instance(other)
        self.delete(replace(deletion, instance=instance, head=tombstone_bytes(op_id)))
