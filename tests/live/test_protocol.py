"""The conversation of a stream: what a client may say, in which order, and what follows from it."""

from __future__ import annotations

from typing import Any

import pytest

from services.live.protocol import (
    FRAME_BYTES,
    Action,
    Conversation,
    Finish,
    Follow,
    Greet,
    Leave,
    Make,
    Present,
    Say,
    Write,
)
from sessiond.errors import InvalidArgument
from sessiond.session.changes import (
    AppendMessage,
    BeginTurn,
    CancelTurn,
    EndTurn,
    PauseSession,
    ResumeSession,
    SubmitOutput,
    UpdateSession,
)
from sessiond.session.limits import DEFAULT_LIMITS
from sessiond.v1 import live_pb2 as pb

HELLO = pb.ClientFrame(hello=pb.Hello())


def said(conversation: Conversation, *frames: pb.ClientFrame) -> list[Action]:
    return list(conversation.receive(pb.ClientFrame(batch=frames).SerializeToString()))


def told(action: Action) -> Any:
    """Return the frame inside an answer that the conversation gives itself."""
    assert isinstance(action, Say)
    (frame,) = pb.ServerFrame.FromString(action.frame).batch
    return getattr(frame, frame.WhichOneof("frame") or "")


def greeted(attached_sessions: int = 3) -> Conversation:
    conversation = Conversation(DEFAULT_LIMITS, attached_sessions=attached_sessions)
    assert said(conversation, HELLO) == [Greet(None)]
    return conversation


def attached(*session_ids: str) -> Conversation:
    conversation = greeted()
    for session_id in session_ids:
        (action,) = said(conversation, attach(session_id))
        assert isinstance(action, Follow)
        conversation.granted(session_id)
    return conversation


def attach(session_id: str, **fields: Any) -> pb.ClientFrame:
    return pb.ClientFrame(attach=pb.Attach(session_id=session_id, **fields))


def append(session_id: str, op_id: str = "op", **fields: Any) -> pb.ClientFrame:
    request = pb.AppendMessageRequest(session_id=session_id, content="hello", **fields)
    if op_id:
        request.op_id = op_id
    return pb.ClientFrame(append=request, since=7)


def test_nothing_is_heard_before_hello() -> None:
    """The first frame says who speaks; anything else ends the stream."""
    conversation = Conversation(DEFAULT_LIMITS, attached_sessions=3)
    (action, *rest) = said(conversation, attach("s1"), HELLO)
    assert isinstance(action, Finish)
    assert isinstance(action.reason, InvalidArgument)
    assert rest == []


def test_a_hello_may_bring_a_token_at_any_time() -> None:
    """A fresh token is a hello like the first one."""
    conversation = greeted()
    again = pb.ClientFrame(hello=pb.Hello(token="fresh"))
    assert said(conversation, again) == [Greet("fresh")]


@pytest.mark.parametrize("field", [{"cursor": "x"}, {"tail": 3}])
def test_over_grpc_a_hello_resumes_nothing(field: dict[str, Any]) -> None:
    """A cursor that nobody reads would be a gap in disguise."""
    conversation = Conversation(DEFAULT_LIMITS, attached_sessions=3)
    (action,) = said(conversation, pb.ClientFrame(hello=pb.Hello(**field)))
    assert isinstance(action, Finish)
    assert isinstance(action.reason, InvalidArgument)


@pytest.mark.parametrize(
    "data",
    [b"\xff\xff\xff", b"x" * (FRAME_BYTES + 1), pb.ClientFrame().SerializeToString()],
    ids=["undecodable", "oversize", "empty"],
)
def test_what_is_no_frame_ends_the_stream(data: bytes) -> None:
    """Who speaks another language is told so, once."""
    conversation = greeted()
    (action,) = conversation.receive(data)
    assert isinstance(action, Finish)
    assert isinstance(action.reason, InvalidArgument)


def test_an_unknown_frame_ends_the_stream() -> None:
    """A frame of a later version must not be swallowed: it may have asked for a change."""
    conversation = greeted()
    (action,) = conversation.receive(b"\x0a\x04\xfa\x07\x01x")
    assert isinstance(action, Finish)


def test_a_batch_in_a_batch_is_no_frame() -> None:
    """Batches have one level."""
    (action,) = said(greeted(), pb.ClientFrame(batch=[HELLO]))
    assert isinstance(action, Finish)


def test_nothing_is_heard_after_the_end() -> None:
    """What stands behind a goodbye in a batch is not done."""
    conversation = attached("s1")
    actions = said(conversation, pb.ClientFrame(close=pb.Close()), append("s1"))
    assert actions == [Finish(None)]


def test_attach_asks_for_50_messages_unless_it_says_otherwise() -> None:
    """The tail of a snapshot has a default and a range."""
    conversation = greeted()
    (first, second) = said(conversation, attach("s1"), attach("s2", tail=0, cursor="c"))
    assert isinstance(first, Follow)
    assert isinstance(second, Follow)
    assert (first.tail, first.cursor) == (50, None)
    assert (second.tail, second.cursor) == (0, "c")


