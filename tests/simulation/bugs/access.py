"""Who may do what: nobody is served of what is another's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from services.live.room import Room
from services.store import entering, servicer
from sessiond.session import access
from sessiond.session.access import MemberRole, Relation
from tests.faults.check import Law
from tests.simulation.bugs.bug import Needs, breaks, shared
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


@breaks(PROMISE, Law.REVOKED_SHOWN, needs=shared)
def leave_streams_open() -> Sequence[Patch]:
    """Let whoever is a member no longer read on."""

    def stay(self: Room, *asked: Any) -> None:
        pass

    return [(Room, "_check_readers", stay)]


@breaks(PROMISE, Law.MEMBER_EXCEEDED, Law.STRANGER_SERVED, needs=shared)
def let_everybody_read() -> Sequence[Patch]:
    """Ask nobody who loads a session whether they may, or still may."""

    def welcome(*asked: Any, **also: Any) -> None:
        pass

    return [(entering, "check_access", welcome)]


@breaks(PROMISE, Law.MEMBER_EXCEEDED, needs=shared)
def let_viewers_write() -> Sequence[Patch]:
    """Give every member what editors may."""
    return [(access, "RELATION_OF", dict.fromkeys(MemberRole, Relation.EDITOR))]


@breaks(PROMISE, Law.MEMBER_EXCEEDED, needs=shared)
def let_editors_do_all() -> Sequence[Patch]:
    """Give editors what the owner may: so who gave a session away goes on as if it were theirs."""
    return [(access, "RELATION_OF", {**access.RELATION_OF, MemberRole.EDITOR: Relation.OWNER})]
