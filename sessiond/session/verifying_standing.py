"""Verifying events about a session as a whole; see `verifying`."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from typing import assert_never

from sessiond.errors import Violations
from sessiond.session.checks import (
    check_metadata,
    check_session_id,
    check_text,
    check_title,
    check_user_id,
)
from sessiond.session.conversation import MOST_RUNS, Run
from sessiond.session.events import (
    MessageAppended,
    OutputDecided,
    OutputEdited,
    OutputSubmitted,
    Record,
    SessionCreated,
    SessionUpdated,
    TurnEnded,
)
from sessiond.session.limits import Limits
from sessiond.session.sharing import links_at
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
from sessiond.session.state import OutputRow, OutputStatus, Session, Status

_STATUS_OF_NONE = {OutputStatus.PENDING, OutputStatus.ERROR}


class Places:
    """What stands where in a log, as far as a rewind can name it."""

    def __init__(self) -> None:
        self.message_ids: set[str] = set()
        self.messages: list[int] = []
        self.inputs: set[int] = set()
        self.bodies: dict[int, str] = {}
        self.decisions: dict[int, tuple[str, OutputStatus]] = {}

    def add(self, record: Record) -> None:
        """Remember a record that was found good."""
        seq = record.seq
        match record.event:
            case MessageAppended(message_id) | TurnEnded(message_id=message_id):
                if message_id:
                    self.message_ids.add(message_id)
                    self.messages.append(seq)
            case SessionCreated():
                self.inputs.add(seq)
            case SessionUpdated(user_inputs=inputs):
                if inputs is not None:
                    self.inputs.add(seq)
            case OutputSubmitted(body) | OutputEdited(body):
                self.bodies[seq] = body.id
            case OutputDecided(output_id, decision):
                self.decisions[seq] = (output_id, OutputStatus(decision.value))
            case _:
                pass

    def messages_in(self, runs: Iterable[Run]) -> tuple[int, int]:
        """Return how many messages stand in these runs, and the seq of the last one; 0 for none."""
        count = last = 0
        for run in runs:
            first = bisect_left(self.messages, run.first)
            end = bisect_right(self.messages, run.last)
            if end > first:
                count, last = count + end - first, self.messages[end - 1]
        return count, last


def check(
    session: Session,
    record: Record,
    event: StandingEvent,
    places: Places,
    *,
    found: Violations,
    limits: Limits,
) -> None:
    """Add what is wrong with an event that is said to follow."""
    match event:
        case MemberGranted(user_id, _, link_id):
            check_user_id(user_id, "user_id", found, limits=limits)
            if link_id:
                check_session_id(link_id, "link_id", found)
            if user_id == session.user_id:
                found.add("user_id", "must be somebody else than the owner")
            if user_id not in session.members and len(session.members) >= limits.members:
                found.add("members", f"must be at most {limits.members}")
        case MemberRevoked(user_id):
            if user_id not in session.members:
                found.add("user_id", "must be a member")
        case OwnerTransferred(user_id, former_user_id):
            if user_id not in session.members:
                found.add("user_id", "must be a member")
            if former_user_id != session.user_id:
                found.add("former_user_id", "must be the owner before")
        case LinkMade(link_id, _, expires_ms):
            check_session_id(link_id, "link_id", found)
            if link_id in session.links:
                found.add("link_id", "must not be that of a link that is there")
            if not 0 <= expires_ms <= LAST_EXPIRY_MS:
                found.add("expires_at", "must be before the year 10000")
            if links_at(session, record.time_ms) >= limits.links:
                found.add("links", f"must be at most {limits.links}")
        case LinkRevoked(link_id):
            if link_id not in session.links:
                found.add("link_id", "must be that of a link")
        case Rewound():
            _check_rewound(session, event, places, found, limits)
        case Forked(session_id, seq, user_id):
            check_session_id(session_id, "session_id", found)
            check_user_id(user_id, "user_id", found, limits=limits)
            if seq != session.seq:
                found.add("seq", f"must be {session.seq}, as many events as stand before")
        case HoldSet(held, reason):
            check_text(reason, "reason", found, limit=limits.feedback, may_be_empty=True)
            if held is session.held:
                found.add("held", "must change what is so")
        case _:  # pragma: no cover
            assert_never(event)


def _check_rewound(
    session: Session, event: Rewound, places: Places, found: Violations, limits: Limits
) -> None:
    to_seq, steps = event.to_seq, len(session.workflow.steps)
    if not 1 <= to_seq <= session.seq:
        found.add("to_seq", "must be that of an event before")
    if session.turn is not None:
        found.add("to_seq", "must not be gone back to while a turn runs")
    check_title(event.title, "title", found, limits=limits)
    check_metadata(event.metadata, "metadata", found, limits=limits)
    completed = event.status is Status.COMPLETED
    if not 0 <= event.current_step <= steps or completed != (event.current_step == steps > 0):
        found.add("current_step", "must be a step of the workflow, as the status says")
    if event.inputs_seq not in places.inputs or event.inputs_seq > to_seq:
        found.add("inputs_seq", "must be that of an event with inputs")
    if len(event.outputs) > limits.outputs or len({row.id for row in event.outputs}) < len(
        event.outputs
    ):
        found.add("outputs", f"must be at most {limits.outputs}, each once")
    for row in event.outputs:
        _check_row(row, to_seq, places, found)
    _check_runs(event.runs, to_seq, found)
    count, last = places.messages_in(event.runs)
    if event.message_count != count:
        found.add("message_count", f"must be {count}")
    if event.last_message_seq != last:
        found.add("last_message_seq", f"must be {last}")


def _check_row(row: OutputRow, to_seq: int, places: Places, found: Violations) -> None:
    decided = places.decisions.get(row.decision_seq)
    good = (
        places.bodies.get(row.body_seq) == row.id
        and max(row.body_seq, row.decision_seq) <= to_seq
        and (decided == (row.id, row.status) if row.decision_seq else row.status in _STATUS_OF_NONE)
    )
    if not good:
        found.add("outputs", f"must be as the events before say: {row.id}")


def _check_runs(runs: tuple[Run, ...], to_seq: int, found: Violations) -> None:
    before = 0
    good = len(runs) <= MOST_RUNS
    for run in runs:
        good = good and before < run.first <= run.last <= to_seq
        before = run.last
    if not good:
        found.add("runs", f"must be at most {MOST_RUNS}, in order, each before the rewind")
