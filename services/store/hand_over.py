"""Ownership given away: to a named instance, or to none."""

from __future__ import annotations

from services.store.commit import Committer
from services.store.writes import Commit, Committed, Outcome, Refused, Unstorable
from sessiond.store.codec import decode_head, take_over


async def hand_over(
    committer: Committer,
    instance: bytes,
    session_id: str,
    expected_head: bytes,
    *,
    target: bytes,
    commit_id: bytes,
) -> tuple[Outcome, bytes]:
    """Give a session to the target, or to none where that one is gone or leaving.

    Returns the outcome, and where that is `Committed`, the new owner; b"" for none. A head that
    carries the commit id was written by an earlier try whose answer was lost: `Committed`.
    """
    outcome = await _write(
        committer, instance, session_id, expected_head, owner=target, commit_id=commit_id
    )
    if isinstance(outcome, Refused) and outcome.head == expected_head and outcome.registered:
        # All else stood, so it was the target's registration that did not.
        target = b""
        outcome = await give_up(committer, instance, session_id, expected_head, commit_id=commit_id)
    if isinstance(outcome, Refused):
        owner = _owner_by(outcome.head, commit_id)
        if owner is not None:
            return Committed(), owner
    return outcome, target if isinstance(outcome, Committed) else b""


async def give_up(
    committer: Committer,
    instance: bytes,
    session_id: str,
    expected_head: bytes,
    *,
    commit_id: bytes,
) -> Outcome:
    """Write a head in the next epoch that names no owner."""
    return await _write(
        committer, instance, session_id, expected_head, owner=b"", commit_id=commit_id
    )


async def _write(
    committer: Committer,
    instance: bytes,
    session_id: str,
    expected_head: bytes,
    *,
    owner: bytes,
    commit_id: bytes,
) -> Outcome:
    try:
        epoch = decode_head(expected_head).meta.epoch + 1
        head = take_over(expected_head, owner=owner, epoch=epoch, commit_id=commit_id)
    except ValueError:
        return Unstorable()
    return await committer.commit(
        Commit(
            instance=instance,
            session_id=session_id,
            expected_head=expected_head,
            head=head,
            successor=owner,
        )
    )


def _owner_by(head: bytes, commit_id: bytes) -> bytes | None:
    """Return the owner in a head that this commit wrote; None when another one did."""
    try:
        meta = decode_head(head).meta
    except ValueError:
        return None
    return meta.owner if meta.commit_id == commit_id else None
