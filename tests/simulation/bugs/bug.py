"""A bug: what it does to the product, which promise breaks, and what the checker says to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from tests.faults.check import Law
from tests.simulation.patching import Patch, patched
from tests.simulation.schedule import Schedule

Make = Callable[[], Sequence[Patch]]
Needs = Callable[[Schedule], bool]


@dataclass(frozen=True, slots=True)
class Bug:
    """One bug, which can be put into the product for as long as a block runs.

    Attributes:
        name: what somebody did wrong.
        promise: what the product then does not keep.
        laws: under which names the checker may find that; each of them tells of it.
        meets: whether a schedule has what the bug does harm with.
    """

    name: str
    promise: str
    laws: frozenset[Law]
    meets: Needs
    _make: Make

    def injected(self) -> AbstractContextManager[None]:
        """Have it in the product."""
        return patched(*self._make())

    def caught_by(self, violations: Sequence[str]) -> set[Law]:
        """Return the laws that name it among what was found."""
        return {law for law in self.laws for each in violations if each.startswith(f"{law.name} ")}


BUGS: list[Bug] = []


def breaks(
    promise: str, *laws: Law, needs: Needs = lambda schedule: True
) -> Callable[[Make], Make]:
    """Keep a bug among those that are played."""

    def keep(make: Make) -> Make:
        BUGS.append(Bug(make.__name__, promise, frozenset(laws), needs, make))
        return make

    return keep


def fault(*kinds: str, seconds: float = 0.0) -> Needs:
    """Ask for a fault of one of these kinds, for more than so many seconds."""
    return lambda schedule: any(
        each.kind in kinds and each.seconds > seconds for each in schedule.faults
    )


def every(*needs: Needs) -> Needs:
    """Ask for all of these."""
    return lambda schedule: all(each(schedule) for each in needs)


def etcd(schedule: Schedule) -> bool:
    """Ask for Stores that run their code for etcd."""
    return schedule.etcd


def reference(schedule: Schedule) -> bool:
    """Ask for Stores on the in-memory reference."""
    return not schedule.etcd


def turns(schedule: Schedule) -> bool:
    """Ask for turns that are written and followed."""
    return schedule.turns > 0 and any(workflow == "chat" for _, workflow in schedule.sessions)


def steps(schedule: Schedule) -> bool:
    """Ask for outputs to decide on."""
    return any(workflow != "chat" for _, workflow in schedule.sessions)


def deletes(schedule: Schedule) -> bool:
    """Ask for a session that is deleted."""
    return schedule.deletes


def slow(schedule: Schedule) -> bool:
    """Ask for a reader who does not keep up."""
    return schedule.slow > 0


def several(schedule: Schedule) -> bool:
    """Ask for more than one session."""
    return len(schedule.sessions) > 1


def goes_back(schedule: Schedule) -> bool:
    """Ask for sessions that are rewound."""
    return schedule.goes_back


def shared(schedule: Schedule) -> bool:
    """Ask for sessions that are shared, and no longer."""
    return schedule.shared


def forked(schedule: Schedule) -> bool:
    """Ask for forks."""
    return schedule.forked


def in_pieces(schedule: Schedule) -> bool:
    """Ask for copies that are written in several pieces."""
    return schedule.bounds.piece < 10


def fed(schedule: Schedule) -> bool:
    """Ask for somebody who follows the feed."""
    return schedule.fed


def short(schedule: Schedule) -> bool:
    """Ask for owners that load one record with a session."""
    return schedule.bounds.recent == 1
