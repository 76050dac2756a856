"""Who may do what: nobody is served of what is another's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from services.live.room import Room
from services.store import servicer
from tests.faults.check import Law
from tests.simulation.bugs.bug import Needs, breaks
from tests.simulation.patching import Patch

PROMISE = "access is checked"

stranger: Needs = lambda schedule: schedule.stranger  # noqa: E731


@breaks(PROMISE, Law.STRANGER_SERVED, needs=stranger)
def let_everybody_change() -> Sequence[Patch]:
    """Ask nobody who changes a session whether they may."""

    def welcome(self: Room, *asked: Any) -> None:
        pass

    return [(Room, "_check_access", welcome)]


@breaks(PROMISE, Law.STRANGER_SERVED, needs=stranger)
def show_every_list() -> Sequence[Patch]:
    """Show anybody's list to everybody."""

    def welcome(*asked: Any) -> None:
        pass

    return [(servicer, "check_own_list", welcome)]
