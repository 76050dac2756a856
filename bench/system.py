"""What is measured: one etcd, one Store, one Live and one gateway, as processes, made afresh."""

from __future__ import annotations

import os
import random
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import grpc

from bench.echo import echoing
from bench.environment import TICKS
from bench.rest import RestConnection
from cluster.etcd_binary import EtcdBinary
from cluster.keys import DevelopmentKeys
from cluster.ports import free_ports
from cluster.supervisor import Cluster
from cluster.topology import Topology

PARTS = ("etcd", "store", "live", "gateway")
MIB = 1024 * 1024

# One caller is one user here, and one user may be as fast as the parts are.
UNLIMITED = {
    "live": {
        "SESSIOND_CHANGES_PER_SECOND": "1000000",
        "SESSIOND_CHANGES_BURST": "1000000",
    }
}

Metadata = tuple[tuple[str, str], ...]


class System:
    """The running parts, and connections to them that end with it."""

    def __init__(
        self,
        cluster: Cluster,
        keys: DevelopmentKeys,
        pids: Mapping[str, int],
        resources: AsyncExitStack,
    ) -> None:
        self.cluster = cluster
        self._keys = keys
        self._pids = pids
        self._resources = resources
        self._channels: dict[str, grpc.aio.Channel] = {}
        self._tokens: dict[str, str] = {}

    def channel(self, part: str) -> grpc.aio.Channel:
        """Return the one connection to a part's gRPC address, or to `echo`."""
        return self._channels[part]

    def add_channel(self, part: str, address: str) -> None:
        channel = grpc.aio.insecure_channel(
            address,
            options=(
                ("grpc.enable_retries", 0),
                ("grpc.enable_http_proxy", 0),
                ("grpc.max_receive_message_length", 40 * MIB),
            ),
        )
        self._channels[part] = channel
        self._resources.push_async_callback(channel.close)

    async def rest(self, user: str) -> RestConnection:
        """Open an HTTP connection to the gateway, as this user."""
        connection = await RestConnection.open(
            self.cluster.address("gateway-1"), f"Bearer {self.token(user)}"
        )
        self._resources.callback(connection.close)
        return connection

    def token(self, user: str) -> str:
        if user not in self._tokens:
            self._tokens[user] = self._keys.user_token(user)
        return self._tokens[user]

    def calling(self, user: str) -> Metadata:
        """Return the gRPC metadata of a call by this user."""
        return (("authorization", f"Bearer {self.token(user)}"),)

    def usage(self) -> Mapping[str, float]:
        """Return the seconds of CPU that each process, and this one, the load, has used."""
        used = {name: _cpu_seconds(pid) for name, pid in self._pids.items()}
        return used | {"load": time.process_time()}


@asynccontextmanager
async def running(home: Path, binary: EtcdBinary) -> AsyncIterator[System]:
    """Run one of each part on fresh data under `home` while the block runs."""
    keys = DevelopmentKeys(home / "keys")
    ports = free_ports(random.SystemRandom())
    environ = {name: value for name, value in os.environ.items() if not name.startswith("SESSIOND")}
    stages = Topology.anywhere(ports, settings=UNLIMITED).stages(
        binary=binary, keys=keys, data_dir=home, environ=environ
    )
    async with AsyncExitStack() as resources:
        # Processes first: one that has connections of gRPC should not fork.
        cluster = await resources.enter_async_context(Cluster(stages, logs=home / "logs"))
        address, pid = await resources.enter_async_context(
            echoing(next(ports), log=home / "logs" / "echo.log", environ=environ)
        )
        pids = {part: cluster.pid(f"{part}-1") for part in PARTS} | {"echo": pid}
        system = System(cluster, keys, pids, resources)
        system.add_channel("echo", address)
        for part in ("etcd", "store", "live"):
            system.add_channel(part, cluster.address(f"{part}-1"))
        yield system


def _cpu_seconds(pid: int) -> float:
    # The program's name, the second field, may hold spaces; it ends with the last parenthesis.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    user, system = int(fields[11]), int(fields[12])
    return (user + system) / TICKS
