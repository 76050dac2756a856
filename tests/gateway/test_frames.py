"""Frames as JSON: what is read from a browser and refused, and what is shown to it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from gateway.mapping.frames import Said, for_browsers, read_frames, show_frame, show_frames
from sessiond.errors import InvalidArgument
from sessiond.v1 import event_pb2, live_pb2, session_pb2
from sessiond.v1.live_pb2 import ClientFrame, ServerFrame


def said(message: Any) -> list[Said]:
    """What a message says on the WebSocket of session s1."""
    return list(read_frames(json.dumps(message), "s1"))


def one(message: Any) -> ClientFrame:
    """The one good frame that the message holds."""
    (found,) = said(message)
    assert found.refused is None
    return found.frame


def faults(message: Any) -> dict[str, str]:
    """The bad fields of the one frame that the message holds."""
    (found,) = said(message)
    assert found.refused is not None
    return {each.field: each.message for each in found.refused.violations}


def unreadable(message: Any) -> list[str]:
    """The bad fields of a message that is nothing that we know."""
    with pytest.raises(InvalidArgument) as caught:
        said(message)
    return [each.field for each in caught.value.violations]


def test_a_change_is_read_with_what_rest_has_in_headers() -> None:
    """The session comes from the path; numbers are numbers."""
    frame = one(
        {
            "since": 2**53 + 1,
            "append": {
                "opId": "a",
                "expectedRevision": 7,
                "content": "hello",
                "sender": "agent",
                "metadata": {"n": 2**70},
            },
        }
    )
    assert frame == ClientFrame(
        since=2**53 + 1,
        append=live_pb2.AppendMessageRequest(
            session_id="s1",
            op_id="a",
            expected_revision=7,
            content="hello",
            sender=session_pb2.SENDER_AGENT,
            metadata=session_pb2.JsonObject(text=f'{{"n":{2**70}}}'),
        ),
    )


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ({"hello": {"token": "t", "cursor": "c", "tail": 5}}, "hello"),
        ({"hello": {}}, "hello"),
        ({"append": {"opId": "a", "content": "x"}}, "append"),
        ({"update": {"opId": "a"}}, "update"),
        ({"submitOutput": {"opId": "a", "content": "x", "qualityScore": 1}}, "submit_output"),
        ({"editOutput": {"opId": "a", "outputId": "o"}}, "edit_output"),
        ({"approve": {"opId": "a", "decision": "rejected"}}, "approve"),
        ({"pause": {"opId": "a"}}, "pause"),
        ({"resume": {"opId": "a"}}, "resume"),
        ({"beginTurn": {"opId": "a", "agentId": "g"}}, "begin_turn"),
        ({"token": {"turnId": "t", "offset": 0, "text": ""}}, "token"),
        ({"endTurn": {"opId": "a", "turnId": "t", "length": 0}}, "end_turn"),
        ({"endTurn": {"opId": "a", "turnId": "t", "length": 1, "failed": True}}, "end_turn"),
        ({"cancel": {"opId": "a", "turnId": "t"}}, "cancel"),
        ({"rewind": {"opId": "a", "toSeq": 3}}, "rewind"),
        ({"rewind": {"opId": "a", "toSeq": 3, "expectedRevision": 9}}, "rewind"),
        ({"presence": {"typing": True}}, "presence"),
        ({"presence": {}}, "presence"),
        ({"ping": {}}, "ping"),
        ({"ping": {"payload": "p"}}, "ping"),
        ({"close": {}}, "close"),
    ],
)
def test_every_kind_of_frame_is_read(message: dict[str, Any], kind: str) -> None:
    """And belongs to the session of the path, where it belongs to one."""
    frame = one(message)
    assert frame.WhichOneof("frame") == kind
    inner = getattr(frame, kind)
    if "session_id" in inner.DESCRIPTOR.fields_by_name:
        assert inner.session_id == "s1"


def test_null_in_an_update_removes() -> None:
    """As in REST's merge patch."""
    update = one({"update": {"opId": "a", "title": None, "metadata": {"k": None}}}).update
    assert update.clear_title
    assert not update.metadata["k"].HasField("value")


