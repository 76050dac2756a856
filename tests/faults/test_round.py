"""A round is played on real parts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from cluster.etcd_binary import EtcdBinary
from tests.faults.plan import Plan, Strike
from tests.faults.round import play


async def test_a_round_on_real_parts_is_well(
    etcd_binary: EtcdBinary, ports: Iterator[int], tmp_path: Path
) -> None:
    """The owner of sessions is killed while clients work, and nothing that was promised breaks."""
    plan = Plan(1, (Strike("kill", "owner", 1.0, 1.0, 0.5),), 6.0)
    verdict = await play(plan, etcd_binary, ports, tmp_path)
    assert verdict.counted, verdict.why
    assert verdict.struck[0].done == {"killed": 1}
    assert verdict.failover["kill owner"]
    assert not (tmp_path / "round-1").exists()
