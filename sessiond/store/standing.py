"""Events about a session as a whole, and the table of its members and links, as they are stored."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import assert_never

from google.protobuf.internal.containers import RepeatedCompositeFieldContainer
from google.protobuf.message import DecodeError

from sessiond.numbers import (
    MEMBER_ROLE_NUMBER,
    MEMBER_ROLE_WORD,
    STATUS_NUMBER,
    STATUS_WORD,
)
from sessiond.session.conversation import Run
from sessiond.session.standing import (
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
from sessiond.session.state import LastWord, Link, Member, Session
from sessiond.store.tables import rows_of, table_of
from sessiond.store.v1 import records_pb2 as pb

LAST_WORD_NUMBER: Mapping[LastWord, pb.LastWord.ValueType] = {
    LastWord.NOBODY: pb.LAST_WORD_UNSPECIFIED,
    LastWord.AGENT: pb.LAST_WORD_AGENT,
    LastWord.OTHER: pb.LAST_WORD_OTHER,
}
LAST_WORD: Mapping[int, LastWord] = {number: word for word, number in LAST_WORD_NUMBER.items()}

Runs = RepeatedCompositeFieldContainer[pb.Run]


def set_standing(stored: pb.Record, event: StandingEvent) -> None:
    """Write the event into the record that holds it."""
    match event:
        case MemberGranted(user_id, role, link_id):
            granted = pb.MemberGranted(
                user_id=user_id, role=MEMBER_ROLE_NUMBER[role], link_id=link_id
            )
            stored.member_granted.CopyFrom(granted)
        case MemberRevoked(user_id):
            stored.member_revoked.user_id = user_id
        case LinkMade(link_id, role, expires_ms, secret_hash):
            stored.link_made.link_id = link_id
            stored.link_made.role = MEMBER_ROLE_NUMBER[role]
            stored.link_made.expires_ms = expires_ms
            stored.link_made.secret_hash = secret_hash
        case LinkRevoked(link_id):
            stored.link_revoked.link_id = link_id
        case OwnerTransferred(user_id, former_user_id):
            stored.owner_transferred.user_id = user_id
            stored.owner_transferred.former_user_id = former_user_id
        case Rewound():
            stored.rewound.CopyFrom(_rewound(event))
        case Forked(session_id, seq, user_id):
            stored.forked.CopyFrom(pb.Forked(session_id=session_id, seq=seq, user_id=user_id))
        case HoldSet(held, reason):
            stored.hold_set.CopyFrom(pb.HoldSet(held=held, reason=reason))
        case _:  # pragma: no cover
            assert_never(event)


def standing_of(stored: pb.Record) -> StandingEvent | None:
    """Return the event that the record holds, where it is one of these.

    Raises:
        KeyError: it holds a number of a later version.
    """
    match stored.WhichOneof("event"):
        case "member_granted":
            granted = stored.member_granted
            return MemberGranted(granted.user_id, MEMBER_ROLE_WORD[granted.role], granted.link_id)
        case "member_revoked":
            return MemberRevoked(stored.member_revoked.user_id)
        case "link_made":
            made = stored.link_made
            role = MEMBER_ROLE_WORD[made.role]
            return LinkMade(made.link_id, role, made.expires_ms, made.secret_hash)
        case "link_revoked":
            return LinkRevoked(stored.link_revoked.link_id)
        case "owner_transferred":
            given = stored.owner_transferred
            return OwnerTransferred(given.user_id, given.former_user_id)
        case "rewound":
            return _rewound_event(stored.rewound)
        case "forked":
            forked = stored.forked
            return Forked(forked.session_id, forked.seq, forked.user_id)
        case "hold_set":
            return HoldSet(stored.hold_set.held, stored.hold_set.reason)
    return None


def set_runs(stored: Runs, runs: Iterable[Run]) -> None:
    """Write runs into where they stand."""
    for run in runs:
        stored.add(first_seq=run.first, last_seq=run.last)


def runs_of(stored: Runs) -> tuple[Run, ...]:
    """Return the runs that stand there."""
    return tuple(Run(run.first_seq, run.last_seq) for run in stored)


def encode_members(session: Session) -> bytes:
    """Return the bytes of the session's table of members and links."""
    return pb.MembersTable(
        members=[
            pb.MemberRow(
                user_id=user_id,
                role=MEMBER_ROLE_NUMBER[member.role],
                granted_ms=member.granted_ms,
                link_id=member.link_id,
            )
            for user_id, member in session.members.items()
        ],
        links=[
            pb.LinkRow(
                id=link_id,
                role=MEMBER_ROLE_NUMBER[link.role],
                made_ms=link.made_ms,
                expires_ms=link.expires_ms,
                secret_hash=link.secret_hash,
            )
            for link_id, link in session.links.items()
        ],
    ).SerializeToString()


def decode_members(data: bytes) -> tuple[dict[str, Member], dict[str, Link]]:
    """Return the members by user and the links by id; b"" is the table of an unshared session.

    Raises:
        ValueError: the bytes are no table that this version knows.
    """
    try:
        table = pb.MembersTable.FromString(data)
        members = {
            row.user_id: Member(MEMBER_ROLE_WORD[row.role], row.granted_ms, row.link_id)
            for row in table.members
        }
        links = {
            row.id: Link(MEMBER_ROLE_WORD[row.role], row.made_ms, row.expires_ms, row.secret_hash)
            for row in table.links
        }
    except (DecodeError, KeyError) as error:
        raise ValueError("these bytes are no members table that this version knows") from error
    return members, links


def _rewound(event: Rewound) -> pb.Rewound:
    stored = pb.Rewound(
        to_seq=event.to_seq,
        status=STATUS_NUMBER[event.status],
        current_step=event.current_step,
        title=event.title,
        title_given=event.title_given,
        metadata=event.metadata,
        inputs_seq=event.inputs_seq,
        outputs=table_of(event.outputs),
        message_count=event.message_count,
        last_message_seq=event.last_message_seq,
        last_word=LAST_WORD_NUMBER[event.last_word],
    )
    set_runs(stored.runs, event.runs)
    return stored


def _rewound_event(stored: pb.Rewound) -> Rewound:
    return Rewound(
        to_seq=stored.to_seq,
        status=STATUS_WORD[stored.status],
        current_step=stored.current_step,
        title=stored.title,
        title_given=stored.title_given,
        metadata=dict(stored.metadata),
        inputs_seq=stored.inputs_seq,
        outputs=rows_of(stored.outputs),
        message_count=stored.message_count,
        last_message_seq=stored.last_message_seq,
        last_word=LAST_WORD[stored.last_word],
        runs=runs_of(stored.runs),
    )
