"""Templates: one value under each name of a user's."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from services.store.etcd.client import EtcdClient
from services.store.etcd.errors import Ambiguous
from services.store.etcd.etcd_pb2 import TxnResponse
from services.store.etcd.repository import EtcdRepository
from services.store.etcd.transactions import Transaction
from services.store.repository import Repository
from sessiond.errors import InvalidArgument, OutcomeUnknown
from tests.contracts.chats import creation, listed
from tests.contracts.places import EtcdPlace
from tests.contracts.test_unknown import forgetful


async def test_a_template_is_found_under_its_name(repository: Repository) -> None:
    """The last one that was put, to the bit; an empty one too."""
    assert await repository.template("alice", "plan") is None
    await repository.put_template("alice", "plan", b"one")
    await repository.put_template("alice", "plan", b"two")
    await repository.put_template("alice", "empty", b"")
    assert await repository.template("alice", "plan") == b"two"
    assert await repository.template("alice", "empty") == b""


async def test_templates_come_by_name_and_all_of_them(repository: Repository) -> None:
    """However many there are."""
    names = [f"t{number:02}" for number in range(40)]
    for name in reversed(names):
        await repository.put_template("alice", name, name.encode())
    found = await repository.templates("alice")
    assert found == tuple((name, name.encode()) for name in names)
    assert await repository.count_templates("alice") == 40


async def test_large_templates_come_together(repository: Repository) -> None:
    """Their sum may be more than one answer of etcd's holds."""
    data = bytes(1024 * 1024)
    for number in range(20):
        await repository.put_template("alice", f"t{number:02}", data)
    assert [len(each) for _, each in await repository.templates("alice")] == [len(data)] * 20


async def test_a_deleted_template_is_gone(repository: Repository) -> None:
    """And to delete what is not there does nothing."""
    await repository.put_template("alice", "plan", b"one")
    await repository.delete_template("alice", "plan")
    await repository.delete_template("alice", "plan")
    assert await repository.template("alice", "plan") is None
    assert await repository.templates("alice") == ()


async def test_templates_of_users_never_mix(repository: Repository) -> None:
    """Nor do they with a list of sessions."""
    users = ["a", "a:b", "a:template", "a%3Ab", "a/b", "A", "ä", "a;"]
    for user_id in users:
        await repository.create(creation(f"s-{users.index(user_id)}", user_id))
        await repository.put_template(user_id, "plan", user_id.encode())
    for user_id in users:
        assert await repository.templates(user_id) == (("plan", user_id.encode()),)
        assert await listed(repository, user_id) == [f"s-{users.index(user_id)}"]
        assert await repository.count(user_id) == 1
    await repository.delete_template("a", "plan")
    assert await repository.count_templates("a:b") == 1


async def test_a_template_that_can_never_be_stored_is_refused(repository: Repository) -> None:
    """Nothing stands there afterwards."""
    with pytest.raises(InvalidArgument):
        await repository.put_template("alice", "plan", bytes(1600 * 1024))
    assert await repository.template("alice", "plan") is None


async def test_a_lost_answer_is_settled_by_the_same_again(etcd_place: EtcdPlace) -> None:
    """Saved, and deleted, as if the answer had come."""
    async with forgetful(etcd_place, lost_answers=2) as repository:
        await repository.put_template("alice", "plan", b"one")
        assert await repository.template("alice", "plan") == b"one"
    async with forgetful(etcd_place, lost_answers=2) as repository:
        await repository.delete_template("alice", "plan")
        assert await repository.template("alice", "plan") is None


async def test_what_is_not_settled_in_time_is_unknown(etcd_place: EtcdPlace) -> None:
    """It says so, and the same again settles it."""
    async with forgetful(etcd_place, lost_answers=1000, settle_seconds=0.2) as repository:
        with pytest.raises(OutcomeUnknown):
            await repository.put_template("alice", "plan", b"one")
    await etcd_place.repository.put_template("alice", "plan", b"one")
    assert await etcd_place.repository.template("alice", "plan") == b"one"


class Overtaken(EtcdClient):
    """A client whose first answer is lost, and meanwhile another call writes."""

    meanwhile: Callable[[], Awaitable[None]] | None = None

    async def txn(self, request: Transaction, *, within: float | None = None) -> TxnResponse:
        answer = await super().txn(request, within=within)
        if self.meanwhile is not None:
            meanwhile, self.meanwhile = self.meanwhile, None
            await meanwhile()
            raise Ambiguous("the answer was lost")
        return answer


@asynccontextmanager
async def overtaken(
    place: EtcdPlace, meanwhile: Callable[[], Awaitable[None]]
) -> AsyncIterator[Repository]:
    """Give a repository on the same data that another call overtakes at its first write."""
    async with (
        Overtaken([place.etcd.endpoint]) as client,
        EtcdRepository(client, namespace=place.namespace, settle_seconds=5.0) as repository,
    ):
        client.meanwhile = meanwhile
        yield repository


async def test_what_is_written_again_never_falls_on_what_is_newer(etcd_place: EtcdPlace) -> None:
    """Its answer was lost, and another call wrote: that one is the last, whatever both did."""
    newer = etcd_place.repository

    async def put() -> None:
        await newer.put_template("alice", "plan", b"newer")

    async def delete() -> None:
        await newer.delete_template("alice", "plan")

    async with overtaken(etcd_place, put) as repository:
        await repository.put_template("alice", "plan", b"older")
        assert await newer.template("alice", "plan") == b"newer"
    async with overtaken(etcd_place, put) as repository:
        await repository.put_template("alice", "plan", b"older")
        assert await newer.template("alice", "plan") == b"newer"
    async with overtaken(etcd_place, put) as repository:
        await repository.delete_template("alice", "plan")
        assert await newer.template("alice", "plan") == b"newer"
    async with overtaken(etcd_place, delete) as repository:
        await repository.put_template("alice", "plan", b"older")
        assert await newer.template("alice", "plan") is None
