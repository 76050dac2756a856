"""What a show acts on: a cluster of real processes with fresh data, and ways to speak to it."""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import ssl
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import httpx

from cluster.etcd_binary import EtcdBinary
from cluster.keys import DevelopmentKeys
from cluster.ports import free_ports
from cluster.processes import Process
from cluster.supervisor import Cluster
from cluster.topology import Topology
from sessiond import Client
from sessiond.v1.ownership_pb2 import IdentifyRequest
from sessiond.v1.ownership_pb2_grpc import InstanceServiceStub
from show.outcome import Outcome
from show.stored import Stored
from show.takeovers import Fault

CHECKOUT = Path(__file__).resolve().parent.parent
# Inside the checkout, because the folder for temporary files is in memory on many machines.
DATA = CHECKOUT / "build" / "show"

# Reading the system's certificates takes longer than a load.
_NOBODY = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
_OPTIONS = (
    ("grpc.enable_retries", 0),
    ("grpc.enable_http_proxy", 0),
    ("grpc.max_reconnect_backoff_ms", 200),
    ("grpc.max_receive_message_length", 40 * 1024 * 1024),
)


# Enough to meet whoever owns some of the sessions, and few enough to be read in an instant.
_ASKED = 30


class NoVictim(Exception):
    """No Live owns a session: there is nothing that a fault could move."""


class Stage:
    """A running cluster. Clients and channels that it gives end with it."""

    def __init__(
        self,
        cluster: Cluster,
        keys: DevelopmentKeys,
        logs: Path,
        resources: AsyncExitStack,
        told: Callable[[str], None],
    ) -> None:
        self.cluster = cluster
        self.told = told
        self._keys = keys
        self._logs = logs
        self._resources = resources
        self._channels: dict[str, grpc.aio.Channel] = {}
        self._opened: httpx.AsyncClient | None = None
        part_token = keys.part_token_file("live").read_text()
        self.stored = Stored(self.channel("store-1"), part_token)

    def names(self, kind: str) -> list[str]:
        """Return the names of all parts of a kind."""
        return [f"{kind}-{n}" for n in range(1, len(self.cluster.addresses(kind)) + 1)]

    def log(self, name: str) -> str:
        """Return all that a part has logged so far."""
        return (self._logs / f"{name}.log").read_text()

    def token(self, user: str, *, role: str | None = None, agents: Sequence[str] = ()) -> str:
        """Return a token of this caller's."""
        return self._keys.user_token(user, role=role, agents=agents)

    def expired_token(self, user: str) -> str:
        """Return a token of a user that was good until a minute ago."""
        return self._keys.user_token(user, seconds=-60)

    async def client(self, token: str, *, lives: Sequence[str] = ()) -> Client:
        """Return an open client of every Live, or of some of them."""
        addresses = [self.cluster.address(name) for name in lives or self.names("live")]
        client = Client(live=addresses, store=self.cluster.addresses("store"), token=token)
        return await self._resources.enter_async_context(client)

    def channel(self, name: str) -> grpc.aio.Channel:
        """Return the channel to a part, one for all who ask."""
        if name not in self._channels:
            channel = grpc.aio.insecure_channel(self.cluster.address(name), options=_OPTIONS)
            self._channels[name] = channel
            self._resources.push_async_callback(channel.close)
        return self._channels[name]

    def own_channel(self, name: str) -> grpc.aio.Channel:
        """Return a channel to a part with a connection of its own."""
        options = (*_OPTIONS, ("grpc.use_local_subchannel_pool", 1))
        channel = grpc.aio.insecure_channel(self.cluster.address(name), options=options)
        self._resources.push_async_callback(channel.close)
        return channel

    async def load(self, token: str, session_id: str) -> dict[str, Any]:
        """Return a session with its whole history, as REST shows it."""
        answer = await self._http().get(
            f"http://{self.cluster.address('gateway-1')}/api/sessions/{session_id}",
            headers={"Authorization": f"Bearer {token}"},
        )
        answer.raise_for_status()
        session: dict[str, Any] = json.loads(answer.content)  # integers of any size
        return session

    def push(self, close: Callable[[], Any]) -> None:
        """Await this when the stage ends, before the parts end."""
        self._resources.push_async_callback(close)

    async def owners(self, session_ids: Sequence[str]) -> Counter[str]:
        """Return how many of these sessions each Live owns now, by its name."""
        names = {self.cluster.address(name): name for name in self.names("live")}
        found = await asyncio.gather(*map(self.stored.owner_address, session_ids))
        return Counter(names[address] for address in found if address in names)

    async def victim(self, session_ids: Sequence[str], chance: random.Random) -> str:
        """Choose one of the Lives that run and own any of these sessions.

        Raises:
            NoVictim: there is none.
        """
        asked = chance.sample(list(session_ids), min(_ASKED, len(session_ids)))
        owned = await self.owners(asked)
        candidates = [name for name in sorted(owned) if self.cluster.running(name)]
        if not candidates:
            raise NoVictim
        name = chance.choice(candidates)
        self.told(f"{name} owns {owned[name]} of {len(asked)} sessions that were looked at")
        return name

    async def fault_of(self, name: str) -> Fault:
        """Return the fault that befalls a Live at this moment, if the caller acts at once."""
        stub: Any = InstanceServiceStub(self.channel(name))
        answer = await stub.Identify(IdentifyRequest(), timeout=2)
        now = asyncio.get_running_loop().time()
        return Fault(name, bytes(answer.instance), now, int(time.time() * 1000))

    async def worker(self, token: str, session_id: str, per_second: float) -> Process:
        """Start an agent in a process of its own; it is killed when the stage ends."""
        addresses = self.cluster.addresses
        worker = Process(
            "worker",
            [
                *(sys.executable, "-m", "show.worker", session_id, str(per_second)),
                *addresses("live"),
                "--",
                *addresses("store"),
            ],
            env={**os.environ, "SHOW_TOKEN": token},
            log=self._logs / "worker.log",
        )
        await worker.start()
        self.push(partial(worker.terminate, 0.0))
        return worker

    def _http(self) -> httpx.AsyncClient:
        if self._opened is None:
            self._opened = httpx.AsyncClient(timeout=30, trust_env=False, verify=_NOBODY)
            self._resources.push_async_callback(self._opened.aclose)
        return self._opened


