"""Events about a session as a whole, and its members and links, on the wire: symmetric pairs.

The hash of a link's secret does not travel, and comes out empty.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import TypeVar, assert_never

from sessiond.errors import InvalidArgument, Violations
from sessiond.numbers import (
    LAST_WORD_NUMBER,
    LAST_WORD_WORD,
    MEMBER_ROLE_NUMBER,
    MEMBER_ROLE_WORD,
    OUTPUT_STATUS_NUMBER,
    OUTPUT_STATUS_WORD,
    STATUS_NUMBER,
    STATUS_WORD,
)
from sessiond.session.access import MemberRole
from sessiond.session.changes import (
    JoinSession,
    MakeLink,
    RevokeLink,
    RewindSession,
    SetHold,
    ShareSession,
    TransferSession,
    UnshareSession,
)
from sessiond.session.conversation import Run
from sessiond.session.standing import (
    LAST_EXPIRY_MS,
    Forked,
    HoldSet,
    LinkMade,
    LinkRevoked,
    MemberGranted,
    MemberRevoked,
    OwnerTransferred,
    Rewound,
    StandingEvent,
)
from sessiond.session.state import Link, Member, OutputRow, OutputStatus
from sessiond.v1 import event_pb2, live_pb2, session_pb2
from sessiond.wire import timestamp_from_wire, timestamp_to_wire

UNKNOWN = "must be one of the known values"

_SECRET = re.compile("[A-Za-z0-9_-]{43}")
_SECRET_CHARACTERS = 128

Word = TypeVar("Word")


def set_standing_event(wire: event_pb2.Event, event: StandingEvent) -> None:
    """Write the event into the one that travels."""
    match event:
        case MemberGranted(user_id, role, link_id):
            granted = event_pb2.MemberGranted(
                user_id=user_id, role=MEMBER_ROLE_NUMBER[role], link_id=link_id or None
            )
            wire.member_granted.CopyFrom(granted)
        case MemberRevoked(user_id):
            wire.member_revoked.CopyFrom(event_pb2.MemberRevoked(user_id=user_id))
        case LinkMade(link_id, role, expires_ms):
            made = event_pb2.LinkMade(
                link_id=link_id,
                role=MEMBER_ROLE_NUMBER[role],
                expires_at=timestamp_to_wire(expires_ms) if expires_ms else None,
            )
            wire.link_made.CopyFrom(made)
        case LinkRevoked(link_id):
            wire.link_revoked.CopyFrom(event_pb2.LinkRevoked(link_id=link_id))
        case OwnerTransferred(user_id, former_user_id):
            given = event_pb2.OwnerTransferred(user_id=user_id, former_user_id=former_user_id)
            wire.owner_transferred.CopyFrom(given)
        case Rewound():
            wire.rewound.CopyFrom(_rewound_to_wire(event))
        case Forked(session_id, seq, user_id):
            forked = event_pb2.Forked(session_id=session_id, seq=seq, user_id=user_id)
            wire.forked.CopyFrom(forked)
        case HoldSet(held, reason):
            wire.hold_set.CopyFrom(event_pb2.HoldSet(held=held, reason=reason))
        case _:  # pragma: no cover
            assert_never(event)


def standing_event_of(wire: event_pb2.Event) -> StandingEvent | None:
    """Return what travelled, where it is one of these events.

    Raises:
        InvalidArgument: it holds a word of a later version.
    """
    match wire.WhichOneof("event"):
        case "member_granted":
            granted = wire.member_granted
            return MemberGranted(granted.user_id, _role(granted.role), granted.link_id)
        case "member_revoked":
            return MemberRevoked(wire.member_revoked.user_id)
        case "link_made":
            made = wire.link_made
            expires_ms = timestamp_from_wire(made.expires_at) if made.HasField("expires_at") else 0
            return LinkMade(made.link_id, _role(made.role), expires_ms)
        case "link_revoked":
            return LinkRevoked(wire.link_revoked.link_id)
        case "owner_transferred":
            given = wire.owner_transferred
            return OwnerTransferred(given.user_id, given.former_user_id)
        case "rewound":
            return _rewound_from_wire(wire.rewound)
        case "forked":
            return Forked(wire.forked.session_id, wire.forked.seq, wire.forked.user_id)
        case "hold_set":
            return HoldSet(wire.hold_set.held, wire.hold_set.reason)
    return None


def share_from_wire(request: live_pb2.ShareSessionRequest) -> ShareSession:
    """Return what the request asks for, or raise InvalidArgument for a role that is none."""
    return ShareSession(request.user_id, _role(request.role))


def unshare_from_wire(request: live_pb2.UnshareSessionRequest) -> UnshareSession:
    """Return what the request asks for."""
    return UnshareSession(request.user_id)


def make_link_from_wire(request: live_pb2.MakeLinkRequest) -> MakeLink:
    """Return what the request asks for; its secret is for whoever makes the link.

    Raises:
        InvalidArgument: a role that is none, a time that JSON cannot spell, a secret of another
            form.
    """
    found = Violations()
    expires_ms = None
    if request.HasField("expires_at"):
        expires_ms = timestamp_from_wire(request.expires_at)
        if expires_ms > LAST_EXPIRY_MS:
            found.add("expires_at", "must be before the year 10000")
    if request.HasField("secret") and not _SECRET.fullmatch(request.secret):
        found.add("secret", "must be 32 bytes in base64url without padding")
    role = MEMBER_ROLE_WORD.get(request.role)
    if role is None:
        found.add("role", UNKNOWN)
    found.check()
    assert role is not None
    return MakeLink(role, expires_ms)


def revoke_link_from_wire(request: live_pb2.RevokeLinkRequest) -> RevokeLink:
    """Return what the request asks for."""
    return RevokeLink(request.link_id)


def join_from_wire(request: live_pb2.JoinSessionRequest) -> JoinSession:
    """Return what the request asks for; of its secret nothing but the hash goes on.

    Raises:
        InvalidArgument: no secret can look so.
    """
    if not 1 <= len(request.secret) <= _SECRET_CHARACTERS:
        raise InvalidArgument.of("secret", f"must be 1 to {_SECRET_CHARACTERS} characters")
    return JoinSession(hashlib.sha256(request.secret.encode()).hexdigest())


def transfer_from_wire(request: live_pb2.TransferSessionRequest) -> TransferSession:
    """Return what the request asks for."""
    return TransferSession(request.user_id)


def members_to_wire(members: Mapping[str, Member]) -> list[session_pb2.Member]:
    """Return the members, in their order."""
    return [
        session_pb2.Member(
            user_id=user_id,
            role=MEMBER_ROLE_NUMBER[member.role],
            granted_at=timestamp_to_wire(member.granted_ms),
            link_id=member.link_id or None,
        )
        for user_id, member in members.items()
    ]


def members_from_wire(members: Iterable[session_pb2.Member]) -> dict[str, Member]:
    """Return the members by user, or raise InvalidArgument for a role of a later version."""
    return {
        each.user_id: Member(_role(each.role), timestamp_from_wire(each.granted_at), each.link_id)
        for each in members
    }


def links_to_wire(links: Mapping[str, Link]) -> list[session_pb2.Link]:
    """Return the links, in their order, without anything of their secrets."""
    return [
        session_pb2.Link(
            link_id=link_id,
            role=MEMBER_ROLE_NUMBER[link.role],
            made_at=timestamp_to_wire(link.made_ms),
            expires_at=timestamp_to_wire(link.expires_ms) if link.expires_ms else None,
        )
        for link_id, link in links.items()
    ]


def links_from_wire(links: Iterable[session_pb2.Link]) -> dict[str, Link]:
    """Return the links by id, or raise InvalidArgument for a role of a later version."""
    return {
        each.link_id: Link(
            _role(each.role),
            timestamp_from_wire(each.made_at),
            timestamp_from_wire(each.expires_at) if each.HasField("expires_at") else 0,
        )
        for each in links
    }


def runs_to_wire(runs: Iterable[Run]) -> list[event_pb2.Run]:
    """Return runs of seqs."""
    return [event_pb2.Run(first_seq=run.first, last_seq=run.last) for run in runs]


def runs_from_wire(runs: Iterable[event_pb2.Run]) -> tuple[Run, ...]:
    """Return runs of seqs."""
    return tuple(Run(run.first_seq, run.last_seq) for run in runs)


def rewind_from_wire(request: live_pb2.RewindSessionRequest) -> RewindSession:
    """Return what the request asks for."""
    return RewindSession(request.to_seq)


def set_hold_from_wire(request: live_pb2.SetHoldRequest) -> SetHold:
    """Return what the request asks for."""
    return SetHold(request.held, request.reason)


def _rewound_to_wire(event: Rewound) -> event_pb2.Rewound:
    return event_pb2.Rewound(
        to_seq=event.to_seq,
        status=STATUS_NUMBER[event.status],
        current_step=event.current_step,
        title=event.title,
        title_given=event.title_given,
        metadata=event.metadata,
        inputs_seq=event.inputs_seq,
        outputs=[
            event_pb2.OutputPlace(
                output_id=row.id,
                status=OUTPUT_STATUS_NUMBER[row.status],
                body_seq=row.body_seq,
                decision_seq=row.decision_seq,
            )
            for row in event.outputs
        ],
        message_count=event.message_count,
        last_message_seq=event.last_message_seq,
        last_word=LAST_WORD_NUMBER[event.last_word],
        runs=runs_to_wire(event.runs),
    )


def _rewound_from_wire(wire: event_pb2.Rewound) -> Rewound:
    return Rewound(
        to_seq=wire.to_seq,
        status=word_of(STATUS_WORD, wire.status, "status"),
        current_step=wire.current_step,
        title=wire.title,
        title_given=wire.title_given,
        metadata=dict(wire.metadata),
        inputs_seq=wire.inputs_seq,
        outputs=tuple(
            OutputRow(row.output_id, _status(row), row.body_seq, row.decision_seq)
            for row in wire.outputs
        ),
        message_count=wire.message_count,
        last_message_seq=wire.last_message_seq,
        last_word=word_of(LAST_WORD_WORD, wire.last_word, "last_word"),
        runs=runs_from_wire(wire.runs),
    )


def _role(number: int) -> MemberRole:
    return word_of(MEMBER_ROLE_WORD, number, "role")


def _status(row: event_pb2.OutputPlace) -> OutputStatus:
    return word_of(OUTPUT_STATUS_WORD, row.status, "outputs.status")


def word_of(words: Mapping[int, Word], number: int, field: str) -> Word:
    """Return the word of a number, or raise that the field holds none that is known."""
    word = words.get(number)
    if word is None:
        raise InvalidArgument.of(field, UNKNOWN)
    return word
