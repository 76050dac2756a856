"""Laws that hold for every session, whatever was asked of it."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from sessiond.errors import SessiondError
from sessiond.session.apply import apply, message_of
from sessiond.session.changes import ApproveOutput
from sessiond.session.rewinding import fill
from sessiond.session.state import Decision, OutputStatus, Session, Status
from sessiond.session.workflow import Workflow
from sessiond.store.codec import (
    Building,
    HeadMeta,
    add_message,
    decode_entry,
    decode_head,
    decode_outputs,
    decode_record,
    encode_entry,
    encode_head,
    encode_members,
    encode_outputs,
    encode_record,
    load,
    needed_seqs,
)
from sessiond.v1 import session_pb2
from sessiond.wire import message_to_wire, session_to_wire, summary_to_wire
from tests.unit.asking import LIMITS, THREE_STEPS, Asking, aimed, ask, askings, lived, workflows
from tests.unit.stories import ALICE, Story

meta = st.builds(
    HeadMeta,
    st.integers(0, (1 << 64) - 1),
    st.integers(0, 1 << 40),
    st.binary(max_size=16),
    st.binary(max_size=16),
    st.integers(0, 1 << 25),
    st.integers(0, 1 << 45),
    st.sampled_from(["", "reviewer"]),
    st.integers(0, 20_000),
    st.sampled_from([None, Building(ALICE.actor, "op", b"hash", 1_700_000_000_000)]),
)


def check_invariants(session: Session) -> None:
    pending = [
        output for output in session.outputs.values() if output.status is OutputStatus.PENDING
    ]
    assert len(pending) <= 1
    assert (session.pending_output is not None) == bool(pending)
    total = len(session.workflow.steps)
    assert 0 <= session.current_step <= total
    assert (session.status is Status.COMPLETED) == (total > 0 and session.current_step == total)
    approved = {
        output.body.step_id
        for output in session.outputs.values()
        if output.status is OutputStatus.APPROVED
    }
    assert approved == {step.id for step in session.workflow.steps[: session.current_step]}
    # A turn that runs may always end.
    assert session.seq <= LIMITS.events + (session.turn is None)
    assert len(session.outputs) <= LIMITS.outputs
    assert len(session.title) <= 200
    assert session.awaited_agent in {"", session.current_agent}
    assert session.turn is None or session.awaited_agent == ""


def plain_summary(session: Session) -> session_pb2.SessionSummary:
    """The summary as a reader expects it, whatever an entry is put together from."""
    whole = session_to_wire(session, ())
    return session_pb2.SessionSummary(
        id=whole.id,
        user_id=whole.user_id,
        workflow_id=whole.workflow_id,
        status=whole.status,
        current_agent=whole.current_agent,
        current_step=whole.current_step,
        created_at=whole.created_at,
        last_active=whole.last_active,
        progress=whole.progress,
        title=whole.title,
        metadata=whole.metadata,
        revision=whole.revision,
        message_count=session.message_count,
        last_message=session.last_message,
        lineage=whole.lineage if whole.HasField("lineage") else None,
        held=session.held or None,
    )


@settings(max_examples=300, deadline=None)
@given(workflows, st.lists(askings, max_size=40), meta)
def test_loading_gives_what_folding_gives(
    workflow: Workflow, asked: list[Asking], meta: HeadMeta
) -> None:
    """Head, tables and the needed records hold the whole state, after every change.

    On the way: refused changes leave no trace, records and heads come back as they went, seqs are
    dense, last_active never goes back, and the summary says what the session says.
    """
    story = Story(workflow, limits=LIMITS)
    for asking in asked:
        before = story.session
        if not ask(story, asking):
            assert story.session is before
            continue
        assert story.session.last_active_ms >= before.last_active_ms
        check_invariants(story.session)
        head = decode_head(encode_head(story.session, meta))
        assert head.meta == meta
        rows = decode_outputs(encode_outputs(story.session))
        needed = set(needed_seqs(head, rows))
        held = [record for record in story.records if record.seq in needed]
        held = [decode_record(encode_record(one)) for one in held]
        assert load(head, rows, held, encode_members(story.session)) == story.session
    assert [record.seq for record in story.records] == [*range(1, story.session.seq + 1)]
    folded = None
    for record in story.records:
        read = decode_record(encode_record(record))
        assert read == record
        folded = apply(folded, read)
    assert folded is not None
    assert fill(folded, story.records) == story.session
    assert story.session.message_count == len(story.messages)
    summary = summary_to_wire(decode_entry(encode_entry(story.session)))
    assert summary == plain_summary(story.session)


@settings(deadline=None)
@given(workflows, st.lists(askings, max_size=30))
def test_what_is_read_of_a_log_is_its_messages(workflow: Workflow, asked: list[Asking]) -> None:
    """Straight from what is stored, or by way of the rules' values: it is the same."""
    story = lived(workflow, asked)
    read = session_pb2.Session()
    added = [
        add_message(read.conversation_history, encode_record(record), "s-1")
        for record in story.records
    ]
    assert added == [message_of(record) is not None for record in story.records]
    assert [*read.conversation_history] == [
        message_to_wire(message, "s-1")
        for record in story.records
        if (message := message_of(record)) is not None
    ]


@settings(deadline=None)
@given(st.lists(askings, max_size=15), askings)
def test_the_same_change_is_decided_the_same(asked: list[Asking], last: Asking) -> None:
    """Deciding looks at nothing but its arguments and changes none of them."""
    story = lived(THREE_STEPS, asked)

    def decided() -> object:
        story.ids = iter(range(100, 200))
        try:
            return story.decide(aimed(story, last.change), last.identity)
        except SessiondError as refused:
            return type(refused), refused.detail

    before = story.session._replace()
    assert decided() == decided()
    assert story.session == before


@settings(deadline=None)
@given(st.lists(askings, max_size=15))
def test_a_decision_said_again_changes_nothing(asked: list[Asking]) -> None:
    """Whatever happened before and between."""
    story = lived(THREE_STEPS, asked)
    for output in story.session.outputs.values():
        if output.status is not OutputStatus.PENDING:
            same = ApproveOutput(output.body.id, decision=Decision(output.status.value))
            assert story.decide(same) == ()