@pytest.mark.parametrize(
    ("message", "bad"),
    [
        ({"append": {}}, {"opId", "content"}),
        ({"append": {"opId": 1, "content": 2, "x": 3}}, {"opId", "content", "x"}),
        ({"append": {"opId": "a", "content": None}}, {"content"}),
        ({"append": {"opId": "a", "content": "x", "sessionId": "s2"}}, {"sessionId"}),
        ({"append": {"opId": "a", "content": "x", "sender": "USER"}}, {"sender"}),
        ({"append": {"op_id": "a", "content": "x"}}, {"op_id", "opId"}),
        ({"append": {"opId": "a", "content": "x"}, "since": "1"}, {"since"}),
        ({"append": {"opId": "a", "content": "x"}, "since": None}, {"since"}),
        ({"append": {"opId": "a", "content": "x"}, "since": 2**63}, {"since"}),
        ({"append": {"opId": "a", "content": "\ud800"}}, {"content"}),
        ({"token": {}}, {"turnId", "offset", "text"}),
        ({"endTurn": {"opId": "a"}}, {"turnId", "length"}),
        ({"presence": {"typing": "yes"}}, {"typing"}),
        ({"ping": None}, {"ping"}),
        ({"ping": []}, {"ping"}),
        ({"attach": {"sessionId": "s1"}}, {"attach"}),
        ({"detach": {}}, {"detach"}),
    ],
)
def test_every_bad_field_is_named(message: dict[str, Any], bad: set[str]) -> None:
    """All at once, as their sender wrote them; what kind of frame it was is still known."""
    assert set(faults(message)) == bad


def test_a_bad_change_is_refused_under_its_operation_id() -> None:
    """Its sender waits for a reply."""
    (found,) = said({"append": {"opId": "a", "nothing": 1}})
    assert (found.kind, found.op_id) == ("append", "a")


@pytest.mark.parametrize(
    ("message", "named"),
    [
        ({}, []),
        ({"since": 1}, []),
        ({"hallo": {}}, ["hallo"]),
        ({"hallo": {}, "x": 1, "ping": {}}, ["hallo", "x"]),
        ({"ping": {}, "close": {}}, ["close"]),
        ({"batch": {}}, ["batch"]),
        ({"batch": [], "ping": {}}, ["ping"]),
        ({"batch": [1]}, ["batch.0"]),
        ({"batch": [{"batch": []}]}, ["batch.0.batch"]),
        ({"batch": [{"ping": {}}, {"hallo": {}}]}, ["batch.1.hallo"]),
        ([], []),
        ("x", []),
        (1, []),
    ],
)
def test_what_is_no_frame_is_refused_as_a_whole(message: Any, named: list[str]) -> None:
    """Nobody can tell what it was to say."""
    assert unreadable(message) == named


@pytest.mark.parametrize(
    "text",
    ["{", '{"ping": {}', "\x00", '{"ping": NaN}', '{"ping": {"payload": 1e999}}', "[" * 100_000],
)
def test_damaged_json_is_refused(text: str) -> None:
    """By where it breaks, and never by what the parser says."""
    with pytest.raises(InvalidArgument) as caught:
        list(read_frames(text, "s1"))
    assert caught.value.detail.startswith("The frame ")


def test_a_name_given_twice_is_refused() -> None:
    """As in the bodies of REST."""
    with pytest.raises(InvalidArgument) as caught:
        list(read_frames('{"append": {"opId": "a", "opId": "b", "content": "x"}}', "s1"))
    assert [each.field for each in caught.value.violations] == ["append.opId"]


