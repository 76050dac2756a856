"""What a round does: one seed gives one plan, for ever the same.

A plan is data alone. Its victims are parts by name, or roles that are looked up when the moment has
come: the `owner` of a session of the round, the `writer`, which owns the one in which turns are
written, the `leader` of etcd, or several at once.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

TTL_SECONDS = 3.0
"""How long an instance of Live outlives its last heartbeat in a round."""

ETCDS = ("etcd-1", "etcd-2", "etcd-3")
STORES = ("store-1", "store-2")
LIVES = ("live-1", "live-2", "live-3")
GATEWAYS = ("gateway-1", "gateway-2")
ROLES = ("owner", "leader", "owner+leader")
EVERYONE = (*ROLES, *LIVES, *STORES, *GATEWAYS, *ETCDS)
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


def _roads() -> Iterator[str]:
    pairs = (
        (("client",), GATEWAYS),
        (("client",), LIVES),
        (GATEWAYS, LIVES),
        (GATEWAYS, STORES),
        (LIVES, STORES),
        (STORES, LIVES),
        (STORES, ETCDS),
    )
    for callers, parts in pairs:
        for caller in callers:
            yield from (f"{caller}>{part}" for part in parts)
    for parts in (LIVES, ETCDS):
        for caller in parts:
            yield from (f"{caller}>{part}" for part in parts if part != caller)


ROADS = tuple(_roads())
"""Who calls whom: every pair of parts between which there are connections."""


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
    "lost-replies": Kind((*STORES, *LIVES, *ETCDS), (1.0, 4.0)),
    "delivered-twice": Kind((*STORES, *LIVES, *ETCDS), (1.0, 4.0)),
    "old-request": Kind(("owner",), (1.0, 2.0)),
    "crash-of-store": Kind(STORES, (0.2, 2.0)),
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
    """Return the plan of a seed.

    Each kind leads a plan once in as many consecutive seeds as there are kinds; what goes with it
    is left to chance. At most one fault of a plan takes long to do.
    """
    chance = random.Random(seed)
    names = list(KINDS)
    kinds = [names[seed % len(names)]]
    # Two that restart the same parts at the same time would be one, done badly.
    others = [name for name in names if name not in kinds and name not in _ALONE]
    if kinds[0] not in _ALONE:
        kinds += chance.sample(others, chance.choice((0, 0, 1, 1, 2)))
    strikes = []
    at = chance.uniform(2.0, 4.0)
    for name in kinds:
        kind = KINDS[name]
        against = chance.choice(kind.against)
        lasts = chance.uniform(*kind.seconds)
        strikes.append(Strike(name, against, at, lasts, chance.random()))
        at += chance.uniform(0.3, 4.0)
    ends = max(strike.at + strike.lasts for strike in strikes)
    needs = frozenset(KINDS[name].need for name in kinds) - {""}
    return Plan(seed, tuple(strikes), max(10.0, ends + 2.0), needs)


_ALONE = frozenset({"rolling-restart", "ping-pong", "stop-long"})
