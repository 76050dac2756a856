"""What every read of one session begins with: its head, and whether the caller may see it."""

from __future__ import annotations

from services.store.acquisition import decoded_members, living
from services.store.answers import Snapshot
from services.store.repository import Repository
from sessiond.session.access import Identity, Operation, check_access
from sessiond.session.state import Member
from sessiond.store.codec import StoredHead


async def entered(
    repository: Repository,
    identity: Identity,
    session_id: str,
    operation: Operation = Operation.READ,
) -> tuple[Snapshot, StoredHead]:
    """Return a session as it stands now, for a caller who may do this to it.

    Raises:
        SessionNotFound: no such session, or not the caller's.
        PermissionDenied: the caller may see it, but not do this.
    """
    snapshot, head = await living(repository, session_id)
    members: dict[str, Member] = {}
    if snapshot.members:
        members, _ = decoded_members(session_id, snapshot.members)
    check_access(
        identity,
        operation,
        session_id=session_id,
        owner=head.user_id,
        current_agent=head.current_agent,
        members={user_id: member.role for user_id, member in members.items()},
    )
    return snapshot, head
