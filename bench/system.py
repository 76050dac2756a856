"""What is measured: etcd, Stores, Lives and gateways as processes, made afresh, and the floors."""

from __future__ import annotations

import asyncio
import os
import random
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import grpc

from bench.environment import TICKS, busy_seconds
from bench.floors.serving import OPTIONS
from bench.rest import RestConnection
from cluster.etcd_binary import EtcdBinary
from cluster.keys import DevelopmentKeys
from cluster.ports import HOST, free_ports
from cluster.processes import Process
from cluster.supervisor import Cluster
from cluster.topology import Topology

KINDS = ("etcd", "store", "live", "gateway")
LOAD = "load"
OTHERS = "others"
"""All that runs on the machine beside the bench, and the kernel for it."""

# One caller is one user here, and one user may be as fast as the parts are.
UNLIMITED = {
    "live": {
        "SESSIOND_CHANGES_PER_SECOND": "1000000",
        "SESSIOND_CHANGES_BURST": "1000000",
    }
}

Metadata = tuple[tuple[str, str], ...]

_READY_SECONDS = 20.0


class System:
    """The running parts and floors, and connections to them that end with it."""

    def __init__(
        self,
        cluster: Cluster,
        keys: DevelopmentKeys,
        home: Path,
        ports: Iterator[int],
        resources: AsyncExitStack,
    ) -> None:
        self.cluster = cluster
        self.home = home
        self._keys = keys
        self._ports = ports
        self._resources = resources
        self._environ = _environ()
        self._pids: dict[str, int] = {}
        self._channels: dict[str, grpc.aio.Channel] = {}
        self._tokens: dict[str, str] = {}

    async def program(self, name: str, module: str, *arguments: str) -> str:
        """Run a floor as a process that counts under this name; return its address.

        Its first argument is its port.
        """
        port = next(self._ports)
        argv = (sys.executable, "-m", module, str(port), *arguments)
        log = self.home / "logs" / f"{name}.log"
        process = Process(name, argv, env=self._environ, log=log)
        await process.start()
        self._resources.push_async_callback(process.terminate, 1.0)
        self._pids[name] = process.pid
        address = f"{HOST}:{port}"
        async with asyncio.timeout(_READY_SECONDS):
            await self.connect(name, address).channel_ready()
        return address

    def connect(self, name: str, address: str) -> grpc.aio.Channel:
        """Open a channel that is called so."""
        channel = grpc.aio.insecure_channel(address, options=OPTIONS)
        self._channels[name] = channel
        self._resources.push_async_callback(channel.close)
        return channel

    def channel(self, name: str) -> grpc.aio.Channel:
        """Return the one channel to a part's gRPC address (`live-1`), or to a floor."""
        if name not in self._channels:
            return self.connect(name, self.cluster.address(name))
        return self._channels[name]

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

    def as_agent(self, session_ids: Sequence[str]) -> Metadata:
        """Return the metadata of a call by an agent of these sessions."""
        token = self._keys.user_token("agent", role="agent", sessions=session_ids)
        return (("authorization", f"Bearer {token}"),)

    def as_a_part(self) -> Metadata:
        """Return the metadata of a call by one of our own parts."""
        token = self._keys.part_token_file("live").read_text()
        return (("authorization", f"Bearer {token}"),)

    def usage(self) -> Mapping[str, float]:
        """Return the seconds of CPU that each kind of part, each floor and the load has used.

        What else the machine has done counts as others.
        """
        used = {name: cpu_seconds(pid) for name, pid in self._pids.items()}
        for kind in KINDS:
            names = [f"{kind}-{n}" for n in range(1, len(self.cluster.addresses(kind)) + 1)]
            running = [name for name in names if self.cluster.running(name)]
            if names:
                used[kind] = sum(cpu_seconds(self.cluster.pid(name)) for name in running)
        used[LOAD] = time.process_time()
        return used | {OTHERS: busy_seconds()[0] - sum(used.values())}


@asynccontextmanager
async def running(
    folder: Path, binary: EtcdBinary, *, etcds: int = 1, lives: int = 1, gateways: int = 1
) -> AsyncIterator[System]:
    """Run so many of each part on fresh data in a folder while the block runs."""
    keys = DevelopmentKeys(folder / "keys")
    ports = free_ports(random.SystemRandom())
    stages = Topology.anywhere(
        ports, etcds=etcds, lives=lives, gateways=gateways, settings=UNLIMITED
    ).stages(binary=binary, keys=keys, data_dir=folder, environ=_environ())
    async with AsyncExitStack() as resources:
        cluster = await resources.enter_async_context(Cluster(stages, logs=folder / "logs"))
        # Nobody needs what they hold: they need not leave in order.
        resources.callback(cluster.hurry)
        yield System(cluster, keys, folder, ports, resources)


def cpu_seconds(pid: int) -> float:
    """Return how long the CPUs have worked for a process."""
    # The program's name, the second field, may hold spaces; it ends with the last parenthesis.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    user, system = int(fields[11]), int(fields[12])
    return (user + system) / TICKS


def _environ() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("SESSIOND")}
