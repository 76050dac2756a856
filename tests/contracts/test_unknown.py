"""A write of unknown fate, and how the identical write settles it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from cluster.supervisor import Cluster
from services.store.answers import Existing, Snapshot, UserScope
from services.store.etcd.client import EtcdClient
from services.store.etcd.errors import Ambiguous
from services.store.etcd.etcd_pb2 import TxnResponse
from services.store.etcd.repository import EtcdRepository
from services.store.etcd.transactions import Transaction
from services.store.repository import Repository
from services.store.writes import Committed, DraftWrite, Refused, Unknown
from sessiond.errors import OutcomeUnknown, Unavailable
from sessiond.store.codec import decode_head
from tests.contracts.chats import (
    all_drafts,
    all_records,
    creation,
    listed,
    new_chat,
    now,
    register,
    some_bytes,
)
from tests.contracts.places import EtcdPlace, on_etcd
from tests.etcd.relay import Relay


class Forgetful(EtcdClient):
    """A client that carries out transactions and then, for a while, says that nobody knows."""

    lost_answers = 0

    async def txn(self, request: Transaction, *, within: float | None = None) -> TxnResponse:
        answer = await super().txn(request, within=within)
        if self.lost_answers:
            self.lost_answers -= 1
            raise Ambiguous("the answer was lost")
        return answer


async def back(etcd: Cluster, repository: Repository) -> None:
    """Start etcd again, and wait until the repository's own connection is back."""
    await etcd.start("etcd-1")
    # A creation is repeated until it is settled.
    assert await repository.create(creation("back", "nobody")) == Committed()


@asynccontextmanager
async def forgetful(
    place: EtcdPlace, *, lost_answers: int, settle_seconds: float = 5.0
) -> AsyncIterator[EtcdRepository]:
    """Give a repository on the same data whose next answers are lost."""
    async with (
        Forgetful([place.etcd.endpoint]) as client,
        EtcdRepository(
            client, namespace=place.namespace, settle_seconds=settle_seconds
        ) as repository,
    ):
        client.lost_answers = lost_answers
        yield repository


async def test_a_commit_whose_answer_is_lost_is_settled_by_the_same_again(
    own_etcd: Cluster, namespace: str
) -> None:
    """etcd stored it, was killed before it could say so, and restarts: it is there once."""
    address = own_etcd.address("etcd-1")
    async with (
        on_etcd(address, namespace) as place,
        Relay(address) as relay,
        on_etcd(relay.address, namespace) as deaf,
    ):
        chat = await new_chat(place.repository, "abc")
        await deaf.repository.count("alice")
        start = (await now(place.repository, "abc")).revision
        commit = chat.commit(b"two")
        relay.answers_pass = False
        async with place.repository.watch(UserScope("alice"), after_revision=start) as changes:
            committing = asyncio.create_task(deaf.repository.commit([commit]))
            async with asyncio.timeout(10):
                while not (await anext(changes)).entries:
                    pass
        assert not committing.done()
        await own_etcd.kill("etcd-1")
        assert await committing == [Unknown()]
        relay.answers_pass = True
        await back(own_etcd, place.repository)
        assert await place.repository.commit([commit]) == [Refused(commit.head, registered=True)]
        assert (await all_records(place.repository, "abc"))[1:] == [b"two"]


async def test_a_commit_that_never_arrived_is_settled_by_the_same_again(
    own_etcd: Cluster, namespace: str
) -> None:
    """etcd is killed before it took anything of a batch: the same batch stores each once."""
    address = own_etcd.address("etcd-1")
    async with on_etcd(address, namespace) as place:
        repository = place.repository
        instance = await register(repository)
        chats = [await new_chat(repository, f"s{n}", instance=instance) for n in range(8)]
        batch = [chat.commit(b"two") for chat in chats]
        own_etcd.suspend("etcd-1")
        committing = asyncio.create_task(repository.commit(batch))
        await asyncio.sleep(0)
        await own_etcd.kill("etcd-1")
        assert await committing == [Unknown()] * 8
        assert await repository.commit(batch) == [Unknown()] * 8
        await back(own_etcd, place.repository)
        assert set(map(type, await repository.commit(batch))) <= {Committed, Refused}
        for chat, commit in zip(chats, batch, strict=True):
            assert (await now(repository, chat.session_id)).head == commit.head
            assert (await all_records(repository, chat.session_id))[1:] == [b"two"]


