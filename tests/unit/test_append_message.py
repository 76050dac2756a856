"""Messages: what they may hold, who may send them as whom, and what they do to a session."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sessiond.errors import InvalidArgument, PermissionDenied, SessionFull
from sessiond.session.access import Identity, Role
from sessiond.session.changes import AppendMessage, PauseSession, UpdateSession
from sessiond.session.events import MessageAppended
from sessiond.session.limits import DEFAULT_LIMITS
from sessiond.session.state import LastWord, Message, MessageType, Sender
from tests.unit.stories import (
    ADMIN,
    ALICE,
    CHAT,
    CONSULTANT,
    GUEST_AGENT,
    SERVICE,
    Story,
    bad_fields,
)


def sent(story: Story, change: AppendMessage, identity: Identity) -> MessageAppended:
    (event,) = story.decide(change, identity)
    assert isinstance(event, MessageAppended)
    return event


def test_a_message_joins_the_conversation() -> None:
    """Id, time and seq are the server's; the rest is as it was sent."""
    story = Story()
    story.make(AppendMessage("Hello\tthere\r\n", metadata='{"a":1}'))
    assert story.messages == [
        Message(
            id="id-1",
            sender=Sender.USER,
            type=MessageType.TEXT,
            content="Hello\tthere\r\n",
            time_ms=story.now_ms,
            seq=2,
            metadata='{"a":1}',
            user_id="alice",
        )
    ]
    session = story.session
    assert (session.seq, session.message_count, session.last_message_seq) == (2, 1, 2)
    assert session.last_message == "Hello\tthere\r\n"
    assert session.last_active_ms == story.now_ms
    assert session.last_word is LastWord.OTHER


@pytest.mark.parametrize(("length", "shown"), [(139, 139), (140, 140), (141, 140)])
def test_a_summary_shows_the_first_140_characters(length: int, shown: int) -> None:
    """Characters, not bytes."""
    story = Story()
    story.make(AppendMessage("ж" * length))
    assert story.session.last_message == "ж" * shown


def test_last_active_never_goes_back() -> None:
    """A clock that was set back moves nothing."""
    story = Story()
    before = story.session.last_active_ms
    story.make(AppendMessage("Hello"), after_ms=-5000)
    assert story.session.last_active_ms == before
    assert story.messages[0].time_ms == before - 5000


