"""Rows and documents that nobody measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.document import Result, document
from bench.environment import Environment
from bench.measuring import Sample
from bench.peer_rows import PeerRow
from bench.plan import Plan
from bench.rows import Case, Parameters, Row, Spread, rows_of

ENVIRONMENT = Environment(
    cores=2, sync_ms=0.25, python="3.11.7", etcd="3.4.23", packages={"grpcio": "1.85.1"}
)


def case(
    what: str,
    named: Parameters | None = None,
    *,
    floor: bool = False,
    beside: Mapping[str, Case] | None = None,
) -> Case:
    async def measure(_: object) -> Sample:
        raise NotImplementedError

    return Case(what, measure, named or {}, floor=floor, beside=beside or {})


def samples(*rates: float, also: Mapping[str, float] | None = None) -> list[Sample]:
    return [Sample(rate, [1 / rate], {"live": 0.001, "others": 0.0}, also or {}) for rate in rates]


def pair(
    group: str, named: Parameters, ours: float, floor: float, *, names: tuple[str, str]
) -> list[Row]:
    """Return a row of ours beside one floor."""
    bare = case(names[1], named, floor=True)
    own = case(names[0], named, beside={names[1]: bare})
    return rows_of(group, {bare: samples(floor), own: samples(ours)})


def appends(ours: float, floor: float) -> list[Row]:
    """Return the rows of 128 sessions over as many streams."""
    named = {"sessions": 128, "streams": 128}
    return pair("appends", named, ours, floor, names=("Live, streams", "bare pipeline"))


def peer(rate: float, *, in_flight: int = 128, name: str = "") -> PeerRow:
    return PeerRow(
        name=name or "ADK DatabaseSessionService, Postgres",
        group="appends",
        in_flight=in_flight,
        messages=0,
        sessions=in_flight,
        rate=Spread(rate, rate, rate),
        p50_ms=1000 / rate,
        p99_ms=2000 / rate,
    )


def made(rows: Sequence[Row], peers: Sequence[PeerRow] | None = None) -> dict[str, Any]:
    return document(Result(Plan(), ENVIRONMENT, rows, peers))