def test_the_deepest_object_that_a_message_may_have_is_read_from_a_batch() -> None:
    """64 levels of its own; what is deeper is not parsed."""
    deep: Any = {}
    for _ in range(63):
        deep = {"a": deep}
    change = {"append": {"opId": "a", "content": "x", "metadata": deep}}
    (found,) = said({"batch": [change]})
    assert found.refused is None
    change["append"]["metadata"] = {"a": deep}
    assert unreadable({"batch": [change]}) == []


def test_a_batch_counts_up_to_the_frame_that_is_none() -> None:
    """Frames in order, as if each had come alone."""
    frames = read_frames('{"batch": [{"ping": {}}, {"hallo": {}}, {"close": {}}]}', "s1")
    assert next(frames).kind == "ping"
    with pytest.raises(InvalidArgument):
        next(frames)


# --- what is shown ---------------------------------------------------------------------------


def shown(frame: ServerFrame) -> Any:
    return json.loads(show_frames([for_browsers(frame)]))


def test_an_event_is_shown_exactly() -> None:
    """64-bit numbers as numbers, times as REST shows them, messages as REST shows them."""
    at = Timestamp(seconds=1795361988, nanos=123_999_999)
    event = event_pb2.Event(
        session_id="s1",
        seq=2**53 + 1,
        time=at,
        actor=event_pb2.Actor(subject="alice", role="user"),
        op_id="a",
        session_paused=event_pb2.SessionPaused(),
    )
    assert shown(ServerFrame(event=event)) == {
        "event": {
            "sessionId": "s1",
            "seq": 2**53 + 1,
            "time": "2026-11-22T15:39:48.123Z",
            "actor": {"subject": "alice", "role": "user", "actingFor": ""},
            "opId": "a",
            "sessionPaused": {},
        }
    }


def test_a_part_of_a_snapshot_shows_only_what_it_holds() -> None:
    """Inputs that another part holds are not {} here."""
    part = live_pb2.Snapshot(session_id="s1", log_id="0" * 16, seq=3)
    part.messages.messages.add(id="m", content="x", seq=2)
    assert set(shown(ServerFrame(snapshot=part))["snapshot"]) == {
        "sessionId",
        "logId",
        "seq",
        "last",
        "messages",
    }
    inputs = live_pb2.Snapshot(user_inputs=session_pb2.JsonObject(text='{"n":1.0}'), last=True)
    assert shown(ServerFrame(snapshot=inputs))["snapshot"]["userInputs"] == {"n": 1.0}


def test_addresses_of_owners_stay_in_our_network() -> None:
    """They are of no use to a browser."""
    attached = live_pb2.Attached(session_id="s1", owner="10.0.0.7:1")
    goaway = live_pb2.Goaway(reason="SESSION_MOVED", owner="10.0.0.7:1")
    for frame in (ServerFrame(attached=attached), ServerFrame(goaway=goaway)):
        assert "10.0.0.7" not in json.dumps(shown(frame))


def test_bad_fields_of_a_frame_are_named_as_in_json() -> None:
    """Live names them as in the proto."""
    error = live_pb2.Error(code="INVALID_ARGUMENT")
    for field in ("op_id", "user_inputs.my_key", "metadata.my_key", "content", "since"):
        error.errors.add(field=field, message="m")
    reply = shown(ServerFrame(reply=live_pb2.Reply(op_id="a", error=error)))["reply"]
    assert [each["field"] for each in reply["error"]["errors"]] == [
        "opId",
        "userInputs.my_key",
        "metadata.my_key",
        "content",
        "since",
    ]


def test_several_frames_are_a_batch() -> None:
    """In their order; one alone is just itself."""
    frames = [
        ServerFrame(pong=live_pb2.Pong(payload="p")),
        ServerFrame(caught_up=live_pb2.CaughtUp(session_id="s1", seq=4)),
    ]
    assert json.loads(show_frames(frames)) == {
        "batch": [{"pong": {"payload": "p"}}, {"caughtUp": {"sessionId": "s1", "seq": 4}}]
    }
    assert show_frame(frames[1])[0] == "caughtUp"
