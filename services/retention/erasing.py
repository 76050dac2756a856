"""Erasing a user: all their sessions are deleted, their memberships ended, and a receipt written.

It may be cut off anywhere and done again: what is gone is gone, and each step has the operation id
of the erasure.
"""

from __future__ import annotations

from services.retention.installation import Installation
from services.retention.pace import Pace
from sessiond.errors import LegalHold, SessionNotFound
from sessiond.v1.store_pb2 import LIST_SCOPE_OWN, LIST_SCOPE_SHARED, Erasure


async def erase(installation: Installation, erasure: Erasure, pace: Pace) -> Erasure:
    """Erase a user, and return the receipt.

    Raises:
        Unavailable: something came meanwhile, or could not be ended; it is to be done again.
        SessiondError: a call failed for good; it is to be done again as well.
    """
    user_id = erasure.user_id
    op_id = f"erasure:{erasure.requested_at.ToMilliseconds()}"
    calls = installation.acting_for(user_id)
    sessions = shares = 0
    for session_id in await calls.listed(user_id, LIST_SCOPE_OWN):
        await pace.turn()
        try:
            await calls.delete(session_id, op_id=op_id)
        except (LegalHold, SessionNotFound):
            continue  # it stays, and the receipt says so; or its owner was first
        sessions += 1
    for session_id in await calls.listed(user_id, LIST_SCOPE_SHARED):
        await pace.turn()
        try:
            await calls.leave(session_id, user_id, op_id=op_id)
        except SessionNotFound:
            continue
        shares += 1
    return await installation.complete(user_id, sessions=sessions, shares=shares)
