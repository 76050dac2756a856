"""Going back: what comes back, what stays, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sessiond.errors import IdTaken, InvalidArgument, SessionFull, TurnActive
from sessiond.session.access import Identity, MemberRole
from sessiond.session.apply import message_of
from sessiond.session.changes import (
    AppendMessage,
    ApproveOutput,
    EditOutput,
    EndTurn,
    MakeLink,
    PauseSession,
    RewindSession,
    SetHold,
    ShareSession,
    SubmitOutput,
    TransferSession,
    UpdateSession,
)
from sessiond.session.conversation import MOST_RUNS, Run
from sessiond.session.rewinding import fill, fold
from sessiond.session.standing import Rewound, lacking
from sessiond.session.state import OutputStatus, Session, Status
from tests.unit.asking import THREE_STEPS, Asking, askings, lived
from tests.unit.stories import ADMIN, CONSULTANT, SERVICE, Story, bad_fields


@pytest.fixture
def story() -> Story:
    """A session of two steps done, of which each event changed something."""
    story = Story(asked={"title": "Mine", "user_inputs": '{"a":1}'})
    story.make(AppendMessage("first"))  # 2
    story.submit("o-1")  # 3
    story.make(EditOutput("o-1", content="edited"))  # 4
    story.make(ApproveOutput("o-1", feedback="good"))  # 5
    story.make(UpdateSession(title="Ours", metadata={"k": "v"}, user_inputs='{"b":2}'))  # 6
    story.make(AppendMessage("second"))  # 7
    story.make(PauseSession())  # 8
    return story


def changeable(session: Session) -> Session:
    """All that a rewind takes from the past."""
    fresh = Story().session
    return session._replace(
        seq=0,
        last_active_ms=0,
        turn=None,
        conversation=fresh.conversation,
        user_id=fresh.user_id,
        members={},
        links={},
        held=False,
    )


def of_the_whole(session: Session) -> tuple[object, ...]:
    """All that a rewind leaves as it is: whose the session is, who may do what, and a hold."""
    return (session.user_id, session.created_ms, session.members, session.links, session.held)


@pytest.mark.parametrize("to_seq", range(1, 8))
def test_everything_is_as_it_was(story: Story, to_seq: int) -> None:
    """Texts, inputs, outputs with their decisions, the workflow, and the conversation."""
    past = story.past_of(RewindSession(to_seq))
    assert past is not None
    said = [message for message in story.messages if message.seq <= to_seq]
    (event,) = story.make(RewindSession(to_seq))
    assert isinstance(event, Rewound)
    assert (story.session.seq, event.to_seq) == (9, to_seq)
    assert changeable(story.session) == changeable(past)
    assert story.messages == said
    assert story.session.last_active_ms == story.records[-1].time_ms


def test_what_is_about_the_session_as_a_whole_stays(story: Story) -> None:
    """Who owns it, who may do what, a legal hold, its history and its age are not undone."""
    story.make(ShareSession("bob", MemberRole.VIEWER))
    story.make(MakeLink(MemberRole.EDITOR))
    story.make(SetHold(held=True, reason="trial"), ADMIN)
    story.make(TransferSession("bob"))
    before = story.session
    story.make(RewindSession(1), Identity("bob"))
    assert of_the_whole(story.session) == of_the_whole(before)
    assert (story.session.user_id, story.session.held) == ("bob", True)
    assert len(story.records) == 13


def test_a_rewind_is_taken_back_by_another(story: Story) -> None:
    """To before the first one: what stood then stands again."""
    before, said = story.session, story.messages
    story.make(RewindSession(3))
    story.make(AppendMessage("another way"))
    story.make(RewindSession(8))
    assert changeable(story.session) == changeable(before)
    assert story.messages == said
    assert list(story.session.conversation.runs) == [Run(1, 8)]
    story.make(RewindSession(10))
    assert [message.content for message in story.messages] == ["first", "another way"]
    assert list(story.session.conversation.runs) == [Run(1, 3), Run(10, 10)]


def test_an_output_that_waits_again_moves_the_workflow_when_it_is_approved(story: Story) -> None:
    """Also for who folds the log, and finds its text elsewhere."""
    story.make(RewindSession(3))
    assert story.session.outputs["o-1"].body.content == "about o-1"
    story.make(ApproveOutput())
    assert story.session.current_step == 1
    folded = fold(None, story.records)
    assert (folded.current_step, lacking(folded)) == (1, [1, 2, 3, 10])
    assert fill(folded, story.records) == story.session


def test_ids_that_were_undone_are_free_again(story: Story) -> None:
    """What is not there any more stands in nobody's way."""
    story.make(RewindSession(2))
    story.submit("o-1")
    with pytest.raises(IdTaken):
        story.make(RewindSession(5))
        story.submit("o-1")


