"""The cluster of a round: real parts, each behind doors, and what acts on them.

    client --> gateway --> Live <--> Live --> Store --> etcd <--> etcd
           door        door      door      door      door      door

Every part is told the door's address of each other one, so every road between two parts can be
harmed alone. The harness itself reaches a part past its door, by `place`.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc

from cluster.etcd import Place
from cluster.etcd_binary import EtcdBinary
from cluster.keys import DevelopmentKeys
from cluster.ports import HOST
from cluster.supervisor import Cluster
from cluster.topology import Topology
from sessiond.v1.ownership_pb2 import IdentifyRequest, ReadHeadRequest
from sessiond.v1.ownership_pb2_grpc import InstanceServiceStub, OwnershipServiceStub
from tests.faults.launching import Needs, clock_of, launched, mount, orders_of, unmount
from tests.faults.members import Members
from tests.faults.parts.orders import REPORTS
from tests.faults.relays.callers import Callers
from tests.faults.relays.door import Door

COUNTS = {"etcd": 3, "store": 2, "live": 3, "gateway": 2}
"""How many parts of each kind there are."""

_OPTIONS = (
    ("grpc.enable_retries", 0),
    ("grpc.enable_http_proxy", 0),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.max_reconnect_backoff_ms", 200),
    ("grpc.max_receive_message_length", 40 * 1024 * 1024),
)


@dataclass
class Grounds:
    """A running cluster.

    Attributes:
        cluster: the processes.
        doors: by the part's name; those between members of etcd are called `etcd-1 peers`.
        members: etcd.
        keys: what signs tokens.
        home: the folder of this round.
        places: where each part really listens.
    """

    cluster: Cluster
    doors: Mapping[str, Door]
    members: Members
    keys: DevelopmentKeys
    home: Path
    places: Mapping[str, str]
    needs: Needs
    resources: AsyncExitStack
    _channels: dict[str, grpc.aio.Channel] = field(default_factory=dict)

    def names(self, kind: str) -> list[str]:
        """Return the names of all parts of a kind."""
        return [f"{kind}-{number}" for number in range(1, COUNTS[kind] + 1)]

    def doors_of(self, kind: str) -> list[str]:
        """Return where callers reach the parts of a kind."""
        return self.cluster.addresses(kind)

    def channel(self, name: str) -> grpc.aio.Channel:
        """Return a channel to a part, past its door."""
        if name not in self._channels:
            channel = grpc.aio.insecure_channel(self.places[name], options=_OPTIONS)
            self._channels[name] = channel
            self.resources.push_async_callback(channel.close)
        return self._channels[name]

    def door_channel(self, name: str) -> grpc.aio.Channel:
        """Return a channel to a part through its door; it is closed by who asks for it."""
        return grpc.aio.insecure_channel(self.cluster.address(name), options=_OPTIONS)

    async def owner(self, session_id: str) -> str:
        """Return the Live that owns a session, as a Store says; "" when none does, or none says."""
        names = {door.address: name for name, door in self.doors.items()}
        token = self.keys.part_token_file("live").read_text().strip()
        for store in self.names("store"):
            stub: Any = OwnershipServiceStub(self.channel(store))
            try:
                answer = await stub.ReadHead(
                    ReadHeadRequest(session_id=session_id),
                    metadata=(("authorization", f"Bearer {token}"),),
                    timeout=2,
                )
            except grpc.aio.AioRpcError:
                continue
            return names.get(answer.owner_address, "")
        return ""

    async def instance(self, name: str) -> bytes:
        """Return which instance a Live is now; empty while it is none, or does not answer."""
        stub: Any = InstanceServiceStub(self.channel(name))
        try:
            return bytes((await stub.Identify(IdentifyRequest(), timeout=1)).instance)
        except grpc.aio.AioRpcError:
            return b""

    # --- orders to a part ---------------------------------------------------------------------

    def order(self, name: str, order: str) -> None:
        """Let a part of ours do something to itself (`tests.faults.parts.orders`)."""
        orders_of(self.home, name).write_text(order)
        if self.cluster.running(name):
            os.kill(self.cluster.pid(name), signal.SIGUSR1)

    def reports(self, name: str) -> str:
        """Return what a part of ours says to have done to itself, a line each."""
        file = orders_of(self.home, name).with_suffix(REPORTS)
        return file.read_text() if file.exists() else ""

    def reported_ago(self, name: str) -> float:
        """Return how many seconds ago the last of it was, for a part that has said something."""
        return time.time() - orders_of(self.home, name).with_suffix(REPORTS).stat().st_mtime

    def set_clock(self, name: str, seconds: float) -> None:
        """Let a part's wall clock be so many seconds ahead of the truth; within a second."""
        clock_of(self.home, name).write_text(f"{seconds:+g}\n")

    @property
    def small_disk(self) -> Path:
        """The folder of the member on a small disk."""
        return self.home / "etcd" / self.needs.small_disk


