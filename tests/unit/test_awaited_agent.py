"""Whose turn it is: how agent workers find their sessions."""

from __future__ import annotations

from sessiond.session.changes import (
    AppendMessage,
    ApproveOutput,
    CancelTurn,
    DeleteSession,
    EndTurn,
    PauseSession,
    ResumeSession,
    UpdateSession,
)
from sessiond.session.events import SessionPaused, SessionResumed
from sessiond.session.state import Decision, Sender, Status
from tests.unit.stories import CHAT, CONSULTANT, SERVICE, Story


def test_a_workflow_awaits_its_first_agent_from_the_start() -> None:
    """A plain conversation awaits nobody before the first message."""
    assert Story().session.awaited_agent == "gtm-consultant"
    assert Story(CHAT).session.awaited_agent == ""


def test_the_agent_is_awaited_until_it_has_the_last_word() -> None:
    """A user's or the system's message awaits it, its own does not."""
    story = Story(CHAT)
    story.make(AppendMessage("Hello"))
    assert story.session.awaited_agent == "assistant"
    story.make(AppendMessage("Good day", Sender.AGENT), SERVICE)
    assert story.session.awaited_agent == ""
    story.make(AppendMessage("Budget changed", Sender.SYSTEM), SERVICE)
    assert story.session.awaited_agent == "assistant"


def test_a_pending_output_awaits_the_user() -> None:
    """Whatever is said meanwhile; a rejection awaits the agent again."""
    story = Story()
    story.submit("o-1")
    story.make(AppendMessage("Let me read"))
    assert story.session.awaited_agent == ""
    story.make(ApproveOutput(decision=Decision.REJECTED))
    assert story.session.awaited_agent == "gtm-consultant"
    story.make(AppendMessage("On it"), CONSULTANT)
    assert story.session.awaited_agent == ""


def test_an_approval_awaits_the_next_agent() -> None:
    """The decision is the newest word."""
    story = Story()
    story.make(AppendMessage("Here it comes"), CONSULTANT)
    story.submit("o-1")
    story.make(ApproveOutput())
    assert story.session.awaited_agent == "persona-strategist"


def test_one_agents_word_is_not_anothers() -> None:
    """Who is approved while still speaking does not have the word of who comes next."""
    story = Story()
    story.submit("o-1")
    turn_id = story.begin(text="I have submitted it")
    story.make(ApproveOutput())
    story.make(EndTurn(turn_id, len("I have submitted it")), CONSULTANT)
    assert story.session.awaited_agent == "persona-strategist"
    story.make(AppendMessage("And good luck", Sender.AGENT, agent_id="gtm-consultant"), SERVICE)
    assert story.session.awaited_agent == "persona-strategist"
    story.make(AppendMessage("On it", Sender.AGENT), SERVICE)
    assert story.session.awaited_agent == ""


def test_a_paused_session_awaits_nobody() -> None:
    """Until it is resumed; pausing and resuming twice change nothing."""
    story = Story()
    assert story.make(PauseSession()) == (SessionPaused(),)
    assert (story.session.status, story.session.awaited_agent) == (Status.PAUSED, "")
    assert story.make(PauseSession()) == ()
    assert story.make(ResumeSession()) == (SessionResumed(),)
    assert (story.session.status, story.session.awaited_agent) == (
        Status.ACTIVE,
        "gtm-consultant",
    )
    assert story.make(ResumeSession()) == ()


def test_nobody_is_awaited_while_a_turn_runs() -> None:
    """Its text is the agent's word; a turn without text leaves the session as it awaited before."""
    story = Story()
    turn_id = story.begin()
    story.make(AppendMessage("Are you there?"))
    assert story.session.awaited_agent == ""
    story.make(CancelTurn(turn_id))
    assert story.session.awaited_agent == "gtm-consultant"
    turn_id = story.begin(text="Yes")
    story.make(CancelTurn(turn_id))
    assert story.session.awaited_agent == ""


def test_an_update_awaits_nobody_new() -> None:
    """Title and inputs are no words to the agent."""
    story = Story()
    story.make(AppendMessage("Done"), CONSULTANT)
    story.make(UpdateSession(title="T", user_inputs='{"a":1}'))
    assert story.session.awaited_agent == ""


def test_a_deletion_is_no_event() -> None:
    """It ends the log; the tombstone is its keeper's to write."""
    assert Story().decide(DeleteSession()) == ()