@asynccontextmanager
async def staged(
    outcome: Outcome,
    binary: EtcdBinary,
    *,
    told: Callable[[str], None],
    data: Path = DATA,
    etcds: int = 1,
    stores: int = 1,
    lives: int = 1,
    gateways: int = 1,
    retentions: int = 0,
    settings: Mapping[str, Mapping[str, str]] | None = None,
) -> AsyncIterator[Stage]:
    """Run so many parts on fresh data while the block runs.

    All data is removed afterwards. When the block raises, or the outcome is not well, the logs stay
    and it is told where they are.
    """
    home = _folder(data, outcome.scenario)
    environ = {name: value for name, value in os.environ.items() if not name.startswith("SESSIOND")}
    well = False
    try:
        keys = DevelopmentKeys(home / "keys")
        topology = Topology.anywhere(
            free_ports(random.SystemRandom()),
            etcds=etcds,
            stores=stores,
            lives=lives,
            gateways=gateways,
            retentions=retentions,
            settings=settings,
        )
        stages = topology.stages(binary=binary, keys=keys, data_dir=home, environ=environ)
        told(f"starting {etcds} etcd, {stores} Store, {lives} Live, {gateways} gateway")
        async with (
            Cluster(stages, logs=home / "logs") as cluster,
            AsyncExitStack() as resources,
        ):
            # Nothing of it is needed any more once the clients are gone.
            resources.callback(cluster.hurry)
            yield Stage(cluster, keys, home / "logs", resources, told)
        well = outcome.ok
    finally:
        if well:
            shutil.rmtree(home, ignore_errors=True)
        else:
            shutil.rmtree(home / "etcd", ignore_errors=True)
            told(f"the logs are in {home / 'logs'}")


def _folder(data: Path, scenario: str) -> Path:
    data.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix=f"{scenario}-", dir=data))
