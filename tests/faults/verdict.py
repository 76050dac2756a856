"""What became of a round, and whether it counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.faults.check import Violation
from tests.faults.history import History, Operation, Outcome
from tests.faults.plan import Plan, Strike

ENOUGH = 500
"""Well operations without which a round proves too little."""


@dataclass
class Struck:
    """A strike that was made.

    Attributes:
        began, ended: when it was injected, and when healed.
        done: what it did, as it was seen; empty when it had no effect.
        failed: why it could not be injected or healed.
        overlapped: well operations that were under way meanwhile.
    """

    strike: Strike
    began: int = 0
    ended: int = 0
    done: Mapping[str, int] = field(default_factory=dict)
    failed: str = ""
    overlapped: int = 0

    @property
    def used(self) -> bool:
        """Whether it had an effect while somebody could notice."""
        return bool(self.done) and self.overlapped > 0 and not self.failed


@dataclass
class Verdict:
    """What became of a round.

    Attributes:
        well_by_kind: how many operations of each kind were well.
        phases: how many seconds each part of the round took.
        failover: by cause, how many seconds each session that was concerned took to go on.
        violations: what the checker says.
        stuck: what did not come back, or broke: as wrong as a violation.
        idle: why the round proves nothing.
    """

    plan: Plan
    operations: int = 0
    oks: int = 0
    failures: int = 0
    unknowns: int = 0
    shown: int = 0
    well_by_kind: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    phases: dict[str, float] = field(default_factory=dict)
    failover: dict[str, list[float]] = field(default_factory=dict)
    struck: list[Struck] = field(default_factory=list)
    violations: list[Violation] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)
    idle: list[str] = field(default_factory=list)

    @property
    def well(self) -> bool:
        """Whether nothing is wrong."""
        return not self.violations and not self.stuck

    @property
    def counted(self) -> bool:
        """Whether it is a proof."""
        return self.well and not self.idle

    @property
    def why(self) -> list[str]:
        """What is wrong, or why it does not count, a line each."""
        return [*map(str, self.violations), *self.stuck, *self.idle]

    def line(self) -> dict[str, Any]:
        """Return it as it stands in the file of a campaign."""
        return {
            "seed": self.plan.seed,
            "kinds": [each.strike.kind for each in self.struck],
            "strikes": [
                {
                    "kind": each.strike.kind,
                    "against": each.strike.against,
                    "used": each.used,
                    "done": dict(each.done),
                    "overlapped": each.overlapped,
                    "failed": each.failed,
                }
                for each in self.struck
            ],
            "operations": self.operations,
            "ok": self.oks,
            "failed": self.failures,
            "unknown": self.unknowns,
            "shown": self.shown,
            "well_by_kind": self.well_by_kind,
            "seconds": round(self.seconds, 1),
            "phases": {name: round(took, 1) for name, took in self.phases.items()},
            "failover": {
                cause: [round(time, 3) for time in times] for cause, times in self.failover.items()
            },
            "violations": [f"{each.law.name} {each.session}" for each in self.violations],
            "stuck": self.stuck,
            "counted": self.counted,
            "why": [line[:300] for line in self.why],
        }


def judge(verdict: Verdict, history: History, struck: Sequence[Struck]) -> None:
    """Put the figures of a history into a verdict, and why its round counts for nothing."""
    asked = [each for each in history if isinstance(each, Operation)]
    outcomes = Counter(each.outcome for each in asked)
    verdict.operations, verdict.shown = len(asked), len(history) - len(asked)
    verdict.oks = outcomes[Outcome.OK]
    verdict.failures = outcomes[Outcome.FAIL]
    verdict.unknowns = outcomes[Outcome.UNKNOWN]
    well = Counter(each.kind.value for each in asked if each.outcome is Outcome.OK)
    verdict.well_by_kind = dict(sorted(well.items()))
    verdict.struck = list(struck)
    if verdict.oks < ENOUGH:
        verdict.idle.append(f"{verdict.oks} operations were well, fewer than {ENOUGH}")
    for each in struck:
        each.overlapped = sum(
            operation.outcome is Outcome.OK
            and operation.invoked <= each.ended
            and operation.returned >= each.began
            for operation in asked
        )
        if each.failed:
            verdict.stuck.append(each.failed)
    if not any(each.used for each in struck):
        verdict.idle.append("no fault had an effect while operations were under way")
