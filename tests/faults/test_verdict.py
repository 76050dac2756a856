"""A round counts only when it proves something, and its judgement can say no."""

from __future__ import annotations

from tests.faults.history import Kind, Operation, Outcome
from tests.faults.plan import Plan, Strike
from tests.faults.verdict import ENOUGH, Struck, Verdict, judge

KILLED = Strike("kill", "owner", 2.0, 1.0, 0.5)
PLAN = Plan(1, (KILLED,), 10.0)
DONE = {"killed": 1}


def operation(at: int, outcome: Outcome = Outcome.OK) -> Operation:
    return Operation(Kind.APPEND, "c", "a", "s", at, at + 1, outcome)


def judged(history: list[Operation], *struck: Struck) -> Verdict:
    verdict = Verdict(PLAN)
    judge(verdict, history, struck)
    return verdict


def test_a_round_with_enough_operations_around_its_fault_counts() -> None:
    """A fault that overlapped operations that were well, among enough of them, is a proof."""
    history = [operation(at) for at in range(ENOUGH)]
    struck = Struck(KILLED, 10, 20, DONE)
    verdict = judged([*history, operation(7, Outcome.UNKNOWN)], struck)
    assert verdict.counted
    assert (verdict.oks, verdict.unknowns, verdict.operations) == (ENOUGH, 1, ENOUGH + 1)
    assert (struck.used, struck.overlapped) == (True, 12)


def test_a_round_with_too_few_operations_does_not_count() -> None:
    """What hardly anybody used proves nothing."""
    verdict = judged([operation(at) for at in range(ENOUGH - 1)], Struck(KILLED, 10, 20, DONE))
    assert verdict.well
    assert not verdict.counted
    assert verdict.why == [f"{ENOUGH - 1} operations were well, fewer than {ENOUGH}"]


def test_a_fault_that_nobody_could_notice_does_not_count() -> None:
    """A fault between two operations has harmed none of them."""
    verdict = judged([operation(at) for at in range(ENOUGH)], Struck(KILLED, 2000, 3000, DONE))
    assert verdict.why == ["no fault had an effect while operations were under way"]


def test_a_fault_without_effect_does_not_count() -> None:
    """Of two faults the one that did something is a proof, and the other one is not used."""
    history = [operation(at) for at in range(ENOUGH)]
    idle = Struck(KILLED, 10, 20)
    assert not judged(history, idle).counted
    used = Struck(KILLED, 10, 20, DONE)
    assert judged(history, idle, used).counted
    assert (idle.used, used.used) == (False, True)


def test_a_fault_that_failed_is_told() -> None:
    """A round whose fault could not be injected or healed is wrong, and says so."""
    history = [operation(at) for at in range(ENOUGH)]
    verdict = judged(history, Struck(KILLED, 10, 20, DONE, failed="kill cannot be healed: why"))
    assert not verdict.well
    assert "kill cannot be healed: why" in verdict.why
