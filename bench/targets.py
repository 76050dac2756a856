"""The figures that the specification asks for, and which row answers each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from bench.rows import Parameters, Row

ADK = "ADK DatabaseSessionService, Postgres"

Peers = Mapping[str, float]
"""How many times a peer's rate ours is, by the peer's name."""

Value = Callable[[Row, Peers], float | None]


@dataclass(frozen=True, slots=True)
class Target:
    """One figure to reach.

    Attributes:
        line: which line of the specification asks for it.
        group, what, parameters: the row that answers it; it may have more parameters.
        asked: the figure in words.
        value: what of the row is compared; None where it was not measured.
        least, most: the bounds.
    """

    line: str
    group: str
    what: str
    parameters: Parameters
    asked: str
    value: Value
    least: float = float("-inf")
    most: float = float("inf")

    def answered_by(self, row: Row) -> bool:
        """Return whether this is the row."""
        return (row.group, row.what) == (self.group, self.what) and all(
            row.parameters.get(name) == value for name, value in self.parameters.items()
        )


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a target; `value` and `met` are None where it was not measured."""

    line: str
    asked: str
    value: float | None
    met: bool | None


def judged(row: Row, peers: Peers) -> list[Verdict]:
    """Return the verdicts on the targets that a row answers."""
    return [_judge(target, row, peers) for target in TARGETS if target.answered_by(row)]


def _judge(target: Target, row: Row, peers: Peers) -> Verdict:
    value = target.value(row, peers)
    met = None if value is None else target.least <= value <= target.most
    return Verdict(target.line, target.asked, value, met)


def of_rate(floor: str) -> Value:
    """Compare the rate with a floor's."""

    def value(row: Row, _: Peers) -> float | None:
        beside = row.beside.get(floor)
        return beside.rate.median if beside and beside.rate else None

    return value


def of_p50(floor: str) -> Value:
    """Compare the median latency with a floor's."""

    def value(row: Row, _: Peers) -> float | None:
        beside = row.beside.get(floor)
        return beside.p50.median if beside and beside.p50 else None

    return value


def of_peer(peer: str) -> Value:
    """Compare the rate with a peer's."""

    def value(_: Row, peers: Peers) -> float | None:
        return peers.get(peer)

    return value


def p50_ms(row: Row, _: Peers) -> float | None:
    return row.p50_ms


def p99_ms(row: Row, _: Peers) -> float | None:
    return row.p99_ms


def also(name: str) -> Value:
    """Take something else that was counted."""

    def value(row: Row, _: Peers) -> float | None:
        spread = row.also.get(name)
        return spread.median if spread else None

    return value


def _appends() -> Iterator[Target]:
    own = "128 sessions, one stream each"
    parameters = {"sessions": 128, "streams": 128}
    bare = of_rate("bare pipeline")
    yield Target(
        own, "appends", "Live, streams", parameters, ">= 0.75 of the bare pipeline", bare, 0.75
    )
    yield Target(own, "appends", "Live, streams", parameters, ">= 15x Google ADK", of_peer(ADK), 15)
    for sessions in (128, 512):
        line = f"{sessions} sessions over four streams"
        parameters = {"sessions": sessions, "streams": 4}
        yield Target(
            line, "appends", "Live, streams", parameters, ">= 0.7 of the bare pipeline", bare, 0.7
        )
        yield Target(
            line, "appends", "Live, streams", parameters, ">= 25x Google ADK", of_peer(ADK), 25
        )
    yield Target(
        "one append alone, p50",
        "appends",
        "Live, streams",
        {"sessions": 1},
        "<= 1.3x the bare pipeline",
        of_p50("bare pipeline"),
        most=1.3,
    )
    yield Target(
        "the same at 10,000 messages of history",
        "history",
        "Live, streams",
        {"history": 10_000},
        ">= 0.95 of the rate at 0",
        of_rate("history of 0"),
        0.95,
    )


def _reads() -> Iterator[Target]:
    messages = {"messages": 1_000}
    line = "load 1,000 messages"
    yield Target(
        line,
        "loads",
        "Store, gRPC",
        messages,
        "<= 1.5x the same bytes through a bare pair",
        of_p50("gRPC: pass-through pair"),
        most=1.5,
    )
    yield Target(line, "loads", "gateway, REST", messages, "<= 20 ms", p50_ms, most=20)
    for what in ("Store, gRPC", "gateway, REST"):
        yield Target(
            "list 50 of 10,000 sessions",
            "lists",
            what,
            {"page": 50, "sessions": 10_000},
            "<= 5 ms",
            p50_ms,
            most=5,
        )
        yield Target(
            "list 1,000",
            "lists",
            what,
            {"page": 1_000, "sessions": 1_000},
            "<= 20 ms",
            p50_ms,
            most=20,
        )


def _streams() -> Iterator[Target]:
    yield Target(
        "fan-out to 100 subscribers",
        "fan_out",
        "Live, streams",
        {"subscribers": 100},
        ">= 0.8 of bare grpc.aio, a message each",
        of_rate("gRPC: bare fan-out, a message each"),
        0.8,
    )
    yield Target(
        "tokens are streamed within 50 ms",
        "tokens",
        "Live, streams",
        {},
        "<= 50 ms (p99)",
        p99_ms,
        most=50,
    )
    yield Target(
        "one Live killed: its sessions accept changes again within 1 s",
        "takeover",
        "Live, unary",
        {},
        "<= 1,000 ms (p99, an aim)",
        p99_ms,
        most=1_000,
    )
    held = "streams held by one Live process"
    idle = {"streams": 10_000, "sessions": 1_000}
    yield Target(
        held, "idle", "Live, streams", idle, "<= 50 KB each", also("KB per stream"), most=50
    )
    yield Target(
        held,
        "idle",
        "Live, streams",
        idle,
        "all re-attached within 30 s after a restart",
        also("s to re-attach"),
        most=30,
    )


TARGETS: Sequence[Target] = (*_appends(), *_reads(), *_streams())