def test_going_where_it_stands_changes_nothing(story: Story) -> None:
    """Neither to the present, nor once more to where the last event went."""
    assert story.decide(RewindSession(8)) == ()
    story.make(RewindSession(3))
    assert story.decide(RewindSession(3)) == ()
    assert story.decide(RewindSession(9)) == ()
    assert story.decide(RewindSession(2)) != ()


@pytest.mark.parametrize("to_seq", [-1, 0, 9, 1 << 60])
def test_only_to_an_event_of_the_session(story: Story, to_seq: int) -> None:
    """1 to its revision."""
    with pytest.raises(InvalidArgument) as refused:
        story.decide(RewindSession(to_seq))
    assert bad_fields(refused) == ["to_seq"]


def test_an_event_that_was_not_there_when_it_was_looked_for_is_none(story: Story) -> None:
    """It was committed together with the rewind: the caller cannot have meant it."""
    story.past_of = lambda change: None  # type: ignore[method-assign]
    with pytest.raises(InvalidArgument):
        story.decide(RewindSession(7))


def test_not_while_a_turn_runs() -> None:
    """An agent would speak into another conversation."""
    story = Story()
    story.make(AppendMessage("go on"))
    turn_id = story.begin(CONSULTANT, "a")
    for to_seq in (1, story.session.seq):
        with pytest.raises(TurnActive):
            story.decide(RewindSession(to_seq))
    story.make(EndTurn(turn_id, 1), CONSULTANT)
    story.make(RewindSession(3))
    assert story.session.turn is None, "a turn that ran then is not taken up"
    assert story.session.awaited_agent == "gtm-consultant"


def test_a_completed_workflow_goes_on_where_it_went_back_to() -> None:
    """A rewind undoes decisions, the last one too."""
    story = Story(THREE_STEPS)
    for output_id in ("o-1", "o-2", "o-3"):
        story.submit(output_id)
        story.make(ApproveOutput())
    assert story.session.status is Status.COMPLETED
    story.make(RewindSession(5))
    assert (story.session.status, story.session.current_step) == (Status.ACTIVE, 2)
    assert [*story.session.outputs] == ["o-1", "o-2"]
    story.make(SubmitOutput("again", "o-3"), SERVICE)
    assert story.session.outputs["o-3"].status is OutputStatus.PENDING


def test_a_conversation_is_cut_only_so_often() -> None:
    """Its pieces stand in the head, which is small."""
    story = Story()
    for _ in range(MOST_RUNS - 1):
        story.make(AppendMessage("more"))
        story.make(AppendMessage("too much"))
        story.make(RewindSession(story.session.seq - 1))
    story.make(AppendMessage("more"))
    story.make(RewindSession(story.session.seq - 2))
    assert len(story.session.conversation.runs) == MOST_RUNS - 1
    story.make(AppendMessage("more"))
    story.make(AppendMessage("more"))
    story.make(RewindSession(story.session.seq - 1))
    assert len(story.session.conversation.runs) == MOST_RUNS
    story.make(AppendMessage("more"))
    story.make(AppendMessage("more"))
    with pytest.raises(SessionFull):
        story.make(RewindSession(story.session.seq - 1))
    story.make(RewindSession(2))
    assert len(story.session.conversation.runs) == 1


@settings(deadline=None)
@given(st.lists(askings, max_size=25), st.integers(0, 25))
def test_every_state_comes_back(asked: list[Asking], back: int) -> None:
    """Whatever happened before, rewinds too."""
    story = lived(THREE_STEPS, asked)
    if story.session.turn is not None or back >= story.session.seq:
        return
    to_seq = story.session.seq - back
    past = story.past_of(RewindSession(to_seq))
    assert past is not None
    if story.session.seq == story.limits.events:
        return
    holds = past.conversation.holds
    said = [m for r in story.records[:to_seq] if holds(r.seq) and (m := message_of(r))]
    before = story.session
    story.make(RewindSession(to_seq))
    assert changeable(story.session) == changeable(past)
    assert of_the_whole(story.session) == of_the_whole(before)
    assert story.messages == said


def test_what_cannot_be_filled_is_said(story: Story) -> None:
    """A record that is missing, or that holds something else, is a fault of ours."""
    story.make(RewindSession(3))
    folded = fold(None, story.records)
    assert lacking(folded) == [1, 2, 3]
    for without in (1, 2, 3):
        with pytest.raises(ValueError, match=f"record {without} is missing"):
            fill(folded, [record for record in story.records if record.seq != without])
    with pytest.raises(ValueError, match="there is no record"):
        fold(None, ())
