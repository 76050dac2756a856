from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
import pytest

from cluster.supervisor import Cluster
from services.serving.health import Health
from services.store.etcd.client import EtcdClient
from services.store.etcd.repository import EtcdRepository
from sessiond.errors import OutcomeUnknown, SessionNotFound, Unavailable
from sessiond.status import from_rpc_error
from sessiond.v1 import ownership_pb2
from sessiond.v1 import store_pb2 as pb
from tests.etcd.relay import Relay
from tests.store.author import Author
from tests.store.conftest import Serve, Served


@asynccontextmanager
async def opened(serve: Serve, address: str, namespace: str) -> AsyncIterator[Served]:
    """Serve a Store on the etcd at this address."""
    async with (
        EtcdClient([address], within=2.0) as etcd,
        EtcdRepository(etcd, namespace=namespace, settle_seconds=1.0) as repository,
        serve(repository) as served,
    ):
        yield served


@pytest.fixture
async def author(etcd: Cluster, namespace: str) -> AsyncIterator[Author]:
    """An instance that writes sessions by a way of its own."""
    async with (
        EtcdClient([etcd.address("etcd-1")]) as client,
        EtcdRepository(client, namespace=namespace) as repository,
    ):
        yield await Author(repository).register()


async def until(health: Health, *, ready: bool) -> None:
    """Wait until the part is ready, or no longer."""
    async with asyncio.timeout(20):
        async for now in health.changes():
            if now is ready:
                return


async def test_a_session_lives_through_it_all(
    serve: Serve, etcd: Cluster, namespace: str, author: Author
) -> None:
    """Created, repeated, written, loaded, paged, listed, watched and deleted on a real etcd."""
    async with opened(serve, etcd.address("etcd-1"), namespace) as served:
        await until(served.health, ready=True)
        alice = served.bearer("alice")
        request = pb.CreateSessionRequest(workflow_id="chat", op_id="op-1")
        created = (await served.store.CreateSession(request, metadata=alice)).session
        for number in range(30):
            await author.say(created.id, *(f"{number}-{n}" for n in range(10)))
        again = (await served.store.CreateSession(request, metadata=alice)).session
        loaded = (
            await served.store.GetSession(
                pb.GetSessionRequest(session_id=created.id), metadata=alice
            )
        ).session
        assert again == loaded
        assert [message.seq for message in loaded.conversation_history] == list(range(2, 302))
        tail = await served.store.GetSession(
            pb.GetSessionRequest(session_id=created.id, tail=7), metadata=alice
        )
        assert list(tail.session.conversation_history) == loaded.conversation_history[-7:]

        watch = served.store.WatchSessions(pb.WatchSessionsRequest(user_id="alice"), metadata=alice)
        await watch.read()
        await watch.read()
        await author.say(created.id, "one more")
        async with asyncio.timeout(10):
            told = await watch.read()
            assert isinstance(told, pb.WatchSessionsResponse)
            assert told.session.last_message == "one more"
            await author.delete(created.id)
            told = await watch.read()
        assert isinstance(told, pb.WatchSessionsResponse) and told.removed_id == created.id
        watch.cancel()
        listed = await served.store.ListSessions(
            pb.ListSessionsRequest(user_id="alice"), metadata=alice
        )
        assert not listed.sessions
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await served.store.GetSession(
                pb.GetSessionRequest(session_id=created.id), metadata=alice
            )
        assert isinstance(from_rpc_error(failed.value, mutating=False), SessionNotFound)


async def test_a_heartbeat_and_a_commit_travel_over_the_wire(
    serve: Serve, etcd: Cluster, namespace: str, author: Author
) -> None:
    """What Live does all day: beat, acquire, commit."""
    async with opened(serve, etcd.address("etcd-1"), namespace) as served:
        created = await served.store.CreateSession(
            pb.CreateSessionRequest(id="s-1"), metadata=served.bearer()
        )
        beat = ownership_pb2.HeartbeatRequest(instance=author.instance, lease=author.lease)
        assert (await served.ownership.Heartbeat(beat, metadata=served.live)).alive
        acquired = await served.ownership.Acquire(
            ownership_pb2.AcquireRequest(
                session_id=created.session.id,
                instance=author.instance,
                commit_id=b"c" * 16,
                recent=1000,
            ),
            metadata=served.live,
        )
        assert len(acquired.acquired.records) == 1
        released = await served.ownership.Release(
            ownership_pb2.ReleaseRequest(
                instance=author.instance,
                sessions=[
                    ownership_pb2.ReleaseRequest.Releasing(
                        tag=3,
                        session_id="s-1",
                        expected_head=acquired.acquired.head,
                        commit_id=b"d" * 16,
                    )
                ],
            ),
            metadata=served.live,
        )
        assert [each.WhichOneof("outcome") for each in released.outcomes] == ["committed"]


async def test_etcd_may_come_late_go_and_come_back(
    serve: Serve, etcd: Cluster, namespace: str
) -> None:
    """Not ready without it; reads say Unavailable, writes what is true; all without a restart."""
    get = pb.GetSessionRequest(session_id="s-1")
    create = pb.CreateSessionRequest(id="s-2", op_id="op-2")
    async with Relay(etcd.address("etcd-1")) as relay:
        await relay.shut()
        async with opened(serve, relay.address, namespace) as served:
            alice = served.bearer("alice")
            with pytest.raises(grpc.aio.AioRpcError) as failed:
                await served.store.GetSession(get, metadata=alice)
            unavailable = from_rpc_error(failed.value, mutating=False)
            assert isinstance(unavailable, Unavailable) and unavailable.retry_after
            assert not served.health.ready

            await relay.open()
            await until(served.health, ready=True)
            await served.store.CreateSession(pb.CreateSessionRequest(id="s-1"), metadata=alice)
            assert (await served.store.GetSession(get, metadata=alice)).session.id == "s-1"

            await relay.shut()
            await until(served.health, ready=False)
            with pytest.raises(grpc.aio.AioRpcError) as failed:
                await served.store.CreateSession(create, metadata=alice)
            assert isinstance(
                from_rpc_error(failed.value, mutating=True), Unavailable | OutcomeUnknown
            )

            await relay.open()
            await until(served.health, ready=True)
            created = await served.store.CreateSession(create, metadata=alice)
            assert created.session.id == "s-2"
