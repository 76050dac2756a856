"""What a round does: one seed gives one plan, for ever the same.

A plan is data alone. Its victims are parts by name, or roles that are looked up when the moment has
come: the `owner` of a session of the round, the `writer`, which owns the one in which turns are
written, the `leader` of etcd, or several at once.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field

TTL_SECONDS = 3.0
"""How long an instance of Live outlives its last heartbeat in a round."""

ETCDS = ("etcd-1", "etcd-2", "etcd-3")
STORES = ("store-1", "store-2")
LIVES = ("live-1", "live-2", "live-3")
GATEWAYS = ("gateway-1", "gateway-2")
ROLES = ("owner", "leader", "owner+leader")
EVERYONE = (*ROLES, *ROLES, *LIVES, *STORES, *GATEWAYS, *ETCDS)
POINTS = {
    "crash-before-acknowledgement": "after commit before acknowledgement",
    "crash-before-fan-out": "before fan-out",
    "crash-before-load": "after acquire before load",
    "crash-before-telling": "after hand-over before telling",
    "crash-in-draft-flush": "during a draft flush",
}
"""Kinds of crashes of a Live, and the points of `tests.faults.parts.points` that they mean."""

TROUBLES = ("cut", "stall", "deaf", "mute", "late", "slow", "torn", "half-open")
"""Kinds of harm to a road, as `tests.faults.relays.troubles` names them."""


ROADS = (
    *(f"client>{part}" for part in (*GATEWAYS, *LIVES)),
    *(f"{gateway}>{kind}" for gateway in GATEWAYS for kind in ("live", "store")),
    *(f"{live}>{kind}" for live in LIVES for kind in ("live", "store")),
    *(f"{store}>etcd" for store in STORES),
    *(f"stores>{live}" for live in LIVES),
    "leader>follower",
    "follower>leader",
)
"""Who calls whom: every pair of kinds between which there are connections.

Where only a kind is called, it is the part of that kind with which the caller exchanges most.
"""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of fault.

    Attributes:
        against: whom it may befall.
        seconds: how long it lasts at least, and at most.
        need: what the cluster must have for it: "quota", "disk", "clocks"; "" for nothing.
    """

    against: tuple[str, ...]
    seconds: tuple[float, float] = (1.0, 4.0)
    need: str = ""


def _for(ttls: float) -> tuple[float, float]:
    return (ttls * TTL_SECONDS, ttls * TTL_SECONDS)


KINDS: Mapping[str, Kind] = {
    "kill": Kind(EVERYONE, (0.2, 3.0)),
    "stop-half": Kind(EVERYONE, _for(0.5)),
    "stop": Kind(EVERYONE, _for(1.5)),
    "stop-long": Kind((*ROLES, *LIVES, *STORES), _for(5)),
    "freeze": Kind(EVERYONE, (1.0, 1.5 * TTL_SECONDS)),
    "stall-loop": Kind(("owner", *LIVES, *STORES, *GATEWAYS), (1.0, 1.5 * TTL_SECONDS)),
    "etcd-minority": Kind(ETCDS, (2.0, 5.0)),
    "etcd-majority": Kind(ETCDS, (1.0, 5.0)),
    "rolling-restart": Kind(("all",), (0.1, 0.1)),
    "ping-pong": Kind(("owner",), (0.1, 0.1)),
    "revoked-lease": Kind(("owner", *LIVES), (1.0, 2.0)),
    "compaction": Kind(("etcd",), (4.0, 8.0)),
    "defragmentation": Kind(("etcd",), (2.0, 5.0)),
    "no-space": Kind(("etcd",), (1.0, 4.0), need="quota"),
    "full-disk": Kind(("etcd-3",), (2.0, 5.0), need="disk"),
    "clock": Kind((*LIVES, *STORES), (3.0, 8.0), need="clocks"),
    "lost-replies": Kind(("store", "store", *LIVES, "etcd", "etcd"), (1.0, 4.0)),
    "delivered-twice": Kind(("store", "store", *LIVES, "etcd", "etcd"), (1.0, 4.0)),
    "old-request": Kind(("owner",), (1.0, 2.0)),
    "crash-of-store": Kind(("store",), (0.2, 2.0)),
    **{kind: Kind(("writer" if "draft" in kind else "owner",), (0.2, 2.0)) for kind in POINTS},
    **{f"road-{trouble}": Kind(ROADS, (1.0, 1.5 * TTL_SECONDS)) for trouble in TROUBLES},
}


@dataclass(frozen=True, slots=True)
class Strike:
    """One fault of a plan.

    Attributes:
        kind: its name.
        against: whom it befalls.
        at: seconds after the load began.
        lasts: seconds from its injection to its healing.
        chance: from 0 to 1, for what is left open.
    """

    kind: str
    against: str
    at: float
    lasts: float
    chance: float

    def __str__(self) -> str:
        return f"{self.kind} {self.against} at {self.at:.1f} s for {self.lasts:.1f} s"


@dataclass(frozen=True, slots=True)
class Plan:
    """One round: its faults in order of time, and how many seconds there is load."""

    seed: int
    strikes: tuple[Strike, ...]
    seconds: float
    needs: frozenset[str] = field(default_factory=frozenset)


def plan(seed: int) -> Plan:
    """Return the plan of a seed."""
    chance = random.Random(seed)
    strikes = []
    at = chance.uniform(1.0, 2.0)
    for name in kinds_of(seed):
        kind = KINDS[name]
        lasts = chance.uniform(*kind.seconds)
        strikes.append(Strike(name, chance.choice(kind.against), at, lasts, chance.random()))
        at += chance.uniform(0.3, 2.5)
    ends = max(strike.at + strike.lasts for strike in strikes)
    needs = frozenset(KINDS[strike.kind].need for strike in strikes) - {""}
    return Plan(seed, tuple(strikes), max(7.0, ends + 1.5), needs)


_ALONE = frozenset({"rolling-restart", "ping-pong", "stop-long"})
"""Two that restart the same parts at the same time would be one, done badly; and one of a plan may
take long."""

_SIZES = (1, 2, 3) * 5
BLOCK = len(_SIZES) + len(_ALONE)
"""So many seeds, from a multiple of it on, use each kind once."""


def kinds_of(seed: int) -> tuple[str, ...]:
    """Return the kinds of a seed: its part of a permutation of all, dealt to a block of seeds."""
    block, place = divmod(seed, BLOCK)
    chance = random.Random(f"block {block}")
    others = [name for name in KINDS if name not in _ALONE]
    chance.shuffle(others)
    hands: list[tuple[str, ...]] = [(name,) for name in sorted(_ALONE)]
    hands += [tuple(others.pop() for _ in range(size)) for size in _SIZES]
    chance.shuffle(hands)
    return hands[place]
