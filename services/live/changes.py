"""Requests for changes on their way to the rooms: checked for form, counted, and named."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from services.live.rates import Rates
from services.live.request import Answer, Request
from services.live.room import Room
from services.live.rooms import Rooms
from services.serving.context import current_identity
from sessiond.errors import Violations
from sessiond.session.access import Identity, Role
from sessiond.session.changes import Change, DeleteSession
from sessiond.session.checks import check_op_id, check_session_id
from sessiond.session.limits import Limits


class ChangeRequest(Protocol):
    """What all requests of LiveService have in common."""

    session_id: str
    op_id: str
    expected_revision: int

    def HasField(self, field_name: Any) -> bool:
        """Return whether an optional field is there."""


class Timed(Protocol):
    """A call that may have a deadline: gRPC's context."""

    def time_remaining(self) -> float | None:
        """Return the seconds left; None when there is no deadline."""


class Changes:
    """Takes requests for changes to the rooms.

    Every change has an operation id, a caller's or one made here, so that a fate that is unknown
    can be settled under it.
    """

    def __init__(
        self,
        rooms: Rooms,
        *,
        limits: Limits,
        users: Rates,
        services: Rates,
        new_op_id: Callable[[], str],
        answer_seconds: float,
    ) -> None:
        self.rooms = rooms
        self._limits = limits
        self._users = users
        self._services = services
        self._new_op_id = new_op_id
        self._answer_seconds = answer_seconds

    async def change(
        self, request: ChangeRequest, change: Change, context: Timed
    ) -> tuple[Room, Answer]:
        """Make a change; it may raise as `Rooms.change` does, and `RateLimited`."""
        asked = self._ask(request, change)
        return await self.rooms.change(request.session_id, asked, seconds=self._seconds(context))

    async def delete(self, request: ChangeRequest, context: Timed) -> None:
        """Delete a session; it may raise as `Rooms.delete` does, and `RateLimited`."""
        asked = self._ask(request, DeleteSession())
        await self.rooms.delete(request.session_id, asked, seconds=self._seconds(context))

    def _ask(self, request: ChangeRequest, change: Change) -> Request:
        identity = current_identity()
        op_id = request.op_id if request.HasField("op_id") else None
        found = Violations()
        check_session_id(request.session_id, "session_id", found)
        check_op_id(op_id, "op_id", found, limits=self._limits)
        found.check()
        self._take(identity)
        return Request(
            change,
            identity,
            op_id or self._new_op_id(),
            request.expected_revision if request.HasField("expected_revision") else None,
        )

    def _take(self, identity: Identity) -> None:
        if identity.role is Role.SERVICE:
            self._services.take(identity.subject)
        else:
            self._users.take(f"{identity.role}:{identity.subject}")

    def _seconds(self, context: Timed) -> float:
        left = context.time_remaining()
        return self._answer_seconds if left is None else min(self._answer_seconds, left)
