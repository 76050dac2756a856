"""Each failure, provoked on a real etcd, has its name."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import grpc
import pytest

from services.store.etcd import etcd_pb2_grpc
from services.store.etcd.client import EtcdClient
from services.store.etcd.errors import (
    Ambiguous,
    AnswerTooLarge,
    Compacted,
    Denied,
    DuplicateKey,
    EtcdError,
    FutureRevision,
    InvalidRequest,
    LeaseNotFound,
    NoSpace,
    Refused,
    TooLarge,
    TooManyOperations,
    Unavailable,
    of_write,
)
from services.store.etcd.etcd_pb2 import AuthenticateRequest, PutRequest
from services.store.etcd.transactions import (
    delete,
    get,
    nested,
    prefix_end,
    put,
    read,
    transaction,
)
from tests.etcd.relay import Relay
from tests.etcd.servers import Member, free_ports, members, until_ready

FUTURE = 10**12


async def test_reading_at_a_revision_that_is_gone(client: EtcdClient, prefix: bytes) -> None:
    """A compacted revision and one that has not happened yet share a code, not a name."""
    first = (await client.put(prefix, b"1")).header.revision
    last = (await client.put(prefix, b"2")).header.revision
    await client.compact(last)
    for old in (
        lambda: client.range(read(prefix, revision=first)),
        lambda: client.consensus_range(read(prefix, revision=first)),
        lambda: client.compact(first),
    ):
        with pytest.raises(Compacted):
            await old()
    for coming in (
        lambda: client.range(read(prefix, revision=FUTURE)),
        lambda: client.consensus_range(read(prefix, revision=FUTURE)),
        lambda: client.compact(FUTURE),
    ):
        with pytest.raises(FutureRevision):
            await coming()


REFUSED: dict[str, tuple[type[Refused], Callable[[EtcdClient, bytes], Awaitable[object]]]] = {
    "over 1.5 MiB": (TooLarge, lambda client, key: client.put(key, bytes(1_600_000))),
    "over 2 MiB": (TooLarge, lambda client, key: client.put(key, bytes(2_200_000))),
    "129 operations": (
        TooManyOperations,
        lambda client, key: client.txn(
            transaction(success=[put(key + b"%d" % n, b"") for n in range(129)])
        ),
    ),
    "one key twice": (
        DuplicateKey,
        lambda client, key: client.txn(transaction(success=[put(key, b"1"), put(key, b"2")])),
    ),
    "a put under a deleted range, as siblings": (
        DuplicateKey,
        lambda client, key: client.txn(
            transaction(
                success=[
                    nested(transaction(success=[delete(key, prefix_end(key))])),
                    nested(transaction(success=[put(key + b"a", b"")])),
                ]
            )
        ),
    ),
    "a dead lease beside good writes": (
        LeaseNotFound,
        lambda client, key: client.txn(
            transaction(
                success=[
                    put(key + b"flat", b""),
                    nested(transaction(success=[put(key + b"good", b"")])),
                    nested(transaction(success=[put(key + b"leased", b"", lease=77)])),
                ]
            )
        ),
    ),
    "a read of the past beside good writes": (
        FutureRevision,
        lambda client, key: client.txn(
            transaction(success=[put(key, b""), get(read(key, revision=FUTURE))])
        ),
    ),
    "no key": (InvalidRequest, lambda client, _: client.put(b"", b"")),
    "a lease of 30,000 years": (InvalidRequest, lambda client, _: client.lease_grant(10**12)),
    "revoking a dead lease": (LeaseNotFound, lambda client, _: client.lease_revoke(77)),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_what_is_refused_changes_nothing(
    client: EtcdClient, prefix: bytes, name: str
) -> None:
    """A refusal says why, and not one write of the refused call is there afterwards."""
    failure, call = REFUSED[name]
    with pytest.raises(failure):
        await call(client, prefix)
    assert (await client.range(read(prefix, prefix_end(prefix)))).count == 0


async def test_an_answer_over_the_limit_hides_a_write_that_happened(
    client: EtcdClient, prefix: bytes
) -> None:
    """Too large an answer is ambiguous: by then, the transaction has been carried out."""
    await client.put(prefix + b"large", bytes(2**20))
    large = get(read(prefix + b"large"))
    with pytest.raises(AnswerTooLarge) as raised:
        await client.txn(transaction(success=[put(prefix + b"done", b""), *[large] * 65]))
    assert isinstance(raised.value, Ambiguous)
    assert (await client.range(read(prefix + b"done"))).count == 1


async def test_a_lost_answer_leaves_a_write_ambiguous_and_sends_it_once(
    client: EtcdClient, relay: Relay, prefix: bytes
) -> None:
    """A connection that breaks after the request leaves the outcome open; nothing is repeated."""
    async with EtcdClient([relay.address]) as cut:
        warm = await cut.put(prefix + b"warm", b"")
        relay.answers_pass = False
        writing = asyncio.ensure_future(cut.put(prefix, b""))
        async with client.watch(prefix, start_revision=warm.header.revision + 1) as watch:
            async for batch in watch:
                if batch.events:
                    break
        relay.answers_pass = True
        relay.cut()
        with pytest.raises(Ambiguous):
            await writing
    assert (await client.range(read(prefix))).kvs[0].version == 1


async def test_a_write_without_an_answer_in_time_is_ambiguous(
    relay: Relay, client: EtcdClient, prefix: bytes
) -> None:
    """A deadline that passes says nothing about the write."""
    async with EtcdClient([relay.address]) as cut:
        await cut.put(prefix + b"warm", b"")
        relay.answers_pass = False
        with pytest.raises(Ambiguous):
            await cut.txn(transaction(success=[put(prefix, b"")]), within=0.3)
    assert (await client.range(read(prefix))).count == 1


async def test_nobody_there_is_unavailable_to_readers_and_ambiguous_to_writers() -> None:
    """Without any endpoint, a read is known to have failed, and a write is called unknown."""
    async with EtcdClient([f"127.0.0.1:{port}" for port in free_ports(2)]) as nowhere:
        for reading in (
            lambda: nowhere.range(read(b"a")),
            lambda: nowhere.consensus_range(read(b"a")),
            lambda: nowhere.time_to_live(1),
            nowhere.status,
        ):
            with pytest.raises(Unavailable):
                await reading()
        for writing in (
            lambda: nowhere.put(b"a", b""),
            lambda: nowhere.txn(transaction(success=[put(b"a", b"")])),
            lambda: nowhere.delete(b"a"),
            lambda: nowhere.lease_grant(5),
            lambda: nowhere.lease_revoke(1),
            lambda: nowhere.keep_alive(1),
        ):
            with pytest.raises(Ambiguous):
                await writing()


async def test_every_failure_says_whether_it_may_have_been_applied() -> None:
    """Each named failure is either refused or ambiguous, and never both."""

    def named(kind: type[EtcdError]) -> set[type[EtcdError]]:
        return {kind}.union(*(named(each) for each in kind.__subclasses__()))

    for kind in named(EtcdError) - {EtcdError}:
        assert issubclass(kind, Refused) is not issubclass(kind, Ambiguous), kind


async def test_a_full_database_is_ambiguous_and_still_deletes_and_reads() -> None:
    """Puts and new leases fail for space without certainty; the ways out stay open."""
    async with members(1, "--quota-backend-bytes", str(16 * 2**20)) as (member,):
        await until_ready(member.address)
        async with EtcdClient([member.address]) as client:
            lease = (await client.lease_grant(60)).ID
            with pytest.raises(NoSpace) as raised:
                for n in range(100):
                    await client.put(b"%d" % n, bytes(2**20))
            assert isinstance(raised.value, Ambiguous)
            with pytest.raises(NoSpace):
                await client.txn(transaction(success=[put(b"a", b"")]))
            with pytest.raises(NoSpace):
                await client.lease_grant(60)
            assert await client.keep_alive(lease) == 60
            assert (await client.consensus_range(read(b"0"))).answers[0].count == 1
            assert (await client.delete(b"\0", b"\0")).deleted > 0


@pytest.fixture
async def guarded() -> AsyncIterator[Member]:
    """Return an etcd that asks for a name and a password."""
    async with members(1) as (member,):
        await until_ready(member.address)
        for command in ("user add root:secret", "user grant-role root root", "auth enable"):
            process = await asyncio.create_subprocess_exec(
                *("etcdctl", "--endpoints", member.address, *command.split()),
                env={"ETCDCTL_API": "3", "PATH": "/usr/bin:/usr/local/bin"},
                stdout=asyncio.subprocess.DEVNULL,
            )
            assert await process.wait() == 0
        yield member


async def test_a_stranger_is_denied(guarded: Member) -> None:
    """Without a token, with a wrong one, and with a wrong password: all are denials."""
    async with EtcdClient([guarded.address]) as client:
        for call in (
            lambda: client.range(read(b"a")),
            lambda: client.put(b"a", b""),
            lambda: client.txn(transaction(success=[put(b"a", b"")])),
        ):
            with pytest.raises(Denied):
                await call()
        async with client.watch(b"a", start_revision=1) as watch:
            with pytest.raises(Denied):
                await anext(watch)
    async with grpc.aio.insecure_channel(guarded.address) as channel:
        metadata = (("token", "wrong"),)
        with pytest.raises(grpc.aio.AioRpcError) as put_failed:
            await etcd_pb2_grpc.KVStub(channel).Put(PutRequest(key=b"a"), metadata=metadata)
        assert isinstance(of_write(put_failed.value), Denied)
        auth = etcd_pb2_grpc.AuthStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as login_failed:
            await auth.Authenticate(AuthenticateRequest(name="root", password="wrong"))
        assert isinstance(of_write(login_failed.value), Denied)
        assert (await auth.Authenticate(AuthenticateRequest(name="root", password="secret"))).token
