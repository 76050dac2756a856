"""The rules of turns: one at a time, begun and ended by its worker, stopped by others.

    none --begin--> running --end, cancel, abandon--> none

A turn's text is no part of the session until the event that ends it: whoever owns the session keeps
it, and hands it in. All lengths are in Unicode code points.
"""

from __future__ import annotations

from collections.abc import Callable

from sessiond.errors import InvalidArgument, SessionPaused, TurnActive, TurnNotFound, Violations
from sessiond.session.access import Identity
from sessiond.session.changes import BeginTurn, EndTurn
from sessiond.session.checks import check_name, check_text
from sessiond.session.events import TurnBegun, TurnEnded
from sessiond.session.jsontext import check_message_metadata
from sessiond.session.limits import Limits
from sessiond.session.senders import check_sender, speaking_agent
from sessiond.session.state import Sender, Session, Status, Turn, TurnOutcome


def begin_turn(
    session: Session,
    change: BeginTurn,
    *,
    identity: Identity,
    new_id: Callable[[], str],
    limits: Limits,
) -> tuple[TurnBegun]:
    """One turn at a time. A paused session begins none, a completed one does.

    The same begin again is known by its operation id before anybody asks here.
    """
    found = Violations()
    if change.agent_id is not None:
        check_name(change.agent_id, "agent_id", found, limit=limits.agent_id)
    found.check()
    check_sender(identity, Sender.AGENT)  # a turn becomes an agent's message
    agent = speaking_agent(identity, session, change.agent_id)
    if session.status is Status.PAUSED:
        raise SessionPaused
    if session.turn is not None:
        raise TurnActive
    return (TurnBegun(new_id(), agent),)


def check_piece(text: str, field: str, found: Violations, *, limits: Limits) -> None:
    """A piece of a turn's text, as its worker writes it: what a message may hold. "" is good."""
    check_text(text, field, found, limit=limits.content, may_be_empty=True)


def end_turn(
    session: Session,
    change: EndTurn,
    *,
    identity: Identity,
    text: str,
    new_id: Callable[[], str],
    limits: Limits,
) -> tuple[TurnEnded]:
    """Only its own worker ends a turn, and only when all of its text came; a pause is no matter."""
    found = Violations()
    check_message_metadata(change.metadata, found, limits)
    found.check()
    turn = _running(session, change.turn_id)
    if turn.actor != identity.actor:
        raise TurnNotFound
    if change.length != len(text):
        raise InvalidArgument.of("length", f"must be {len(text)}, as many characters as came")
    outcome = TurnOutcome.FAILED if change.failed else TurnOutcome.COMPLETED
    return (_ended(turn, outcome, text, new_id, change.metadata),)


def stop_turn(
    session: Session, turn_id: str, outcome: TurnOutcome, *, text: str, new_id: Callable[[], str]
) -> tuple[TurnEnded]:
    """A turn that is cancelled or abandoned ends with the text that there is."""
    return (_ended(_running(session, turn_id), outcome, text, new_id),)


def _running(session: Session, turn_id: str) -> Turn:
    if session.turn is None or session.turn.id != turn_id:
        raise TurnNotFound
    return session.turn


def _ended(
    turn: Turn,
    outcome: TurnOutcome,
    text: str,
    new_id: Callable[[], str],
    metadata: str | None = None,
) -> TurnEnded:
    if not text:
        return TurnEnded(turn.id, outcome)
    return TurnEnded(turn.id, outcome, new_id(), turn.agent_id, text, metadata)