@pytest.mark.parametrize(
    ("length", "good"), [(0, False), (1, True), (9, True), (10, True), (11, False)]
)
def test_content_is_bounded_in_bytes(length: int, good: bool) -> None:
    """At least one, at most the limit."""
    story = Story(limits=replace(DEFAULT_LIMITS, content=10))
    content = "é" * (length // 2) + "x" * (length % 2)
    if good:
        assert sent(story, AppendMessage(content), ALICE).content == content
        return
    with pytest.raises(InvalidArgument) as refused:
        story.decide(AppendMessage(content))
    assert bad_fields(refused) == ["content"]


@pytest.mark.parametrize("content", ["a\0b", "a\ud800", "\udfffb"])
def test_content_is_text_that_every_client_can_read(content: str) -> None:
    """No NUL and no half of a surrogate pair; other control characters pass."""
    with pytest.raises(InvalidArgument) as refused:
        Story().decide(AppendMessage(content))
    assert bad_fields(refused) == ["content"]
    assert (
        sent(Story(), AppendMessage("\x01\x1b[0m\x7f\x85"), ALICE).content == "\x01\x1b[0m\x7f\x85"
    )


@pytest.mark.parametrize(("size", "good"), [(19, True), (20, True), (21, False)])
def test_a_messages_metadata_is_bounded(size: int, good: bool) -> None:
    """It is a JSON object by the same checks as inputs."""
    story = Story(limits=replace(DEFAULT_LIMITS, message_metadata=20))
    metadata = '{"a":"' + "x" * (size - 8) + '"}'
    if good:
        assert sent(story, AppendMessage("Hi", metadata=metadata), ALICE).metadata == metadata
        return
    with pytest.raises(InvalidArgument) as refused:
        story.decide(AppendMessage("Hi", metadata=metadata))
    assert bad_fields(refused) == ["metadata"]


def test_every_bad_field_of_a_message_is_named() -> None:
    """Before anything else is judged: the sender is not told apart yet."""
    with pytest.raises(InvalidArgument) as refused:
        Story().decide(AppendMessage("", Sender.SYSTEM, agent_id="\n", metadata="[]"))
    assert bad_fields(refused) == ["content", "agent_id", "metadata"]


SENDERS = {
    Role.USER: {Sender.USER},
    Role.AGENT: {Sender.AGENT},
    Role.SERVICE: {Sender.USER, Sender.AGENT, Sender.SYSTEM},
    Role.ADMIN: {Sender.USER, Sender.AGENT, Sender.SYSTEM},
    Role.LIVE: set[Sender](),
    Role.GATEWAY: set[Sender](),
}


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("sender", Sender)
def test_a_role_sends_as_whom_it_may(role: Role, sender: Sender) -> None:
    """Agents as agents, services and administrators as anyone, everybody else as a user."""
    identity = Identity("someone", role, agents=frozenset({"gtm-consultant"}))
    if sender in SENDERS[role]:
        assert sent(Story(), AppendMessage("Hi", sender), identity).sender is sender
        return
    with pytest.raises(PermissionDenied):
        Story().decide(AppendMessage("Hi", sender), identity)


@pytest.mark.parametrize(
    ("identity", "sender"),
    [
        (ALICE, Sender.USER),
        (CONSULTANT, Sender.AGENT),
        (SERVICE, Sender.USER),
        (ADMIN, Sender.USER),
    ],
)
def test_who_says_nothing_sends_as_what_they_are(identity: Identity, sender: Sender) -> None:
    """The agent for agents, the user for everyone else."""
    assert sent(Story(), AppendMessage("Hi"), identity).sender is sender


@pytest.mark.parametrize(
    ("identity", "sender", "author"),
    [
        (ALICE, Sender.USER, "alice"),
        (SERVICE, Sender.USER, SERVICE.acting_for),
        (ADMIN, Sender.USER, ADMIN.subject),
        (SERVICE, Sender.AGENT, None),
        (SERVICE, Sender.SYSTEM, None),
        (CONSULTANT, Sender.AGENT, None),
    ],
)
def test_a_users_message_names_who_wrote_it(
    identity: Identity, sender: Sender, author: str | None
) -> None:
    """Who called, or for whom a service did; agents and the system are named as what they are."""
    story = Story()
    story.make(AppendMessage("Hi", sender), identity)
    assert story.messages[-1].user_id == author


def test_an_agents_message_is_the_current_agents_unless_it_says_otherwise() -> None:
    """Services may speak for any agent; a user's and the system's messages have none by default."""
    assert sent(Story(), AppendMessage("Hi"), CONSULTANT).agent_id == "gtm-consultant"
    assert sent(Story(CHAT), AppendMessage("Hi", Sender.AGENT), SERVICE).agent_id == "assistant"
    named = AppendMessage("Hi", Sender.AGENT, agent_id="growth-hacker")
    assert sent(Story(), named, SERVICE).agent_id == "growth-hacker"
    assert sent(Story(), AppendMessage("Hi"), ALICE).agent_id is None
    assert sent(Story(), AppendMessage("Hi", Sender.SYSTEM), SERVICE).agent_id is None


def test_a_users_message_names_no_agent() -> None:
    """An agent's id beside sender user is a bad field, given or by default."""
    for change, identity in (
        (AppendMessage("Hi", agent_id="gtm-consultant"), ALICE),
        (AppendMessage("Hi", Sender.USER, agent_id="gtm-consultant"), SERVICE),
    ):
        with pytest.raises(InvalidArgument) as refused:
            Story().decide(change, identity)
        assert bad_fields(refused) == ["agent_id"]


def test_an_agent_speaks_as_those_that_its_token_names() -> None:
    """And as nobody else."""
    twin = Identity("w", Role.AGENT, agents=frozenset({"gtm-consultant", "growth-hacker"}))
    asked = AppendMessage("Hi", agent_id="growth-hacker")
    assert sent(Story(), asked, twin).agent_id == "growth-hacker"
    with pytest.raises(PermissionDenied):
        Story().decide(asked, CONSULTANT)


def test_an_agent_let_into_a_session_speaks_as_its_current_agent() -> None:
    """The token names the session, not the agent."""
    assert sent(Story(), AppendMessage("Hi"), GUEST_AGENT).agent_id == "gtm-consultant"
    named = AppendMessage("Hi", agent_id="gtm-consultant")
    assert sent(Story(), named, GUEST_AGENT).agent_id == "gtm-consultant"
    with pytest.raises(PermissionDenied):
        Story().decide(AppendMessage("Hi", agent_id="growth-hacker"), GUEST_AGENT)
    elsewhere = replace(GUEST_AGENT, sessions=frozenset({"s-2"}))
    with pytest.raises(PermissionDenied):
        Story().decide(named, elsewhere)


@pytest.mark.parametrize(
    ("length", "good"), [(0, False), (1, True), (127, True), (128, True), (129, False)]
)
def test_an_agents_name_is_bounded(length: int, good: bool) -> None:
    """1 to 128 bytes."""
    change = AppendMessage("Hi", Sender.AGENT, agent_id="a" * length)
    if good:
        assert sent(Story(), change, SERVICE).agent_id == "a" * length
        return
    with pytest.raises(InvalidArgument) as refused:
        Story().decide(change, SERVICE)
    assert bad_fields(refused) == ["agent_id"]


@pytest.mark.parametrize("kind", MessageType)
def test_anyone_may_send_a_message_of_any_type(kind: MessageType) -> None:
    """The type says how to show it, and nothing about who sent it."""
    assert sent(Story(), AppendMessage("Hi", type=kind), ALICE).type is kind


def test_messages_pass_while_paused() -> None:
    """A pause stops the work, not the conversation."""
    story = Story()
    story.make(PauseSession())
    story.make(AppendMessage("Wait"))
    assert story.session.message_count == 1


@pytest.mark.parametrize("events", [3, 4])
def test_the_last_event_fits_and_the_next_is_refused(events: int) -> None:
    """As many events as the limit says, the creation counted; deciding nothing always passes."""
    story = Story(limits=replace(DEFAULT_LIMITS, events=events))
    for _ in range(events - 1):
        story.make(AppendMessage("Hi"))
    assert story.session.seq == events
    with pytest.raises(SessionFull):
        story.decide(AppendMessage("Hi"))
    assert story.decide(UpdateSession()) == ()


def test_a_refused_change_takes_no_id() -> None:
    """Ids are made for what happens."""
    story = Story()
    with pytest.raises(InvalidArgument):
        story.decide(AppendMessage(""))
    story.make(AppendMessage("Hi"))
    assert story.messages[0].id == "id-1"