async def test_without_etcd_reads_are_unavailable_and_deletions_unknown(
    own_etcd: Cluster, namespace: str
) -> None:
    """Nothing pretends to know, and everything works again when etcd is back."""
    async with on_etcd(own_etcd.address("etcd-1"), namespace) as place:
        repository = place.repository
        chat = await new_chat(repository, "abc")
        lease = (await repository.instances())[1][0].lease
        await own_etcd.kill("etcd-1")
        for read in (
            repository.snapshot("abc"),
            repository.count("alice"),
            repository.records("abc", 1, 1, revision=1),
            repository.awaited("planner"),
            repository.instances(),
            repository.heartbeat(chat.instance, lease, draining=False),
            repository.deregister(chat.instance, lease),
            repository.acquire("abc", chat.instance, some_bytes()),
        ):
            with pytest.raises(Unavailable):
                await read
        assert await repository.delete(chat.deletion()) == Unknown()
        await back(own_etcd, place.repository)
        assert await repository.heartbeat(chat.instance, lease, draining=False)
        await chat.write(repository, chat.commit(b"two"))
        assert await repository.delete(chat.deletion()) == Committed()


async def test_drafts_whose_answer_is_lost_are_settled_by_the_same_again(
    etcd_place: EtcdPlace,
) -> None:
    """Alone they leave no commit id in the head, and need none: the same again is as good."""
    chat = await new_chat(etcd_place.repository, "abc")
    commit = chat.drafting(DraftWrite("t", 1, b"Once"), DraftWrite("t", 2, b" upon"))
    async with forgetful(etcd_place, lost_answers=1) as repository:
        assert await repository.commit([commit]) == [Unknown()]
        assert await repository.commit([commit]) == [Committed()]
    assert await all_drafts(etcd_place.repository, "abc", "t") == [b"Once", b" upon"]
    assert (await now(etcd_place.repository, "abc")).head == chat.head


async def test_a_creation_settles_itself(etcd_place: EtcdPlace) -> None:
    """It was stored, its answers were lost: it is answered `Committed`, and written once."""
    made = creation("abc", agent="planner")
    async with forgetful(etcd_place, lost_answers=2) as repository:
        assert await repository.create(made) == Committed()
    assert await all_records(etcd_place.repository, "abc") == [made.record]
    assert await listed(etcd_place.repository) == ["abc"]


async def test_a_creation_that_meets_another_settles_itself(etcd_place: EtcdPlace) -> None:
    """A lost answer to a refusal is settled as that refusal."""
    first = creation("abc")
    await etcd_place.repository.create(first)
    async with forgetful(etcd_place, lost_answers=2) as repository:
        assert await repository.create(creation("abc")) == Existing(first.head, first.record)


async def test_what_cannot_be_settled_in_time_is_unknown(etcd_place: EtcdPlace) -> None:
    """A creation says so, and an acquisition and a registration say that they have no answer."""
    await etcd_place.repository.create(creation("abc"))
    instance = await register(etcd_place.repository)
    async with forgetful(etcd_place, lost_answers=999, settle_seconds=0.3) as repository:
        with pytest.raises(OutcomeUnknown):
            await repository.create(creation("xyz"))
        with pytest.raises(Unavailable):
            await repository.acquire("abc", instance, some_bytes())
        with pytest.raises(Unavailable):
            await register(repository, "live:2")


async def test_an_acquisition_settles_itself(etcd_place: EtcdPlace) -> None:
    """The head that carries the commit id is its own, however many answers were lost."""
    await etcd_place.repository.create(creation("abc"))
    instance, commit_id = await register(etcd_place.repository), some_bytes()
    async with forgetful(etcd_place, lost_answers=2) as repository:
        acquired = await repository.acquire("abc", instance, commit_id)
    assert isinstance(acquired, Snapshot)
    meta = decode_head(acquired.head).meta
    assert (meta.epoch, meta.owner, meta.commit_id) == (1, instance, commit_id)
    assert (await now(etcd_place.repository, "abc")).head == acquired.head


async def test_a_registration_settles_itself(etcd_place: EtcdPlace) -> None:
    """The key on its own lease is its own, however many answers were lost."""
    instance = some_bytes()
    async with forgetful(etcd_place, lost_answers=2) as repository:
        lease = await repository.register(instance, address="live:1", ttl_seconds=3600)
        assert await repository.heartbeat(instance, lease, draining=False)
