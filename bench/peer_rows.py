"""What `make bench-peers` found of other programs, to stand beside our rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson

from bench.rows import Row, Spread

APPENDS, LOADS, LISTS = "appends", "loads", "lists"


@dataclass(frozen=True, slots=True)
class PeerRow:
    """One figure of one peer.

    Attributes:
        group: appends, loads or lists.
        in_flight: how many calls were under way.
        messages: of appends, what the session held before; of loads, what was loaded.
        sessions: of lists, how many were listed.
    """

    name: str
    group: str
    in_flight: int
    messages: int
    sessions: int
    rate: Spread
    p50_ms: float
    p99_ms: float


def read(path: Path) -> list[PeerRow] | None:
    """Return what was found; None where there is nothing."""
    if not path.exists():
        return None
    found = orjson.loads(path.read_bytes())
    names = {key: peer["name"] for key, peer in found["peers"].items()}
    return [
        PeerRow(
            name=names[row["peer"]],
            group=row["group"],
            in_flight=row["in_flight"],
            messages=row["messages"],
            sessions=row["sessions"],
            rate=Spread(**row["per_second"]),
            p50_ms=row["p50_ms"],
            p99_ms=row["p99_ms"],
        )
        for row in found["rows"]
    ]


def ratios(row: Row, peers: Sequence[PeerRow]) -> dict[str, float]:
    """Return how many times the rate of each peer ours is, doing the same.

    The peers were measured with at most 128 in flight, and are no faster with more: such a row
    stands beside the most that was measured.
    """
    if row.floor or row.rate is None:
        return {}
    found: dict[str, PeerRow] = {}
    for peer in peers:
        if _same(row, peer) and (
            peer.name not in found or peer.in_flight > found[peer.name].in_flight
        ):
            found[peer.name] = peer
    return {name: row.rate.median / peer.rate.median for name, peer in found.items()}


def _same(row: Row, peer: PeerRow) -> bool:
    asked = row.parameters
    match row.group:
        case "appends":
            in_flight = asked.get("sessions", asked.get("callers", 0))
            return peer.group == APPENDS and peer.messages == 0 and _fits(peer, in_flight)
        case "history":
            return (
                peer.group == APPENDS
                and peer.messages == asked["history"]
                and _fits(peer, asked["sessions"])
            )
        case "loads":
            return peer.group == LOADS and peer.messages == asked["messages"]
        case "lists":
            return peer.group == LISTS and peer.sessions == asked["page"] == asked["sessions"]
    return False


def _fits(peer: PeerRow, in_flight: int | str) -> bool:
    return isinstance(in_flight, int) and peer.in_flight <= in_flight
