"""A client's copy: an old snapshot and the events after it are a new snapshot."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sessiond import Reset, wire
from sessiond.client.copy import Copy
from sessiond.event_wire import event_to_wire, state_to_wire
from sessiond.session.access import Actor, Role
from sessiond.session.apply import apply, message_of
from sessiond.session.conversation import Conversation, Run
from sessiond.session.events import (
    Event,
    MessageAppended,
    OutputDecided,
    OutputEdited,
    OutputSubmitted,
    Record,
    SessionCreated,
    SessionPaused,
    SessionResumed,
    SessionUpdated,
    TurnBegun,
    TurnEnded,
)
from sessiond.session.standing import Rewound
from sessiond.session.state import (
    Decision,
    LastWord,
    Message,
    MessageType,
    OutputBody,
    Sender,
    Session,
    Status,
    TurnOutcome,
)
from sessiond.session.workflow import Step, Workflow
from sessiond.v1 import live_pb2
from sessiond.v1.event_pb2 import Turn
from sessiond.v1.live_pb2 import ServerFrame
from sessiond.v1.session_pb2 import JsonObject

ALICE = Actor("alice", Role.USER)
WORKFLOW = Workflow(
    id="w", name="W", steps=(Step("one", "One", "a", "s", 3), Step("two", "Two", "b", "s", 4))
)


def body(output_id: str, content: str) -> OutputBody:
    return OutputBody(output_id, "a", "one", content, 1_000, 0.5, '{"n": 1}')


STORY: list[Event] = [
    SessionCreated("s", "alice", WORKFLOW, '{"market": "EU"}', "", {"k": "v"}),
    MessageAppended("m2", Sender.USER, MessageType.TEXT, "hello", title="hello"),
    TurnBegun("t3", "a"),
    TurnEnded("t3", TurnOutcome.COMPLETED, "m4", "a", "an answer", '{"n": 1}'),
    SessionUpdated(title="T", title_given=True, metadata={}, user_inputs='{"market": "US"}'),
    OutputSubmitted(body("o", "first")),
    OutputEdited(body("o", "second")),
    OutputDecided("o", Decision.APPROVED, "good"),
    SessionPaused(),
    SessionResumed(),
    TurnBegun("t11", "b"),
]


def records() -> list[Record]:
    return [
        Record(seq, 1_000 * seq, ALICE, event, f"op{seq}")
        for seq, event in enumerate(STORY, start=1)
    ]


def parts(session: Session, messages: list[Message]) -> list[ServerFrame]:
    """Return the snapshot of a session, as Live cuts it."""
    made = [live_pb2.Snapshot(state=state_to_wire(session))]
    made.append(live_pb2.Snapshot(user_inputs=JsonObject(text=session.user_inputs)))
    for output_id, output in session.outputs.items():
        shown = live_pb2.SnapshotOutput(output_id=output_id, output=wire.output_to_wire(output))
        made.append(live_pb2.Snapshot(output=shown))
    wired = [wire.message_to_wire(message, session.id) for message in messages]
    made.append(live_pb2.Snapshot(messages=live_pb2.SnapshotMessages(messages=wired)))
    made[-1].last = True
    for part in made:
        part.session_id, part.log_id, part.seq = session.id, "0" * 16, session.seq
    return [ServerFrame(snapshot=part) for part in made]


def told(seq: int) -> tuple[Session, list[Message]]:
    """Return the session after so many events, and its messages."""
    session: Session | None = None
    messages: list[Message] = []
    for record in records()[:seq]:
        session = apply(session, record)
        if (message := message_of(record)) is not None:
            messages.append(message)
    assert session is not None
    return session, messages


def attached(turns: dict[str, str]) -> ServerFrame:
    running = [Turn(turn_id=turn_id, agent_id="b", text=text) for turn_id, text in turns.items()]
    return ServerFrame(attached=live_pb2.Attached(session_id="s", turns=running))


def shown(copy: Copy) -> live_pb2.SessionState:
    assert copy.session is not None
    return state_to_wire(copy.session)


@pytest.mark.parametrize("seq", range(1, len(STORY) + 1))
def test_a_snapshot_and_events_are_what_a_later_snapshot_is(seq: int) -> None:
    """Whatever a client can see of a session is the same, however it came to know it."""
    early, late = Copy(), Copy()
    for frame in (attached({}), *parts(*told(seq))):
        assert early.take(frame) is None
    for record in records()[seq:]:
        early.take_event(event_to_wire(record, "s"))
    for frame in parts(*told(len(STORY))):
        late.take(frame)
    assert shown(early) == shown(late)
    assert early.session is not None
    assert late.session is not None
    assert early.session.user_inputs == late.session.user_inputs
    assert list(map(visible, early.session.outputs.values())) == list(
        map(visible, late.session.outputs.values())
    )
    assert early.messages == late.messages
    assert set(early.turns) == set(late.turns) == {"t11"}


def visible(output: object) -> object:
    """Return an output without the seqs, which only the log's keeper knows."""
    return replace(output, body_seq=0, decision_seq=0)  # type: ignore[type-var]


