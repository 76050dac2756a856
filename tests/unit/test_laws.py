"""Laws that hold for every session, whatever was asked of it."""

from __future__ import annotations

import json
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from sessiond.errors import SessiondError
from sessiond.session.access import Identity
from sessiond.session.apply import apply
from sessiond.session.changes import (
    AppendMessage,
    ApproveOutput,
    Change,
    EditOutput,
    PauseSession,
    ResumeSession,
    SubmitOutput,
    UpdateSession,
)
from sessiond.session.limits import DEFAULT_LIMITS
from sessiond.session.state import Decision, MessageType, OutputStatus, Sender, Session, Status
from sessiond.session.workflow import Step, Workflow
from sessiond.store.codec import (
    HeadMeta,
    decode_entry,
    decode_head,
    decode_outputs,
    decode_record,
    encode_entry,
    encode_head,
    encode_outputs,
    encode_record,
    load,
    needed_seqs,
)
from sessiond.wire import session_to_wire, summary_to_wire
from tests.unit.stories import ADMIN, ALICE, CHAT, CONSULTANT, GUEST_AGENT, MASTER, SERVICE, Story

THREE_STEPS = Workflow(
    "three",
    "Three steps",
    (
        Step("a", "A", "gtm-consultant", "first", 10),
        Step("b", "B", "reviewer", "first", 0),
        Step("c", "C", "gtm-consultant", "last", 5),
    ),
)
# Small enough that random sessions reach them.
LIMITS = replace(
    DEFAULT_LIMITS, events=25, outputs=4, content=60, metadata_keys=2, user_inputs=80, feedback=8
)

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
output_ids = st.sampled_from(["o-1", "o-2", "o-3", "o-4", "o-5"])
objects = st.dictionaries(
    st.sampled_from(["a", "b", "ж"]),
    st.none() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    max_size=2,
).map(json.dumps)
changes: st.SearchStrategy[Change] = st.one_of(
    st.builds(
        AppendMessage,
        texts,
        st.none() | st.sampled_from(Sender),
        st.none() | st.sampled_from(MessageType),
        st.none() | st.sampled_from(["gtm-consultant", "reviewer"]),
        st.none() | objects,
    ),
    st.builds(
        UpdateSession,
        st.none() | texts,
        st.dictionaries(st.sampled_from(["x", "y", "z"]), st.none() | texts, max_size=2),
        st.none() | objects,
        st.booleans(),
        st.booleans(),
    ),
    st.builds(
        SubmitOutput,
        texts,
        st.none() | output_ids,
        st.none() | st.just("reviewer"),
        st.none() | st.floats(),
        st.none() | objects,
    ),
    st.builds(EditOutput, output_ids, st.none() | texts, st.none() | objects),
    st.builds(ApproveOutput, st.none() | output_ids, st.none() | texts, st.sampled_from(Decision)),
    st.sampled_from([ApproveOutput(), SubmitOutput("x"), PauseSession(), ResumeSession()]),
)
steps = st.tuples(
    changes,
    st.sampled_from([ALICE, SERVICE, ADMIN, CONSULTANT, GUEST_AGENT]),
    st.integers(-2000, 5000),
)
meta = st.builds(
    HeadMeta,
    st.integers(0, (1 << 64) - 1),
    st.integers(0, 1 << 40),
    st.binary(max_size=16),
    st.binary(max_size=16),
    st.integers(0, 1 << 25),
    st.integers(0, 1 << 45),
    st.sampled_from(["", "reviewer"]),
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
    assert session.seq <= LIMITS.events
    assert len(session.outputs) <= LIMITS.outputs
    assert len(session.title) <= 200
    assert session.awaited_agent in {"", session.current_agent}


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from([THREE_STEPS, MASTER, CHAT]),
    st.lists(steps, max_size=40),
    meta,
)
def test_loading_gives_what_folding_gives(
    workflow: Workflow, asked: list[tuple[Change, Identity, int]], meta: HeadMeta
) -> None:
    """Head, outputs table and the needed records hold the whole state, after every change.

    On the way: refused changes leave no trace, records and heads come back as they went, seqs are
    dense, last_active never goes back, and the summary says what the session says.
    """
    story = Story(workflow, limits=LIMITS)
    for change, identity, after_ms in asked:
        before = story.session
        try:
            story.make(change, identity, after_ms=after_ms)
        except SessiondError:
            assert story.session is before
            continue
        assert story.session.last_active_ms >= before.last_active_ms
        check_invariants(story.session)
        head = decode_head(encode_head(story.session, meta))
        assert head.meta == meta
        rows = decode_outputs(encode_outputs(story.session))
        needed = set(needed_seqs(head, rows))
        held = [record for record in story.records if record.seq in needed]
        assert load(head, rows, [decode_record(encode_record(one)) for one in held]) == (
            story.session
        )
    assert [record.seq for record in story.records] == [*range(1, story.session.seq + 1)]
    folded = None
    for record in story.records:
        read = decode_record(encode_record(record))
        assert read == record
        folded = apply(folded, read)
    assert folded == story.session
    assert story.session.message_count == len(story.messages)
    summary = summary_to_wire(decode_entry(encode_entry(story.session)))
    whole = session_to_wire(story.session, story.messages)
    assert (summary.revision, summary.progress) == (whole.revision, whole.progress)
    assert summary.title == whole.title


@settings(deadline=None)
@given(st.lists(steps, max_size=15), steps)
def test_the_same_change_is_decided_the_same(
    asked: list[tuple[Change, Identity, int]], last: tuple[Change, Identity, int]
) -> None:
    """Deciding looks at nothing but its arguments and changes none of them."""
    story = Story(THREE_STEPS, limits=LIMITS)
    for change, identity, after_ms in asked:
        try:
            story.make(change, identity, after_ms=after_ms)
        except SessiondError:
            continue

    def decided() -> object:
        story.ids = iter(range(100, 200))
        try:
            return story.decide(last[0], last[1])
        except SessiondError as refused:
            return type(refused), refused.detail

    before = replace(story.session)
    assert decided() == decided()
    assert story.session == before


@settings(deadline=None)
@given(st.lists(steps, max_size=15))
def test_a_decision_said_again_changes_nothing(
    asked: list[tuple[Change, Identity, int]],
) -> None:
    """Whatever happened before and between."""
    story = Story(THREE_STEPS, limits=LIMITS)
    for change, identity, after_ms in asked:
        try:
            story.make(change, identity, after_ms=after_ms)
        except SessiondError:
            continue
    for output in story.session.outputs.values():
        if output.status is not OutputStatus.PENDING:
            same = ApproveOutput(output.body.id, decision=Decision(output.status.value))
            assert story.decide(same) == ()
