"""A system with a relay on each of its hops, which loses and holds back what it is told to."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from cluster.etcd_binary import EtcdBinary
from cluster.ports import HOST
from cluster.topology import Topology
from tests.e2e.hop import Hop
from tests.e2e.system import System, running

# Who calls, the setting that says whom, and who is called.
HOPS = {
    "gateway to live": ("gateway", "SESSIOND_LIVE_ADDRESSES", "lives"),
    "gateway to store": ("gateway", "SESSIOND_STORE_ADDRESSES", "stores"),
    "live to store": ("live", "SESSIOND_STORE_ADDRESSES", "stores"),
    "store to etcd": ("store", "SESSIOND_ETCD_ENDPOINTS", "etcds"),
}


class Relayed(NamedTuple):
    """The system, and its hops by their names in `HOPS`."""

    system: System
    hops: dict[str, Hop]


@asynccontextmanager
async def relayed_system(
    topology: Topology, home: Path, binary: EtcdBinary
) -> AsyncIterator[Relayed]:
    """Run one of each part, with the topology's settings, while the block runs."""
    async with AsyncExitStack() as stack:
        hops: dict[str, Hop] = {}
        settings = {kind: dict(given) for kind, given in topology.settings.items()}
        for hop, (caller, setting, places) in HOPS.items():
            (place,) = getattr(topology, places)
            hops[hop] = await stack.enter_async_context(Hop(f"{HOST}:{place.port}"))
            settings.setdefault(caller, {})[setting] = hops[hop].address
        # The gateway goes where Live says that it is reached.
        settings.setdefault("live", {})["SESSIOND_ADVERTISE"] = hops["gateway to live"].address
        topology = replace(topology, settings=settings)
        yield Relayed(await stack.enter_async_context(running(topology, home, binary)), hops)