@pytest.mark.parametrize("fields", [{"tail": -1}, {"tail": 1001}])
def test_a_bad_attach_is_refused_alone(fields: dict[str, int]) -> None:
    """Other sessions of the stream hear nothing of it."""
    (action,) = said(greeted(), attach("s1", **fields))
    goaway = told(action)
    assert (goaway.session_id, goaway.reason, goaway.reconnect) == ("s1", "INVALID_ARGUMENT", False)


def test_a_stream_has_so_many_sessions_and_no_more() -> None:
    """10,000 attaches get their answers, and 1,000 of them a session."""
    conversation = greeted(attached_sessions=2)
    actions = said(conversation, attach("s1"), attach("s2"), attach("s3"))
    assert [type(action) for action in actions] == [Follow, Follow, Say]
    assert told(actions[2]).reason == "TOO_MANY_ATTACHED"
    conversation.ended("s1")
    (action,) = said(conversation, attach("s3"))
    assert isinstance(action, Follow)


def test_a_second_attach_leaves_the_first_alone() -> None:
    """A goaway would say that the attachment has ended, which it has not."""
    (action,) = said(attached("s1"), attach("s1"))
    reply = told(action)
    assert (reply.session_id, reply.error.code) == ("s1", "INVALID_ARGUMENT")


def test_changes_need_an_attachment_that_was_granted() -> None:
    """Asking is not enough: until the answer nobody knows whose the session is."""
    conversation = greeted()
    said(conversation, attach("s1"))
    (action,) = said(conversation, append("s1"))
    reply = told(action)
    assert (reply.session_id, reply.op_id, reply.error.code) == ("s1", "op", "NOT_ATTACHED")
    conversation.granted("s1")
    (made,) = said(conversation, append("s1"))
    assert isinstance(made, Make)
    conversation.ended("s1")
    assert told(said(conversation, append("s1"))[0]).error.code == "NOT_ATTACHED"


def test_a_grant_after_the_end_is_none() -> None:
    """A detach that overtakes its attach leaves nothing attached."""
    conversation = greeted()
    said(conversation, attach("s1"))
    conversation.ended("s1")
    conversation.granted("s1")
    assert "s1" not in conversation


@pytest.mark.parametrize(
    ("frame", "change"),
    [
        (append("s1"), AppendMessage("hello")),
        (
            pb.ClientFrame(update=pb.UpdateSessionRequest(session_id="s1", title="t", op_id="op")),
            UpdateSession(title="t"),
        ),
        (
            pb.ClientFrame(
                submit_output=pb.SubmitOutputRequest(session_id="s1", content="c", op_id="op")
            ),
            SubmitOutput("c"),
        ),
        (
            pb.ClientFrame(pause=pb.PauseSessionRequest(session_id="s1", op_id="op")),
            PauseSession(),
        ),
        (
            pb.ClientFrame(resume=pb.ResumeSessionRequest(session_id="s1", op_id="op")),
            ResumeSession(),
        ),
        (pb.ClientFrame(begin_turn=pb.BeginTurn(session_id="s1", op_id="op")), BeginTurn()),
        (
            pb.ClientFrame(end_turn=pb.EndTurn(session_id="s1", op_id="op", turn_id="t", length=4)),
            EndTurn("t", 4),
        ),
        (
            pb.ClientFrame(cancel=pb.CancelTurn(session_id="s1", op_id="op", turn_id="t")),
            CancelTurn("t"),
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_every_kind_of_change_is_made(frame: pb.ClientFrame, change: object) -> None:
    """Each frame means the change that the unary call of its name means."""
    (action,) = said(attached("s1"), frame)
    assert isinstance(action, Make)
    assert (action.session_id, action.op_id, action.change) == ("s1", "op", change)


def test_a_change_says_since_when_and_at_which_revision() -> None:
    """Both travel with the change to where it is decided."""
    (action,) = said(attached("s1"), append("s1", expected_revision=9))
    assert isinstance(action, Make)
    assert (action.since, action.expected_revision) == (7, 9)


def test_a_change_without_an_operation_id_is_refused() -> None:
    """On a stream every change may have to be sent again."""
    (action,) = said(attached("s1"), append("s1", op_id=""))
    reply = told(action)
    assert reply.error.code == "INVALID_ARGUMENT"
    assert [error.field for error in reply.error.errors] == ["op_id"]


def test_tokens_presence_and_detach_are_passed_on() -> None:
    """What is no change has no reply, and still needs the attachment."""
    conversation = attached("s1")
    token = pb.WriteToken(session_id="s1", turn_id="t", offset=2, text="x")
    typing = pb.UpdatePresence(session_id="s1", typing=True)
    detach = pb.Detach(session_id="s1")
    actions = said(
        conversation,
        pb.ClientFrame(token=token),
        pb.ClientFrame(presence=typing),
        pb.ClientFrame(detach=detach),
    )
    assert [type(action) for action in actions] == [Write, Present, Leave]


def test_a_ping_is_answered_whatever_else_goes_on() -> None:
    """A client can always ask whether anybody is there; what it sends comes back, cut."""
    (action,) = said(greeted(), pb.ClientFrame(ping=pb.Ping(payload="x" * 100)))
    assert told(action).payload == "x" * 64