def test_an_event_that_is_applied_already_is_shown_and_changes_nothing() -> None:
    copy = Copy()
    for frame in parts(*told(4)):
        copy.take(frame)
    before = copy.session, list(copy.messages)
    assert copy.take_event(event_to_wire(records()[1], "s")).seq == 2
    assert (copy.session, list(copy.messages)) == before


def test_the_old_state_stays_until_a_new_snapshot_is_whole() -> None:
    copy = Copy()
    for frame in parts(*told(2)):
        copy.take(frame)
    copy.take(ServerFrame(reset=live_pb2.Reset(session_id="s", reason="CURSOR_TOO_OLD")))
    *most, last = parts(*told(5))
    for frame in most:
        assert copy.take(frame) is None
    assert copy.session is not None
    assert copy.session.seq == 2
    assert copy.take(last) == Reset("CURSOR_TOO_OLD", 5)
    assert copy.session.seq == 5
    assert [message.seq for message in copy.messages] == [2, 4]


def test_a_snapshot_that_begins_anew_forgets_its_first_parts() -> None:
    copy = Copy()
    for frame in parts(*told(8))[:-1]:
        copy.take(frame)
    for frame in parts(*told(2)):
        copy.take(frame)
    assert copy.session is not None
    assert dict(copy.session.outputs) == {}
    assert len(copy.messages) == 1


def test_a_part_without_a_beginning_is_a_fault() -> None:
    with pytest.raises(ValueError, match="state"):
        Copy().take(parts(*told(2))[-1])


def test_a_running_turn_s_text_is_kept_as_it_grows() -> None:
    copy = Copy()
    for frame in (attached({"t11": "so far"}), *parts(*told(11))):
        copy.take(frame)
    token = live_pb2.Token(session_id="s", turn_id="t11", offset=6, text=", and on")
    copy.take(ServerFrame(token=token))
    assert copy.turns["t11"].text == "so far, and on"
    assert copy.turns["t11"].length == len("so far, and on")
    assert copy.turns["t11"].agent_id == "b"


def test_tokens_may_come_before_the_event_that_begins_their_turn() -> None:
    copy = Copy()
    for frame in (attached({}), *parts(*told(10))):
        copy.take(frame)
    token = live_pb2.Token(session_id="s", turn_id="t11", offset=0, text="early")
    copy.take(ServerFrame(token=token))
    copy.take_event(event_to_wire(records()[10], "s"))
    assert (copy.turns["t11"].text, copy.turns["t11"].agent_id) == ("early", "b")


def test_a_rewind_leaves_the_state_until_the_snapshot_is_whole() -> None:
    """Of what is there again the event tells seqs alone; nobody sees a session with holes."""
    copy = Copy()
    for frame in (attached({}), *parts(*told(8))):
        copy.take(frame)
    before, said = shown(copy), list(copy.messages)
    rewound = Rewound(
        to_seq=2,
        status=Status.ACTIVE,
        current_step=0,
        title="hello",
        title_given=False,
        metadata={"k": "v"},
        inputs_seq=1,
        outputs=(),
        message_count=1,
        last_message_seq=2,
        last_word=LastWord.OTHER,
        runs=(Run(1, 2),),
    )
    record = Record(9, 9_000, ALICE, rewound, "op9")
    assert copy.take_event(event_to_wire(record, "s")) == record
    reset = live_pb2.Reset(session_id="s", reason="REWOUND")
    assert copy.take(ServerFrame(reset=reset)) is None
    session, messages = told(2)
    after = session._replace(seq=9, conversation=Conversation(9, (Run(1, 2),)))
    *some, last = parts(after, messages)
    for frame in some:
        assert copy.take(frame) is None
        assert (shown(copy), list(copy.messages)) == (before, said)
    assert copy.take(last) == Reset("REWOUND", 9)
    assert shown(copy) == state_to_wire(after)
    assert list(copy.messages) == messages
