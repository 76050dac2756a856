"""Erasing a user: all their sessions are deleted, their memberships ended, and a receipt written.

It may be cut off anywhere and done again: what is gone is gone, and each step has the operation id
of the erasure.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from services.retention.installation import Installation
from services.retention.pace import Pace
from sessiond.errors import CARRIED, LegalHold, SessiondError, SessionNotFound
from sessiond.v1.store_pb2 import LIST_SCOPE_OWN, LIST_SCOPE_SHARED, Erasure

MOST_IN_A_ROW: Final = 10
"""Steps in a row that may pass later: after so many the parts are to blame, and each takes long."""


async def erase(installation: Installation, erasure: Erasure, pace: Pace) -> Erasure:
    """Erase a user, and return the receipt.

    What fails keeps nothing else waiting: it is raised when all others are done.

    Raises:
        Unavailable: something came meanwhile, or could not be ended; it is to be done again.
        SessiondError: a call failed for good; it is to be done again as well.
    """
    user_id = erasure.user_id
    op_id = f"erasure:{erasure.requested_at.ToMilliseconds()}"
    calls = installation.acting_for(user_id)
    steps = _Steps(pace)
    sessions = await steps.take(
        await calls.listed(user_id, LIST_SCOPE_OWN),
        lambda session_id: calls.delete(session_id, op_id=op_id),
    )
    shares = await steps.take(
        await calls.listed(user_id, LIST_SCOPE_SHARED),
        lambda session_id: calls.leave(session_id, user_id, op_id=op_id),
    )
    if steps.failure is not None:
        raise steps.failure
    return await installation.complete(user_id, sessions=sessions, shares=shares)


class _Steps:
    """Takes one step after another; `failure` is the first one."""

    def __init__(self, pace: Pace) -> None:
        self.failure: SessiondError | None = None
        self._pace = pace
        self._in_a_row = 0

    async def take(self, session_ids: Iterable[str], step: Callable[[str], Awaitable[None]]) -> int:
        """Take a step for each session, and return how many succeeded.

        Raises:
            SessiondError: too many failed in a row.
        """
        taken = 0
        for session_id in session_ids:
            await self._pace.turn()
            try:
                await step(session_id)
            except (LegalHold, SessionNotFound):
                continue  # it stays, and the receipt says so; or it was gone before
            except SessiondError as failure:
                self.failure = self.failure or failure
                later = CARRIED[type(failure)].retryable
                self._in_a_row = self._in_a_row + 1 if later else 0
                if self._in_a_row == MOST_IN_A_ROW:
                    raise self.failure from None
            else:
                taken += 1
                self._in_a_row = 0
        return taken
