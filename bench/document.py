"""One JSON document with everything that a run found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, is_dataclass
from pathlib import Path
from typing import Any

import orjson

from bench.environment import Environment
from bench.peer_rows import PeerRow, ratios
from bench.plan import Plan
from bench.rows import Row
from bench.targets import judged


@dataclass(frozen=True, slots=True)
class Result:
    """What a run found.

    Attributes:
        peers: what is known of other programs; None where they were not measured.
    """

    plan: Plan
    environment: Environment
    rows: Sequence[Row]
    peers: Sequence[PeerRow] | None


def document(result: Result) -> dict[str, Any]:
    """Return all of it as JSON can hold it, with four significant digits."""
    rows = []
    for row in result.rows:
        beside = ratios(row, result.peers or ())
        targets = [asdict(verdict) for verdict in judged(row, beside)]
        rows.append({**asdict(row), "peers": beside, "targets": targets})
    made = {
        "environment": result.environment,
        "plan": result.plan,
        "cpu_of_others": max((row.others for row in result.rows), default=0.0),
        "rows": rows,
        "peers": None if result.peers is None else list(result.peers),
    }
    rounded: dict[str, Any] = _rounded(made)
    return rounded


def write(made: dict[str, Any], path: Path) -> None:
    """Write a document."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(orjson.dumps(made, option=orjson.OPT_INDENT_2) + b"\n")


def _rounded(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return _rounded(asdict(value))
    match value:
        case float():
            return float(f"{value:.4g}")
        case dict():
            return {name: _rounded(each) for name, each in value.items()}
        case list() | tuple():
            return [_rounded(each) for each in value]
    return value
