"""What all parts of one schedule stand on, and what stands in for what they would be given."""

from __future__ import annotations

import random
from typing import Any

from services.serving.auth import Authenticator, Verified
from services.serving.identity import PartIdentity
from services.serving.metrics import CallMetrics
from services.store.memory import MemoryRepository
from services.store.metrics import CommitMetrics
from sessiond.errors import Unauthenticated
from sessiond.session.access import Identity, Role
from tests.simulation.etcd import Etcd
from tests.simulation.keyspace import Keyspace
from tests.simulation.loop import VirtualLoop
from tests.simulation.network import Network

TTL_SECONDS = 5


class World:
    """What all parts of one schedule stand on; with `etcd` Stores run their code for etcd."""

    def __init__(self, loop: VirtualLoop, chance: random.Random, *, etcd: bool) -> None:
        self.loop = loop
        self.network = Network(loop, random.Random(chance.getrandbits(32)))
        self.etcd = Etcd(
            loop,
            random.Random(chance.getrandbits(32)),
            self.network.cut,
            kept=Keyspace() if etcd else MemoryRepository(),
            ttl_seconds=TTL_SECONDS,
        )
        self.chance = random.Random(chance.getrandbits(32))
        loop.reached = lambda host, port: self.network.listens(f"{host}:{port}")


class Keyring(Authenticator):
    """Knows callers by their names: a token says who one is, and nobody lies here."""

    def __init__(self) -> None:
        self._known: dict[str, Verified] = {}

    def recall(self, token: str) -> Verified | None:
        known = self._known.get(token)
        if known is None:
            role, _, subject = token.partition(":")
            agents = frozenset({"assistant", subject}) if role == "agent" else frozenset[str]()
            if role not in set(Role):
                return None
            known = Verified(Identity(subject, Role(role), agents=agents), float("inf"))
            self._known[token] = known
        return known

    async def verify(self, token: str) -> Verified:
        if (known := self.recall(token)) is None:
            raise Unauthenticated
        return known


class Badge(PartIdentity):
    """A part's own token, without a file."""

    def __init__(self, role: Role, name: str) -> None:
        self._token = f"{role.value}:{name}"

    def token(self) -> str:
        return self._token


class _Gauge:
    def inc(self) -> None:
        pass

    def dec(self) -> None:
        pass


class Uncounted(CallMetrics, CommitMetrics):
    """Metrics that nobody reads."""

    def __init__(self) -> None:
        pass

    def in_flight(self, method: str) -> Any:
        return _Gauge()

    def ended(self, method: str, code: str, seconds: float) -> None:
        pass

    def settled(self, outcomes: Any, seconds: float, waiting: int) -> None:
        pass
