"""What one seed means: who works, where, and what goes wrong when."""

from __future__ import annotations

import random
from dataclasses import dataclass

from tests.simulation.bounds import Bounds

LIVES = ("live-1", "live-2", "live-3")
STORES = ("store-1", "store-2")

FAULTS = (
    "kill live",
    "crash",
    "kill store",
    "pause live",
    "pause live",
    "pause store",
    "part live",
    "part etcd",
    "behind",
    "part lives",
    "reset",
    "ambiguous",
    "ambiguous",
    "away",
    "drain",
    "join",
    "compact",
    "revoke",
    "revoke",
    "slow",
    "lag",
)
"""Each kind of fault as often as it should come among others."""


LASTING = 5.5
"""A fault of so many seconds outlasts a registration."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong, from `at` on, for so many seconds; `chosen` picks its victim."""

    at: float
    kind: str
    seconds: float
    chosen: int

    @classmethod
    def of(cls, chance: random.Random) -> Fault:
        """Return any fault: half of the pauses outlast a registration, and not by much."""
        kind = chance.choice(FAULTS)
        seconds = chance.choice((0.3, 1.0, 3.0, 6.0, 9.0)) * chance.uniform(0.5, 1.2)
        if kind.startswith("pause") and chance.random() < 0.5:
            seconds = chance.uniform(LASTING + 0.5, 9.0)
        return cls(chance.uniform(0.2, 2.5), kind, seconds, chance.getrandbits(16))


@dataclass(frozen=True, slots=True)
class Schedule:
    """Everything that is decided before it begins; `seed` decides the rest.

    Attributes:
        sessions: those that all work on, each with its workflow.
        pace: how many operations each person begins in a second, about.
        slow: how many followers read slowly.
        watched: whether somebody follows the list of sessions.
        twin: whether somebody else uses the same operation ids as one of the persons.
        stranger: whether somebody tries what is not theirs.
        deletes: whether sessions are deleted, and made again.
        goes_back: whether sessions are rewound.
        shared: whether sessions are shared with somebody, given to them, and shared no longer; who
            follows them, and their own list.
        forked: whether sessions are forked.
        fed: whether somebody follows the feed.
        etcd: whether Stores run their code for etcd, on something that answers as etcd does.
    """

    seed: int
    sessions: tuple[tuple[str, str], ...]
    persons: int
    operations: int
    pace: float
    followers: int
    streamed: int
    turns: int
    slow: int
    watched: bool
    twin: bool
    stranger: bool
    deletes: bool
    etcd: bool
    bounds: Bounds
    goes_back: bool
    shared: bool
    forked: bool
    fed: bool
    faults: tuple[Fault, ...]

    @property
    def also(self) -> dict[str, int]:
        """What persons do beside what everybody does, and how often."""
        kinds: dict[str, int] = {}
        if self.goes_back:
            kinds["rewind"] = 8
        if self.shared:
            kinds |= {"share": 14, "unshare": 10, "transfer": 4}
        if self.forked:
            kinds["fork"] = 5
        return kinds

    @classmethod
    def of(cls, seed: int) -> Schedule:
        """Return the schedule of a seed: at least 50 operations, and one to four faults."""
        chance = random.Random(seed)
        workflows = ("chat", "master-workflow-v2")
        sessions = tuple(
            (f"s{number}", chance.choice(workflows)) for number in range(chance.choice((1, 2, 5)))
        )
        faults = tuple(Fault.of(chance) for _ in range(chance.choice((1, 1, 2, 2, 3, 4))))
        slow = chance.choice((0, 0, 1))
        # Who stands still for so long, and goes on as if nothing had been, must meet somebody.
        lasting = any(fault.kind == "pause live" and fault.seconds > LASTING for fault in faults)
        return cls(
            seed=seed,
            sessions=sessions,
            persons=3,
            operations=14,
            pace=1.8 if lasting else 6.0,
            followers=2,
            streamed=12 if lasting else 5,
            turns=chance.choice((0, 1, 2)),
            slow=slow,
            watched=chance.random() < 0.3,
            twin=chance.random() < 0.3,
            stranger=chance.random() < 0.3,
            deletes=chance.random() < 0.25,
            etcd=chance.random() < 0.15,
            bounds=Bounds.of(chance, slow=slow > 0),
            goes_back=chance.random() < 0.4,
            shared=chance.random() < 0.4,
            forked=chance.random() < 0.3,
            fed=chance.random() < 0.4,
            faults=tuple(sorted(faults, key=lambda fault: fault.at)),
        )
