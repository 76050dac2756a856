"""What one run measures, and what is said about it between the processes of a run."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

APPENDS, LOADS, LISTS = "appends", "loads", "lists"


@dataclass(frozen=True, slots=True)
class Case:
    """One measurement; every peer that can does it.

    Attributes:
        group: what is called: appends, loads or lists.
        in_flight: how many calls are under way at once.
        messages: of an append, what its session held before; of a load, what it brings;
            of a list, nothing.
        sessions: over how many the appends are spread, or how many the list brings.
    """

    group: str
    in_flight: int
    messages: int
    sessions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The size of a run.

    Attributes:
        in_flight: how many appends are under way at once, each to a session of its own.
        histories: how many messages these sessions hold already.
        loads: how many messages a loaded session has.
        sessions: how many sessions the list brings.
        content_bytes: the text of one message.
        repeats: how often each peer has its turn.
        warm_up: seconds of load before every window, not counted.
        seconds: the length of a window for appends.
        read_seconds: the same for loads and lists.
    """

    in_flight: tuple[int, ...] = (1, 16, 128)
    histories: tuple[int, ...] = (0, 1000)
    loads: tuple[int, ...] = (200, 1000, 10_000)
    sessions: int = 1000
    content_bytes: int = 512
    repeats: int = 3
    warm_up: float = 0.5
    seconds: float = 2.0
    read_seconds: float = 1.0

    def cases(self) -> Iterator[Case]:
        """Yield all measurements of one turn, in their order."""
        for messages in self.histories:
            for in_flight in self.in_flight:
                yield Case(APPENDS, in_flight, messages, in_flight)
        for messages in self.loads:
            yield Case(LOADS, 1, messages, 1)
        yield Case(LISTS, 1, 0, self.sessions)

    def window(self, case: Case) -> float:
        """Return how many seconds the case is measured for."""
        return self.seconds if case.group == APPENDS else self.read_seconds

    @classmethod
    def smallest(cls) -> Plan:
        """Return what only shows that everything works."""
        return cls(
            in_flight=(1, 16),
            histories=(0, 20),
            loads=(20,),
            sessions=20,
            repeats=1,
            warm_up=0.0,
            seconds=0.2,
            read_seconds=0.2,
        )


@dataclass(frozen=True, slots=True)
class Turn:
    """What a peer's process is told.

    Attributes:
        database: where the peer keeps its data, as its library wants it said.
        postmaster: the process id of Postgres, or None for a peer that has none.
        repeat: which turn this is, from 0; None: store what will be read.
    """

    plan: Plan
    database: str
    postmaster: int | None
    repeat: int | None

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, told: str) -> Turn:
        fields: dict[str, Any] = json.loads(told)
        plan: dict[str, Any] = fields.pop("plan")
        lists = {name: tuple(value) for name, value in plan.items() if isinstance(value, list)}
        return cls(plan=Plan(**plan | lists), **fields)


@dataclass(frozen=True, slots=True)
class Sample:
    """One window of one case.

    Attributes:
        seconds: how long the window was.
        latencies: seconds from call to answer, of all calls that were answered in it.
        cpu: seconds of CPU that each process used in it.
    """

    case: Case
    seconds: float
    latencies: list[float]
    cpu: Mapping[str, float]

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, line: str) -> Sample:
        fields = json.loads(line)
        return cls(Case(**fields.pop("case")), **fields)
