"""How much a session may hold, and what still happens in one that is full.

    room left --limit reached--> full: turns, memberships and links end, holds begin and end;
                                 everything else is SESSION_FULL

Who may enter a session that cannot grow, and whether it may go, must stay in somebody's hands. What
ends always has room: none of it can begin in a full session, so there is no more of it than stood
there. Holds come and go, so they have a headroom of their own. A transfer has none: it takes nobody
out, and could be made back and forth without an end.
"""

from __future__ import annotations

from sessiond.errors import SessionFull
from sessiond.session.events import Event, TurnEnded
from sessiond.session.limits import HEADROOM_BYTES, HEADROOM_EVENTS, Limits
from sessiond.session.standing import HoldSet, LinkRevoked, MemberRevoked

_ENDINGS = (TurnEnded, MemberRevoked, LinkRevoked)
_URGENT = (MemberRevoked, LinkRevoked, HoldSet)


def check_count(seq: int, event: Event, limits: Limits) -> None:
    """Return if an event may have this seq.

    Raises:
        SessionFull: the session has as many events as it may have.
    """
    if seq <= limits.events or isinstance(event, _ENDINGS):
        return
    if not isinstance(event, HoldSet) or seq > limits.events + HEADROOM_EVENTS:
        raise SessionFull(f"The session has {seq - 1} changes and may have {limits.events}.")


def check_room(size: int, added: int, event: Event, limits: Limits) -> None:
    """Return if records of `added` bytes, the last of them this event's, may follow `size` bytes.

    Raises:
        SessionFull: they would be more than a session may have.
    """
    if size + added <= limits.session or isinstance(event, _ENDINGS):
        return
    if not isinstance(event, HoldSet) or size + added > limits.session + HEADROOM_BYTES:
        raise SessionFull(f"The session may have {limits.session} bytes.")


def is_urgent(event: Event) -> bool:
    """Return whether it takes a right away or is about a hold: it is not put off for want of space.

    Deletions go on while etcd is nearly full, so a hold must be able to stop them.
    """
    return isinstance(event, _URGENT)
