"""Outputs: submitted one at a time, edited while they wait, decided once."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from sessiond.errors import (
    AlreadyDecided,
    IdTaken,
    InvalidArgument,
    NothingPending,
    OutputNotFound,
    OutputPending,
    PermissionDenied,
    SessionCompleted,
    SessionFull,
    SessionPaused,
)
from sessiond.session.changes import (
    ApproveOutput,
    Change,
    EditOutput,
    PauseSession,
    ResumeSession,
    SubmitOutput,
)
from sessiond.session.events import OutputSubmitted
from sessiond.session.limits import DEFAULT_LIMITS
from sessiond.session.state import Decision, LastWord, Output, OutputBody, OutputStatus, Status
from sessiond.session.workflow import Step, Workflow
from tests.unit.stories import CHAT, CONSULTANT, GUEST_AGENT, SERVICE, Story, bad_fields

ONE_STEP = Workflow("one", "One step", (Step("only", "Only", "writer", "all", 5),))
REJECTED = Decision.REJECTED


def finished() -> Story:
    story = Story(ONE_STEP)
    story.submit("o-1")
    story.make(ApproveOutput("o-1"))
    assert story.session.status is Status.COMPLETED
    return story


def test_an_output_is_for_the_current_step_and_waits() -> None:
    """It makes no message and has no word; its time is the decision's."""
    story = Story()
    story.make(SubmitOutput("Plan", quality_score=0.5, metadata='{"a":1}'), CONSULTANT)
    body = OutputBody(
        id="id-1",
        agent_id="gtm-consultant",
        step_id="foundation_gtm",
        content="Plan",
        generated_ms=story.now_ms,
        quality_score=0.5,
        metadata='{"a":1}',
    )
    assert story.session.outputs == {"id-1": Output(body, body_seq=2)}
    assert story.session.pending_output == Output(body, body_seq=2)
    assert (story.session.message_count, story.session.last_word) == (0, LastWord.NOBODY)


def test_a_second_output_waits_for_the_first_ones_decision() -> None:
    """Pending is refused; a rejected one makes room for the next, with a new id."""
    story = Story()
    story.submit("o-1")
    with pytest.raises(OutputPending):
        story.decide(SubmitOutput("Again", output_id="o-2"), SERVICE)
    story.make(ApproveOutput(decision=REJECTED, feedback="Shorter"))
    with pytest.raises(IdTaken):
        story.decide(SubmitOutput("Again", output_id="o-1"), SERVICE)
    story.submit("o-2")
    assert list(story.session.outputs) == ["o-1", "o-2"]


def test_a_plain_conversation_takes_no_outputs() -> None:
    """It has no step to submit one for, and so nothing to approve."""
    with pytest.raises(NothingPending):
        Story(CHAT).decide(SubmitOutput("Plan"), SERVICE)
    with pytest.raises(NothingPending):
        Story(CHAT).decide(ApproveOutput())


def test_an_agent_submits_as_those_that_it_may_speak_as() -> None:
    """By the rule for messages."""
    for identity in (CONSULTANT, GUEST_AGENT):
        (event,) = Story().decide(SubmitOutput("Plan"), identity)
        assert isinstance(event, OutputSubmitted)
        assert event.output.agent_id == "gtm-consultant"
        with pytest.raises(PermissionDenied):
            Story().decide(SubmitOutput("Plan", agent_id="growth-hacker"), identity)
    (event,) = Story().decide(SubmitOutput("Plan", agent_id="growth-hacker"), SERVICE)
    assert isinstance(event, OutputSubmitted)
    assert event.output.agent_id == "growth-hacker"


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf])
def test_every_bad_field_of_an_output_is_named(score: float) -> None:
    """A score is any finite number, an id of the sessions' alphabet."""
    change = SubmitOutput("", output_id="a b", agent_id="", quality_score=score, metadata="1")
    with pytest.raises(InvalidArgument) as refused:
        Story().decide(change, SERVICE)
    assert bad_fields(refused) == ["content", "output_id", "agent_id", "quality_score", "metadata"]


@pytest.mark.parametrize("score", [0.0, -1e308, 1e308, 5e-324])
def test_a_score_is_any_finite_number(score: float) -> None:
    """Scales are the agents' own."""
    story = Story()
    story.submit("o-1", quality_score=score)
    assert story.session.outputs["o-1"].body.quality_score == score