@asynccontextmanager
async def grounds(
    binary: EtcdBinary,
    ports: Iterator[int],
    home: Path,
    *,
    needs: Needs,
    told: Callable[[str], None] = lambda line: None,
) -> AsyncIterator[Grounds]:
    """Run the cluster in this folder while the block runs; its logs stay."""

    def places(kind: str) -> list[Place]:
        return [Place(*(next(ports) for _ in range(4))) for _ in range(COUNTS[kind])]

    by_kind = {kind: places(kind) for kind in COUNTS}
    topology = Topology(
        etcds=by_kind["etcd"],
        stores=by_kind["store"],
        lives=by_kind["live"],
        gateways=by_kind["gateway"],
        quota_bytes=needs.quota_bytes,
        settings={"store": {"SESSIOND_LEASE_TTL_SECONDS": str(needs.ttl_seconds)}},
    )
    keys = DevelopmentKeys(home / "keys")
    environ = {name: value for name, value in os.environ.items() if not name.startswith("SESSIOND")}
    stages = topology.stages(binary=binary, keys=keys, data_dir=home, environ=environ)
    cluster = Cluster([launched(stage, home, needs) for stage in stages], logs=home / "logs")
    at = {
        f"{kind}-{number}": place
        for kind, found in by_kind.items()
        for number, place in enumerate(found, start=1)
    }
    callers = Callers(lambda: {name: cluster.pid(name) for name in at if cluster.running(name)})
    # A part inherits this, so that an order that meets it before it listens does not end it.
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    async with AsyncExitStack() as stack:
        if needs.small_disk:
            stack.callback(unmount, mount(home / "etcd" / needs.small_disk))
        doors = {
            name: await stack.enter_async_context(door) for name, door in _doors(at, callers.name)
        }
        members = await stack.enter_async_context(
            Members({name: f"{HOST}:{place.port}" for name, place in at.items() if "etcd" in name})
        )
        told("starting 3 etcd, 2 Store, 3 Live, 2 gateway")
        await stack.enter_async_context(cluster)
        # Nothing of it is needed any more once the load is over.
        stack.callback(cluster.hurry)
        resources = await stack.enter_async_context(AsyncExitStack())
        found = {name: f"{HOST}:{place.port}" for name, place in at.items()}
        yield Grounds(cluster, doors, members, keys, home, found, needs, resources)


def _doors(
    at: Mapping[str, Place], caller_of: Callable[[int, int], str]
) -> Iterator[tuple[str, Door]]:
    for name, place in at.items():
        yield name, Door(name, f"{HOST}:{place.port}", port=place.door, caller_of=caller_of)
        if name.startswith("etcd"):
            peers = f"{name} peers"
            yield (
                peers,
                Door(peers, f"{HOST}:{place.other}", port=place.other_door, caller_of=caller_of),
            )
