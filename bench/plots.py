"""Which figures of a document are drawn, and how."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from bench.bars import FLOOR, OURS, PEER, Bar, Cluster, chart

Row = dict[str, Any]


def plots(made: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the name of each plot and its SVG, of what was measured."""
    for name, (title, unit, groups, cluster, value) in _PLOTS.items():
        rows = [row for row in made["rows"] if row["group"] in groups]
        clusters: dict[str, list[Bar]] = {}
        for row in rows:
            number = value(row)
            if number is not None:
                clusters.setdefault(cluster(row), []).append(
                    Bar(row["what"], number, FLOOR if row["floor"] else OURS)
                )
        for peer in made["peers"] or ():
            named = _of_peer(name, peer)
            if named in clusters:
                shown = peer["p50_ms"] if unit.startswith("ms") else peer["rate"]["median"]
                clusters[named].append(Bar(peer["name"], shown, PEER))
        if clusters:
            yield name, chart(title, unit, [Cluster(*each) for each in clusters.items()])


def _rate(row: Row) -> float | None:
    return float(row["rate"]["median"]) if row["rate"] else None


def _p50(row: Row) -> float | None:
    return None if row["p50_ms"] is None else float(row["p50_ms"])


def _p99(row: Row) -> float | None:
    return None if row["p99_ms"] is None else float(row["p99_ms"])


def _in_flight(row: Row) -> str:
    named = row["parameters"]
    if "callers" in named:
        return f"{named['callers']} callers"
    if "streams" not in named:
        return f"{named['sessions']} sessions, etcd alone"
    return f"{named['sessions']} sessions, {named['streams']} streams"


def _by(name: str, unit: str) -> Callable[[Row], str]:
    return lambda row: f"{row['parameters'].get(name, 0):,} {unit}"


def _of_page(row: Row) -> str:
    named = row["parameters"]
    return f"{named['page']:,} of {named['sessions']:,} sessions"


def _of_peer(plot: str, peer: Row) -> str:
    """Return the cluster of ours beside which a peer's row belongs; "" for none."""
    match plot, peer["group"], peer["messages"]:
        case "appends", "appends", 0:
            in_flight = peer["in_flight"]
            return f"{in_flight} sessions, {in_flight} streams"
        case "loads", "loads", messages:
            return f"{messages:,} messages"
        case "lists", "lists", _:
            return f"{peer['sessions']:,} of {peer['sessions']:,} sessions"
    return ""


_Plot = tuple[str, str, tuple[str, ...], Callable[[Row], str], Callable[[Row], float | None]]

_PLOTS: Mapping[str, _Plot] = {
    "appends": ("Durable appends", "a second", ("appends",), _in_flight, _rate),
    "latency": (
        "Durable appends, from the call to the acknowledgement",
        "ms (p99)",
        ("appends",),
        _in_flight,
        _p99,
    ),
    "history": (
        "Appends to sessions with a history",
        "a second",
        ("history",),
        _by("history", "messages before"),
        _rate,
    ),
    "loads": ("Loads of whole sessions", "ms (p50)", ("loads",), _by("messages", "messages"), _p50),
    "lists": ("Lists of sessions", "ms (p50)", ("lists",), _of_page, _p50),
    "fan_out": (
        "Events of one session to all who follow it",
        "deliveries a second",
        ("fan_out",),
        _by("subscribers", "subscribers"),
        _rate,
    ),
}
