"""Going back: what a rewind takes from the past, and how the past is found again.

The log is never cut. A rewind is one more event, which tells everything small as it was, and names
by their seqs the records that hold what is large. `apply` keeps what the state has of that, and
leaves the rest empty: whoever keeps the log fills it in, and everybody else loads the session anew.
"""

from __future__ import annotations

from collections.abc import Iterable

from sessiond.errors import InvalidArgument, SessionFull, TurnActive
from sessiond.session.apply import apply
from sessiond.session.contents import inputs_at, last_message_at, output_at
from sessiond.session.conversation import MOST_RUNS, Conversation
from sessiond.session.events import Record
from sessiond.session.standing import Rewound
from sessiond.session.state import Output, OutputRow, Session


def rewind(session: Session, to_seq: int, *, past: Session | None) -> tuple[Rewound, ...]:
    """Return the event that takes the session back to how it was; () where it is so already.

    Args:
        past: the session as it was after the event `to_seq`, whole; None where there was no such
            event when it was looked for.

    Raises:
        InvalidArgument: there is no such event.
        TurnActive: a turn runs.
        SessionFull: the conversation would be of more pieces than it may be.
    """
    there = past if to_seq != session.seq else session
    if there is None or not 1 <= to_seq <= session.seq:
        raise InvalidArgument.of("to_seq", "must be 1 to the session's revision")
    if session.turn is not None:
        raise TurnActive
    if there is session:
        return ()
    runs = there.conversation.until(to_seq)
    if session.conversation == Conversation(session.seq, runs):
        return ()  # the last event went back there
    if len(runs) > MOST_RUNS:
        raise SessionFull(f"The session was cut {MOST_RUNS} times, as often as it may be.")
    rewound = Rewound(
        to_seq=to_seq,
        status=there.status,
        current_step=there.current_step,
        title=there.title,
        title_given=there.title_given,
        metadata=there.metadata,
        inputs_seq=there.inputs_seq,
        outputs=tuple(_row(output) for output in there.outputs.values()),
        message_count=there.message_count,
        last_message_seq=there.last_message_seq,
        last_word=there.last_word,
        runs=runs,
    )
    return (rewound,)


def filled_from(session: Session, past: Session) -> Session:
    """Return the session, just rewound to `past`, with all that is large of that."""
    return session._replace(
        user_inputs=past.user_inputs, outputs=past.outputs, last_message=past.last_message
    )


def fold(session: Session | None, records: Iterable[Record]) -> Session:
    """Return the session after these records, which follow it; None before the first one.

    What a rewind among them left empty stays so: `fill` it when all are folded.

    Raises:
        ValueError: they do not follow it, or there are none of a session that is None.
    """
    for record in records:
        session = apply(session, record)
    if session is None:
        raise ValueError("there is no record")
    return session


def fill(session: Session, records: Iterable[Record]) -> Session:
    """Return the session with what a rewind left empty, from the records that `lacking` names.

    Records beyond those do no harm.

    Raises:
        ValueError: one of them is missing, or does not hold what the session says.
    """
    by_seq = {record.seq: record for record in records}
    if not session.user_inputs:
        session = session._replace(user_inputs=inputs_at(by_seq, session.inputs_seq))
    if session.last_message_seq and not session.last_message:
        last_message = last_message_at(by_seq, session.last_message_seq)
        session = session._replace(last_message=last_message)
    outputs = {
        output.body.id: output if output.body.agent_id else output_at(by_seq, _row(output))
        for output in session.outputs.values()
    }
    return session._replace(outputs=outputs)


def _row(output: Output) -> OutputRow:
    return OutputRow(output.body.id, output.status, output.body_seq, output.decision_seq)
