"""What an event says, in few characters: the same for who asked, who was shown and what is stored.

A client knows what it asked for and not what the rules made of it, so a digest is of the part that
both know: the text of a message, an output or a turn, the new title, the decision.
"""

from __future__ import annotations

from hashlib import blake2b

from sessiond.session.access import Actor
from sessiond.session.events import (
    Event,
    MessageAppended,
    OutputDecided,
    OutputEdited,
    OutputSubmitted,
    SessionCreated,
    SessionPaused,
    SessionResumed,
    SessionUpdated,
    TurnBegun,
    TurnEnded,
)
from sessiond.session.standing import (
    Forked,
    HoldSet,
    LinkMade,
    LinkRevoked,
    MemberGranted,
    MemberRevoked,
    OwnerTransferred,
    Rewound,
)
from tests.faults.history.entries import EventKind

_KINDS: dict[type[Event], EventKind] = {
    SessionCreated: EventKind.CREATED,
    MessageAppended: EventKind.MESSAGE,
    SessionUpdated: EventKind.UPDATED,
    OutputSubmitted: EventKind.SUBMITTED,
    OutputEdited: EventKind.EDITED,
    OutputDecided: EventKind.DECIDED,
    SessionPaused: EventKind.PAUSED,
    SessionResumed: EventKind.RESUMED,
    TurnBegun: EventKind.BEGUN,
    TurnEnded: EventKind.ENDED,
    Rewound: EventKind.REWOUND,
    MemberGranted: EventKind.GRANTED,
    MemberRevoked: EventKind.REVOKED,
    Forked: EventKind.FORKED,
    LinkMade: EventKind.STANDING,
    LinkRevoked: EventKind.STANDING,
    OwnerTransferred: EventKind.TRANSFERRED,
    HoldSet: EventKind.STANDING,
}


def digest(text: str) -> str:
    """Return 16 hexadecimal digits that no other text of a round has; "" for ""."""
    return blake2b(text.encode(), digest_size=8).hexdigest() if text else ""


def event_kind(event: Event) -> EventKind:
    """Return what happened."""
    return _KINDS[type(event)]


def content_of(event: Event) -> str:
    """Return the digest of what an event says; "" where its kind says all.

    For a decision it is the digest of the word "approved" or "rejected", for an update that of the
    title as it became, for a rewind that of where it goes, for a fork that of what it copies.
    """
    match event:
        case MessageAppended() | TurnEnded():
            return digest(event.content)
        case OutputSubmitted(output) | OutputEdited(output):
            return digest(output.content)
        case SessionUpdated():
            return digest(event.title or "")
        case OutputDecided():
            return digest(event.decision.value)
        case Rewound():
            return digest(place(event.to_seq))
        case MemberGranted():
            return digest(event.role.value)
        case Forked():
            return digest(place(event.seq, event.session_id))
        case SessionCreated() | SessionPaused() | SessionResumed() | TurnBegun():
            return ""
        case _:
            return ""


def place(seq: int, session: str = "") -> str:
    """Return the text in whose place a rewind and a fork have a digest."""
    return f"{session}@{seq}"


def about(event: Event) -> str:
    """Return the output or turn that an event speaks of; "" for none."""
    match event:
        case OutputSubmitted(output) | OutputEdited(output):
            return output.id
        case OutputDecided():
            return event.output_id
        case TurnBegun() | TurnEnded():
            return event.turn_id
        case MemberGranted() | MemberRevoked() | OwnerTransferred():
            return event.user_id
        case Forked():
            return event.session_id
        case _:
            return ""


def actor_name(actor: Actor) -> str:
    """Return the name under which operation ids of this actor are told from others'."""
    return "/".join((actor.subject, actor.role.value, actor.acting_for))
