"""Following the living instances: connections kept and missed, and reports of what is refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from services.serving.addresses import HostPort
from services.serving.channels import CHANNEL_OPTIONS
from services.serving.identity import PartIdentity
from services.serving.instances import Instance, Instances
from sessiond.errors import RateLimited
from sessiond.status import DETAILS_KEY, to_status
from sessiond.v1 import ownership_pb2 as pb
from sessiond.v1.ownership_pb2_grpc import (
    InstanceServiceServicer,
    add_InstanceServiceServicer_to_server,
)

PATIENCE = 10.0


def one(number: int, address: str, *, draining: bool = False) -> Instance:
    return Instance(bytes([number]) * 16, address, draining)


class Told:
    """A Store that tells of instances as a test says, and notes what is reported."""

    def add_to(self, server: grpc.aio.Server) -> None:
        methods: dict[str, Any] = {
            "WatchInstances": grpc.unary_stream_rpc_method_handler(
                self.watch,
                request_deserializer=pb.WatchInstancesRequest.FromString,
                response_serializer=pb.WatchInstancesResponse.SerializeToString,
            ),
            "ReportUnreachable": grpc.unary_unary_rpc_method_handler(
                self.report,
                request_deserializer=pb.ReportUnreachableRequest.FromString,
                response_serializer=pb.ReportUnreachableResponse.SerializeToString,
            ),
        }
        service = grpc.method_handlers_generic_handler("sessiond.v1.OwnershipService", methods)
        server.add_generic_rpc_handlers((service,))

    def __init__(self) -> None:
        self.instances: list[Instance] = []
        self.changed = asyncio.Condition()
        self.followers = 0
        self.reported: list[bytes] = []
        self.heard = asyncio.Event()
        self.gone = False
        self.refusals: list[RateLimited] = []
        self.answering = asyncio.Event()
        self.answering.set()
        self.tokens: set[str] = set()

    async def tell(self, *instances: Instance) -> None:
        async with self.changed:
            self.instances = list(instances)
            self.changed.notify_all()

    async def watch(
        self, request: pb.WatchInstancesRequest, context: Any
    ) -> AsyncGenerator[pb.WatchInstancesResponse, None]:
        self.tokens |= {str(v) for k, v in context.invocation_metadata() if k == "authorization"}
        self.followers += 1
        try:
            while True:
                told = self.instances
                yield pb.WatchInstancesResponse(
                    instances=[
                        pb.LiveInstance(
                            instance=each.id, address=each.address, draining=each.draining
                        )
                        for each in told
                    ]
                )
                async with self.changed:
                    while self.instances is told:
                        await self.changed.wait()
        finally:
            self.followers -= 1

    async def report(
        self, request: pb.ReportUnreachableRequest, context: Any
    ) -> pb.ReportUnreachableResponse:
        self.reported.append(request.instance)
        self.heard.set()
        await self.answering.wait()
        if self.refusals:
            status = to_status(self.refusals.pop())
            context.set_trailing_metadata(((DETAILS_KEY, status.SerializeToString()),))
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED)
        return pb.ReportUnreachableResponse(gone=self.gone)


class Somebody(InstanceServiceServicer):
    """A Live that says who it is, and nothing else."""

    def add_to(self, server: grpc.aio.Server) -> None:
        add_InstanceServiceServicer_to_server(self, server)

    async def Identify(  # noqa: N802
        self, request: pb.IdentifyRequest, context: Any
    ) -> pb.IdentifyResponse:
        return pb.IdentifyResponse(instance=b"somebody")


class Serving:
    """A server that can be stopped at once, and started again at the same port."""

    def __init__(self, servicer: Told | Somebody) -> None:
        self._servicer = servicer
        self._server: grpc.aio.Server | None = None
        self.port = 0

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def start(self) -> None:
        self._server = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
        self._servicer.add_to(self._server)
        self.port = self._server.add_insecure_port(self.address)
        await self._server.start()

    async def stop(self) -> None:
        if self._server is not None:
            server, self._server = self._server, None
            await server.stop(None)


@asynccontextmanager
async def serving(
    servicer: Told | Somebody,
) -> AsyncIterator[Serving]:
    server = Serving(servicer)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


@asynccontextmanager
async def following(
    folder: Path, *stores: Serving, own_address: str = ""
) -> AsyncIterator[Instances]:
    """Follow the instances over these Stores; nothing that ran for it is left behind."""
    before = asyncio.all_tasks()
    token = folder / "token"
    token.write_text("a-token")
    async with (
        asyncio.timeout(PATIENCE),
        Instances(
            [HostPort("127.0.0.1", store.port) for store in stores],
            lambda address: grpc.aio.insecure_channel(str(address), options=CHANNEL_OPTIONS),
            PartIdentity(token),
            own_address=own_address,
            jitter=lambda: 0.0,
        ) as instances,
    ):
        yield instances
    left = {
        task
        for task in asyncio.all_tasks() - before - {asyncio.current_task()}
        if task.get_coro().__qualname__.startswith(("Instances.", "Connection."))  # type: ignore[union-attr]
    }
    assert not left


async def become(instances: Instances, *expected: Instance) -> None:
    """Wait until these are known to live."""
    async for living in instances.follow():
        if living == tuple(sorted(expected, key=lambda each: each.id)):
            return


async def up(channel: grpc.aio.Channel) -> None:
    """Wait until a connection stands that nobody has used."""
    while (state := channel.get_state()) is not grpc.ChannelConnectivity.READY:
        await channel.wait_for_state_change(state)


async def identify(channel: grpc.aio.Channel) -> bytes:
    answer = await channel.unary_unary(
        "/sessiond.v1.InstanceService/Identify",
        request_serializer=pb.IdentifyRequest.SerializeToString,
        response_deserializer=pb.IdentifyResponse.FromString,
    )(pb.IdentifyRequest())
    return bytes(answer.instance)


async def test_all_instances_are_known_and_every_change_is_heard(tmp_path: Path) -> None:
    """What Store tells is there at once, draining included, and followers hear of each change."""
    store = Told()
    first, second = one(1, "127.0.0.1:1"), one(2, "127.0.0.1:2")
    store.instances = [second, first]
    async with serving(store) as server, following(tmp_path, server) as instances:
        assert await instances.known() == (first, second)
        leaving = one(1, "127.0.0.1:1", draining=True)
        await store.tell(leaving)
        await become(instances, leaving)
        assert instances.at("127.0.0.1:1") == leaving
        assert instances.at("127.0.0.1:2") is None
        assert store.tokens == {"Bearer a-token"}


async def test_the_last_known_count_while_store_is_away(tmp_path: Path) -> None:
    """A Store that stops takes nobody with it; the next one is asked, and then the first again."""
    one_store, other_store = Told(), Told()
    first, second = one(1, "127.0.0.1:1"), one(2, "127.0.0.1:2")
    one_store.instances = [first]
    other_store.instances = [first]
    async with (
        serving(one_store) as a,
        serving(other_store) as b,
        following(tmp_path, a, b) as instances,
    ):
        await instances.known()
        assert (one_store.followers, other_store.followers) == (1, 0)
        await a.stop()
        await other_store.tell(first, second)
        await become(instances, first, second)
        await b.stop()
        assert instances.living == (first, second)
        await a.start()
        await one_store.tell(second)
        await become(instances, second)


async def test_a_connection_stands_before_anybody_needs_it(tmp_path: Path) -> None:
    """Each instance but the own one is connected to as soon as it is known."""
    store = Told()
    async with (
        serving(store) as server,
        serving(Somebody()) as peer,
        following(tmp_path, server, own_address="127.0.0.1:1") as instances,
    ):
        await store.tell(one(1, peer.address), one(2, "127.0.0.1:1"))
        await become(instances, one(1, peer.address), one(2, "127.0.0.1:1"))
        await up(instances.channel(peer.address))
        assert await identify(instances.channel(peer.address)) == b"somebody"
        assert store.reported == []


async def test_a_lost_connection_that_is_refused_again_is_reported_at_once(tmp_path: Path) -> None:
    """Store hears of it although nobody calls, and what Store ends is gone for everybody here."""
    store = Told()
    store.gone = True
    async with (
        serving(store) as server,
        serving(Somebody()) as peer,
        following(tmp_path, server) as instances,
    ):
        await store.tell(one(1, peer.address))
        await become(instances, one(1, peer.address))
        await up(instances.channel(peer.address))
        gone = instances.gone(one(1, "").id)
        assert not gone.done()
        started = asyncio.get_running_loop().time()
        await peer.stop()
        await asyncio.wait((gone,))
        assert asyncio.get_running_loop().time() - started < 1.0
        assert store.reported == [one(1, "").id]
        # Store's own list is slower than its answer, and does not bring it back.
        await store.tell(one(1, peer.address), one(2, "127.0.0.1:2"))
        await become(instances, one(2, "127.0.0.1:2"))


async def test_an_instance_that_store_can_reach_stays(tmp_path: Path) -> None:
    """It is Store that looks: one that only we cannot reach is not gone, and is used again."""
    store = Told()
    async with (
        serving(store) as server,
        serving(Somebody()) as peer,
        following(tmp_path, server) as instances,
    ):
        await store.tell(one(1, peer.address))
        await become(instances, one(1, peer.address))
        await up(instances.channel(peer.address))
        await peer.stop()
        await store.heard.wait()
        assert await instances.unreachable(one(1, "").id) is False
        assert instances.living == (one(1, peer.address),)
        await peer.start()
        await up(instances.channel(peer.address))
        assert await identify(instances.channel(peer.address)) == b"somebody"


async def test_reports_that_meet_are_one(tmp_path: Path) -> None:
    """A hundred callers that are refused make one report, and all get its answer."""
    store = Told()
    store.gone = True
    store.answering.clear()
    async with serving(store) as server, following(tmp_path, server) as instances:
        # Nobody listens there, so the connection is reported by itself, too.
        await store.tell(one(1, "127.0.0.1:1"))
        await become(instances, one(1, "127.0.0.1:1"))
        waiting = [asyncio.create_task(instances.unreachable(one(1, "").id)) for _ in range(100)]
        await store.heard.wait()
        store.answering.set()
        assert set(await asyncio.gather(*waiting)) == {True}
        assert store.reported == [one(1, "").id]
        assert await instances.unreachable(one(1, "").id) is True
        assert store.reported == [one(1, "").id]


async def test_a_report_ends_when_the_instance_is_known_to_be_gone(tmp_path: Path) -> None:
    """Somebody else's report may have been faster: nobody waits for Store's answer then."""
    store = Told()
    store.answering.clear()
    async with serving(store) as server, following(tmp_path, server) as instances:
        await store.tell(one(1, "127.0.0.1:1"))
        await become(instances, one(1, "127.0.0.1:1"))
        waiting = asyncio.create_task(instances.unreachable(one(1, "").id))
        await store.heard.wait()
        await store.tell()
        assert await waiting is True
        store.answering.set()


async def test_a_store_that_looks_at_another_one_is_asked_again(tmp_path: Path) -> None:
    """It looks at one instance a second, and says when it will look at the next."""
    store = Told()
    store.gone = True
    store.refusals = [RateLimited(retry_after=0.01)]
    async with serving(store) as server, following(tmp_path, server) as instances:
        await store.tell(one(1, "127.0.0.1:1"))
        await become(instances, one(1, "127.0.0.1:1"))
        assert await instances.unreachable(one(1, "").id) is True
        assert len(store.reported) == 2


async def test_a_report_goes_to_the_next_store_when_one_does_not_answer(tmp_path: Path) -> None:
    """The Store that is followed may be the very one that fell."""
    one_store, other_store = Told(), Told()
    one_store.instances = other_store.instances = [one(1, "127.0.0.1:1")]
    async with (
        serving(one_store) as a,
        serving(other_store) as b,
        following(tmp_path, a, b) as instances,
    ):
        await instances.known()
        await one_store.heard.wait()
        await a.stop()
        other_store.gone = True
        while not await instances.unreachable(one(1, "").id):
            pass
        assert other_store.reported == [one(1, "").id]


async def test_a_process_born_again_at_its_address_keeps_its_connection(tmp_path: Path) -> None:
    """The instance is gone, its successor another one; the address has one channel throughout."""
    store = Told()
    async with (
        serving(store) as server,
        serving(Somebody()) as peer,
        following(tmp_path, server) as instances,
    ):
        await store.tell(one(1, peer.address))
        await become(instances, one(1, peer.address))
        channel, gone = instances.channel(peer.address), instances.gone(one(1, "").id)
        await store.tell(one(2, peer.address))
        await become(instances, one(2, peer.address))
        assert gone.done()
        assert instances.channel(peer.address) is channel
        assert not instances.gone(one(2, "").id).done()


async def test_one_that_comes_back_is_dialled_at_once(tmp_path: Path) -> None:
    """However long nobody was there: the wait between two dials belongs to its predecessor."""
    store = Told()
    async with (
        serving(store) as server,
        serving(Somebody()) as peer,
        following(tmp_path, server) as instances,
    ):
        await store.tell(one(1, peer.address))
        await become(instances, one(1, peer.address))
        before = instances.channel(peer.address)
        await up(before)
        await peer.stop()
        while (state := before.get_state()) is not grpc.ChannelConnectivity.TRANSIENT_FAILURE:
            await before.wait_for_state_change(state)
        await store.heard.wait()
        await peer.start()
        await store.tell(one(2, peer.address))
        await become(instances, one(2, peer.address))
        # The old one would refuse this call, or make it wait.
        assert instances.channel(peer.address) is not before
        assert await identify(instances.channel(peer.address)) == b"somebody"
        assert store.reported == [one(1, "").id]


async def test_the_channel_of_one_that_left_closes_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is still under way has a moment to end; then the channel is closed and forgotten."""
    monkeypatch.setattr("services.serving.instances.LINGER_SECONDS", 0.0)
    store = Told()
    async with (
        serving(store) as server,
        serving(Somebody()) as peer,
        following(tmp_path, server) as instances,
    ):
        await store.tell(one(1, peer.address))
        await become(instances, one(1, peer.address))
        channel = instances.channel(peer.address)
        await up(channel)
        await store.tell()
        await become(instances)
        while (state := channel.get_state()) is not grpc.ChannelConnectivity.SHUTDOWN:
            await channel.wait_for_state_change(state)
        # Somebody may still be named as an owner there: that opens a channel for the time being.
        monkeypatch.undo()
        assert await identify(instances.channel(peer.address)) == b"somebody"


async def test_an_address_that_is_none_harms_nobody(tmp_path: Path) -> None:
    """One instance with a bad address does not keep us from the others."""
    store = Told()
    store.instances = [one(1, "nowhere"), one(2, "127.0.0.1:2")]
    async with serving(store) as server, following(tmp_path, server) as instances:
        assert len(await instances.known()) == 2
        with pytest.raises(ValueError, match="expected host:port"):
            instances.channel("nowhere")
        await instances.channel("127.0.0.1:2").wait_for_state_change(
            grpc.ChannelConnectivity.SHUTDOWN
        )
