"""A system of real processes, and ways to speak to it."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import grpc
import httpx

from cluster.etcd_binary import EtcdBinary
from cluster.keys import DevelopmentKeys
from cluster.part import Part
from cluster.supervisor import Cluster
from cluster.topology import Topology
from services.serving.claims import encode_user
from services.store.etcd.client import EtcdClient
from services.store.etcd.repository import EtcdRepository
from sessiond.session.events import Record
from sessiond.store.codec import StoredHead, decode_head, decode_record
from sessiond.v1.live_pb2_grpc import LiveServiceStub
from sessiond.v1.ownership_pb2 import IdentifyRequest
from sessiond.v1.ownership_pb2_grpc import InstanceServiceStub, OwnershipServiceStub
from sessiond.v1.store_pb2_grpc import StoreServiceStub

T = TypeVar("T")

ANSWER_BYTES = 40 * 1024 * 1024
# Reading the system's certificates takes longer than most tests.
NOBODY = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


class System:
    """Parts that run until the system is closed, with keys, data and logs in one folder.

    Clients and channels that it gives are closed with it. With `trust` set, the gateway is spoken
    to over TLS.
    """

    def __init__(
        self, cluster: Cluster, topology: Topology, keys: DevelopmentKeys, home: Path
    ) -> None:
        self.cluster = cluster
        self.topology = topology
        self.keys = keys
        self.home = home
        self.trust: ssl.SSLContext | None = None
        self._resources = AsyncExitStack()
        self._channels: dict[str, grpc.aio.Channel] = {}

    async def close(self) -> None:
        await self._resources.aclose()
        self._channels.clear()

    # --- REST ----------------------------------------------------------------------------------

    def api(
        self,
        user: str,
        *,
        role: str | None = None,
        agents: Iterable[str] = (),
        sessions: Iterable[str] = (),
        acting_for: str | None = None,
        at: str | None = None,
    ) -> httpx.AsyncClient:
        """Return a client of this caller's; `at` is another address than the gateway's."""
        token = self.keys.user_token(user, role=role, agents=agents, sessions=sessions)
        headers = {"Authorization": f"Bearer {token}"}
        if acting_for is not None:
            headers["Sessiond-User"] = encode_user(acting_for)
        scheme = "http" if self.trust is None else "https"
        client = httpx.AsyncClient(
            base_url=f"{scheme}://{at or self.cluster.address('gateway-1')}",
            headers=headers,
            timeout=30,
            trust_env=False,
            verify=self.trust or NOBODY,
        )
        self._resources.push_async_callback(client.aclose)
        return client

    # --- gRPC ----------------------------------------------------------------------------------

    def live(self, name: str = "live-1") -> Any:
        return LiveServiceStub(self.channel(name))

    def store(self, name: str = "store-1") -> Any:
        return StoreServiceStub(self.channel(name))

    def ownership(self, name: str = "store-1") -> Any:
        return OwnershipServiceStub(self.channel(name))

    def channel(self, name: str) -> grpc.aio.Channel:
        """Return the channel to a part, one for all who ask."""
        if name not in self._channels:
            options = (
                ("grpc.max_receive_message_length", ANSWER_BYTES),
                ("grpc.enable_retries", 0),
                ("grpc.max_reconnect_backoff_ms", 200),
            )
            channel = grpc.aio.insecure_channel(self.cluster.address(name), options=options)
            self._channels[name] = channel
            self._resources.push_async_callback(channel.close)
        return self._channels[name]

    def calling(self, user: str, **more: str) -> tuple[tuple[str, str], ...]:
        """Return the gRPC metadata of this caller; `more` are claims, as `role="service"`."""
        token = self.keys.user_token(user, role=more.get("role"))
        return (("authorization", f"Bearer {token}"),)

    async def instance(self, name: str = "live-1") -> bytes:
        """Return which instance a Live is now; empty while it is none."""
        stub: Any = InstanceServiceStub(self.channel(name))
        answer = await stub.Identify(IdentifyRequest(), timeout=2)
        return bytes(answer.instance)

    # --- what stands in etcd -------------------------------------------------------------------

    async def stored(self, session_id: str) -> tuple[StoredHead, list[Record]] | None:
        """Return a session's head and all its records, read from etcd without any of our parts."""
        async with (
            EtcdClient([self.cluster.address("etcd-1")]) as etcd,
            EtcdRepository(etcd) as repository,
        ):
            snapshot = await repository.snapshot(session_id)
            if snapshot is None:
                return None
            head = decode_head(snapshot.head)
            records = await repository.records(
                session_id, 1, max(head.seq, 1) + 1000, revision=snapshot.revision
            )
            return head, [decode_record(record) for record in records]

    async def records(self, session_id: str) -> list[Record]:
        """Return all records of a session, after looking that they are numbered 1..N."""
        stored = await self.stored(session_id)
        assert stored is not None
        head, records = stored
        assert [record.seq for record in records] == list(range(1, head.seq + 1))
        return records

    async def instances(self) -> list[bytes]:
        """Return the instances of Live that are registered in etcd."""
        async with (
            EtcdClient([self.cluster.address("etcd-1")]) as etcd,
            EtcdRepository(etcd) as repository,
        ):
            _, registered = await repository.instances()
            return [each.instance for each in registered]

    # --- logs and figures ------------------------------------------------------------------------

    def log(self, name: str) -> str:
        """Return all that a part has logged so far."""
        log = self.home / "logs" / f"{name}.log"
        return log.read_text() if log.exists() else ""

    async def figures(self, name: str) -> dict[str, float]:
        """Return what a part tells Prometheus, by the name and labels of each sample."""
        page = self.cluster.part(name).ready_url.replace("/readyz", "/metrics")
        async with httpx.AsyncClient(trust_env=False, verify=NOBODY) as client:
            lines = (await client.get(page)).text.splitlines()
        samples = [line.rsplit(" ", 1) for line in lines if not line.startswith("#")]
        return {sample: float(value) for sample, value in samples}


@asynccontextmanager
async def running(
    topology: Topology,
    home: Path,
    binary: EtcdBinary,
    *,
    stages: Callable[[list[list[Part]], DevelopmentKeys], list[list[Part]]] | None = None,
) -> AsyncIterator[System]:
    """Run a topology while the block runs; `stages` may replace the parts before they start."""
    system = prepared(topology, home, binary, stages=stages)
    async with system.cluster:
        try:
            yield system
        finally:
            # First the clients: a gateway that stops says goodbye to each, and over TLS waits.
            await system.close()


def prepared(
    topology: Topology,
    home: Path,
    binary: EtcdBinary,
    *,
    stages: Callable[[list[list[Part]], DevelopmentKeys], list[list[Part]]] | None = None,
) -> System:
    """Return a system of which nothing has been started."""
    keys = DevelopmentKeys(home / "keys")
    parts = topology.stages(binary=binary, keys=keys, data_dir=home, environ=plain_environ())
    if stages is not None:
        parts = stages(parts, keys)
    return System(Cluster(parts, logs=home / "logs"), topology, keys, home)


def plain_environ() -> Mapping[str, str]:
    """Return the environment without settings that somebody's shell may hold."""
    return {name: value for name, value in os.environ.items() if not name.startswith("SESSIOND_")}


async def until(condition: Callable[[], Awaitable[T]], *, seconds: float = 20.0) -> T:
    """Return the first true value that the condition gives; fail after `seconds`."""
    async with asyncio.timeout(seconds):
        while True:
            if value := await condition():
                return value
            await asyncio.sleep(0.02)
