"""A round is played on real parts, and its judgement can say no."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from cluster.etcd_binary import EtcdBinary
from tests.faults.command import summarised
from tests.faults.history import Kind, Operation, Outcome
from tests.faults.plan import Plan, Strike
from tests.faults.round import ENOUGH, Struck, Verdict, judge, play

KILLED = Strike("kill", "owner", 2.0, 1.0, 0.5)
PLAN = Plan(1, (KILLED,), 10.0)


def operation(at: int, outcome: Outcome = Outcome.OK) -> Operation:
    return Operation(Kind.APPEND, "c", "a", "s", at, at + 1, outcome)


def judged(history: list[Operation], *struck: Struck) -> Verdict:
    verdict = Verdict(PLAN)
    judge(verdict, history, struck)
    return verdict


def test_a_round_with_enough_operations_around_its_fault_counts() -> None:
    """A fault that overlapped operations that were well, among enough of them, is a proof."""
    history = [operation(at) for at in range(ENOUGH)]
    verdict = judged([*history, operation(7, Outcome.UNKNOWN)], Struck(KILLED, 10, 20))
    assert verdict.well
    assert (verdict.oks, verdict.unknowns, verdict.operations) == (ENOUGH, 1, ENOUGH + 1)


def test_a_round_with_too_few_operations_does_not_count() -> None:
    """What hardly anybody used proves nothing."""
    verdict = judged([operation(at) for at in range(ENOUGH - 1)], Struck(KILLED, 10, 20))
    assert verdict.complaints == [f"{ENOUGH - 1} operations were well, fewer than {ENOUGH}"]


def test_a_fault_that_nobody_could_notice_does_not_count() -> None:
    """A fault between two operations has harmed none of them."""
    verdict = judged([operation(at) for at in range(ENOUGH)], Struck(KILLED, 2000, 3000))
    assert verdict.complaints == ["kill overlapped no operation that was well"]


def test_a_fault_that_failed_is_told() -> None:
    """A round whose fault could not be injected or healed says so."""
    history = [operation(at) for at in range(ENOUGH)]
    struck = Struck(KILLED, 10, 20, failed="kill owner cannot be healed: why")
    assert judged(history, struck).complaints == ["kill owner cannot be healed: why"]


async def test_a_round_on_real_parts_is_well(
    etcd_binary: EtcdBinary, ports: Iterator[int], tmp_path: Path
) -> None:
    """The owner of sessions is killed while clients work, and nothing that was promised breaks."""
    verdict = await play(PLAN, etcd_binary, ports, tmp_path, told=lambda line: None)
    assert (verdict.violations, verdict.complaints) == ([], [])
    summary = summarised([verdict], "3.4.23", 20.0)
    assert (summary["rounds"], summary["counted"], summary["wrong"]) == (1, 1, [])
    assert summary["faults"] == {"kill": 1}
    assert not (tmp_path / "round-1").exists()