@pytest.mark.parametrize(("length", "good"), [(9, True), (10, True), (11, False)])
def test_an_outputs_content_is_bounded(length: int, good: bool) -> None:
    """Submitted or edited."""
    story = Story(limits=replace(DEFAULT_LIMITS, content=10))
    story.make(SubmitOutput("x", output_id="o-0"), SERVICE)
    edit = EditOutput("o-0", content="é" * (length // 2) + "x" * (length % 2))
    submit = SubmitOutput("y" * length)
    if good:
        assert len(story.decide(edit)) == 1
        assert len(Story(limits=story.limits).decide(submit, SERVICE)) == 1
        return
    for change in (edit, submit):
        with pytest.raises(InvalidArgument) as refused:
            story.decide(change, SERVICE)
        assert bad_fields(refused) == ["content"]


def test_the_last_output_fits_and_the_next_is_refused() -> None:
    """As many outputs as the limit says."""
    story = Story(limits=replace(DEFAULT_LIMITS, outputs=3))
    for number in range(3):
        story.submit(f"o-{number}")
        story.make(ApproveOutput(decision=REJECTED))
    with pytest.raises(SessionFull):
        story.decide(SubmitOutput("Plan"), SERVICE)


def test_an_edit_replaces_what_it_gives() -> None:
    """Content, metadata and time; id, step, agent and score stay."""
    story = Story()
    story.submit("o-1", quality_score=1.5, metadata='{"a":1}')
    before = story.session.outputs["o-1"].body
    story.make(EditOutput("o-1", content="Better"))
    assert story.session.outputs["o-1"] == Output(
        replace(before, content="Better", generated_ms=story.now_ms), body_seq=3
    )
    story.make(EditOutput("o-1", metadata="{}"))
    body = story.session.outputs["o-1"].body
    assert (body.content, body.metadata) == ("Better", "{}")


@pytest.mark.parametrize(
    "change",
    [EditOutput("o-1"), EditOutput("o-1", content="about o-1"), EditOutput("o-1", metadata="{}")],
)
def test_an_edit_to_what_is_there_changes_nothing(change: EditOutput) -> None:
    """Also while paused: nothing is asked of the session."""
    story = Story()
    story.submit("o-1", metadata="{}")
    assert story.decide(change) == ()
    story.make(PauseSession())
    assert story.decide(change) == ()


def test_only_a_pending_output_is_edited() -> None:
    """Not an unknown one, nor one that was decided, nor any while the session is paused."""
    story = Story()
    with pytest.raises(OutputNotFound):
        story.decide(EditOutput("o-1", content="Better"))
    story.submit("o-1")
    story.make(PauseSession())
    with pytest.raises(SessionPaused):
        story.decide(EditOutput("o-1", content="Better"))
    story.make(ResumeSession())
    story.make(ApproveOutput("o-1"))
    with pytest.raises(AlreadyDecided):
        story.decide(EditOutput("o-1", content="Better"))


def test_an_approval_tells_who_and_when() -> None:
    """The user that a service acted for, else the caller."""
    story = Story()
    story.submit("o-1")
    story.make(ApproveOutput(feedback="Good"))
    output = story.session.outputs["o-1"]
    assert (output.status, output.decision_seq) == (OutputStatus.APPROVED, 3)
    assert (output.approved_by, output.approved_ms) == ("alice", story.now_ms)
    assert output.feedback == "Good"
    story.submit("o-2")
    story.make(ApproveOutput("o-2"), SERVICE)
    assert story.session.outputs["o-2"].approved_by == "alice"


def test_a_rejection_keeps_the_step_and_the_feedback() -> None:
    """And nobody approved it."""
    story = Story()
    story.submit("o-1")
    story.make(ApproveOutput(decision=REJECTED, feedback=""))
    output = story.session.outputs["o-1"]
    assert (output.status, output.feedback) == (OutputStatus.REJECTED, "")
    assert (output.approved_by, output.approved_ms) == (None, None)
    assert (story.session.current_step, story.session.pending_output) == (0, None)


@pytest.mark.parametrize(("length", "good"), [(0, True), (9, True), (10, True), (11, False)])
def test_feedback_is_bounded(length: int, good: bool) -> None:
    """Bytes, and none at all is good."""
    story = Story(limits=replace(DEFAULT_LIMITS, feedback=10))
    story.submit("o-1")
    change = ApproveOutput(feedback="x" * length)
    if good:
        assert len(story.decide(change)) == 1
        return
    with pytest.raises(InvalidArgument) as refused:
        story.decide(change)
    assert bad_fields(refused) == ["feedback"]


def test_bad_feedback_and_a_bad_id_are_named() -> None:
    """NUL is no text."""
    with pytest.raises(InvalidArgument) as refused:
        Story().decide(ApproveOutput("", feedback="\0"))
    assert bad_fields(refused) == ["output_id", "feedback"]


def test_nothing_pending_is_said_where_nothing_waits() -> None:
    """Before the first output, and after its decision, when no id is given."""
    story = Story()
    with pytest.raises(NothingPending):
        story.decide(ApproveOutput())
    story.submit("o-1")
    story.make(ApproveOutput())
    with pytest.raises(NothingPending):
        story.decide(ApproveOutput())


def test_an_unknown_output_is_not_found() -> None:
    """Whatever the session's state."""
    for story in (Story(), finished()):
        with pytest.raises(OutputNotFound):
            story.decide(ApproveOutput("o-9"))


@pytest.mark.parametrize("decision", Decision)
def test_the_same_decision_again_changes_nothing(decision: Decision) -> None:
    """Active, paused or completed; the other decision is refused in each."""
    other = Decision.APPROVED if decision is REJECTED else REJECTED
    story = Story()
    story.submit("o-1")
    story.make(ApproveOutput("o-1", "First", decision))
    assert story.decide(ApproveOutput("o-1", "Second thought", decision)) == ()
    story.make(PauseSession())
    assert story.decide(ApproveOutput("o-1", None, decision)) == ()
    with pytest.raises(AlreadyDecided):
        story.decide(ApproveOutput("o-1", None, other))


def test_a_repeated_last_approval_still_gets_its_answer() -> None:
    """The approval that completed the session, said again."""
    story = finished()
    assert story.decide(ApproveOutput("o-1")) == ()
    with pytest.raises(AlreadyDecided):
        story.decide(ApproveOutput("o-1", decision=REJECTED))


@pytest.mark.parametrize(
    "change", [SubmitOutput("x"), ApproveOutput(), ApproveOutput("o-1"), EditOutput("o-1", "x")]
)
def test_a_paused_session_takes_no_outputs_and_no_decisions(change: Change) -> None:
    """Until it is resumed."""
    story = Story()
    story.submit("o-1")
    story.make(PauseSession())
    with pytest.raises(SessionPaused):
        story.decide(change, SERVICE)


@pytest.mark.parametrize("change", [SubmitOutput("x"), ApproveOutput(), PauseSession()])
def test_a_completed_session_takes_no_outputs_decisions_or_pause(change: Change) -> None:
    """It is over."""
    with pytest.raises(SessionCompleted):
        finished().decide(change, SERVICE)
