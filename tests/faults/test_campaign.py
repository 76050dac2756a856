"""Rounds add up, those on one tree of the product and no others, and what is no proof is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.faults import campaign


def line(seed: int, *, counted: bool = True, tree: str = "a", used: bool = True) -> dict[str, Any]:
    return {
        "tree": {"services": tree},
        "dirty": False,
        "etcd": "3.4.23",
        "seed": seed,
        "strikes": [
            {"kind": "kill", "used": used, "overlapped": 10, "done": {"killed": 1}},
            {"kind": "road-cut", "used": True, "overlapped": 5, "done": {"live-1>store-1": 999}},
        ],
        "operations": 700,
        "ok": 600,
        "failed": 90,
        "unknown": 10,
        "shown": 1000,
        "well_by_kind": {"append": 500, "get": 100},
        "seconds": 15.0,
        "failover": {"kill owner": [0.1 * seed, 1.0]},
        "violations": [] if counted else ["SEQ_HOLE s"],
        "stuck": [],
        "counted": counted,
        "why": [] if counted else ["SEQ_HOLE"],
    }


def test_rounds_add_up() -> None:
    """Figures are summed over all rounds, proofs over those that count."""
    sums = campaign.summed([line(1), line(2, used=False), line(3, counted=False)])
    assert (sums["rounds"], sums["counted"], sums["ok"], sums["violations"]) == (3, 2, 1800, 1)
    assert sums["well_by_kind"] == {"append": 1500, "get": 300}
    assert sums["kinds"]["kill"] == {"used": 1, "idle": 1, "overlapped": 10, "unknown": 10}
    assert sums["failover_s"]["kill owner"] == {"sessions": 4, "p50": 1.0, "p99": 1.0}
    assert sums["roads"] == {"live-1>store-1": 2}
    assert (sums["wrong"], sums["not_counted"]) == ([3], {"3": ["SEQ_HOLE"]})


def test_rounds_of_another_tree_do_not_add_up(tmp_path: Path) -> None:
    """A file may hold rounds of several trees, and is asked for those of one."""
    file = tmp_path / "deep" / "campaign.jsonl"
    for each in (line(1), line(2, tree="b"), line(3)):
        campaign.append(file, each)
    of = {"tree": {"services": "a"}, "dirty": False}
    assert [each["seed"] for each in campaign.read(file, of)] == [1, 3]
    assert [each["seed"] for each in campaign.read(file)] == [1, 2, 3]


def test_the_table_tells_every_kind_and_every_cause() -> None:
    """Nothing that was summed is left out of the table."""
    told = campaign.table(campaign.summed([line(1), line(2)]))
    assert "| kill | 2 | 0 | 20 | 20 |" in told
    assert "| kill owner | 4 | 1.00 s | 1.00 s |" in told
    assert "| counted | 2 |" in told


def test_the_tree_is_named() -> None:
    """The product that stands here has a hash for each of its folders."""
    told = campaign.tree()
    assert set(told["tree"]) == {"services", "sessiond", "gateway"}
    assert all(len(each) == 40 for each in told["tree"].values())
