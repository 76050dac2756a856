"""One JSON document with everything that a run found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson

from bench.environment import Environment
from bench.peer_rows import PeerRow, ratios
from bench.plan import Plan
from bench.rounding import rounded
from bench.rows import Beside, Row, Spread
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
    made = {
        "environment": result.environment,
        "plan": result.plan,
        "cpu_of_others": max((row.others for row in result.rows), default=0.0),
        "rows": result.rows,
    }
    return with_peers(rounded(made), result.peers)


def with_peers(made: dict[str, Any], peers: Sequence[PeerRow] | None) -> dict[str, Any]:
    """Return a document in which these peers stand beside ours, and the verdicts that follow."""
    rows = []
    for fields in made["rows"]:
        row = _row(fields)
        beside = ratios(row, peers or ())
        targets = [asdict(verdict) for verdict in judged(row, beside)]
        rows.append({**asdict(row), "peers": beside, "targets": targets})
    known = None if peers is None else list(peers)
    written: dict[str, Any] = rounded({**made, "rows": rows, "peers": known})
    return written


def write(made: dict[str, Any], path: Path) -> None:
    """Write a document."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(orjson.dumps(made, option=orjson.OPT_INDENT_2) + b"\n")


def _row(fields: dict[str, Any]) -> Row:
    own = {name: value for name, value in fields.items() if name not in ("peers", "targets")}
    own["rate"] = _spread(own["rate"])
    own["also"] = {name: Spread(**each) for name, each in own["also"].items()}
    own["beside"] = {
        name: Beside(_spread(each["rate"]), _spread(each["p50"]))
        for name, each in own["beside"].items()
    }
    return Row(**own)


def _spread(fields: dict[str, float] | None) -> Spread | None:
    return None if fields is None else Spread(**fields)
