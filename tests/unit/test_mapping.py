"""The JSON mapping: what is shown, and that reading undoes showing."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from sessiond.errors import Violations
from sessiond.mapping.reading import ObjectReader
from sessiond.mapping.showing import to_json
from sessiond.mapping.spelling import json_path, words
from sessiond.v1 import live_pb2, session_pb2, store_pb2

TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)
OBJECTS = st.dictionaries(
    TEXTS,
    st.recursive(
        st.none() | st.booleans() | st.integers() | TEXTS | st.floats(allow_nan=False, width=32),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
        max_leaves=6,
    ),
    max_size=3,
).filter(lambda found: "inf" not in json.dumps(found).lower())


def test_an_empty_session_shows_every_field_that_is_always_there() -> None:
    """Nothing without presence is left out, and the inputs are an object."""
    assert json.loads(to_json(session_pb2.Session())) == {
        "id": "",
        "userId": "",
        "workflowId": "",
        "status": "unspecified",
        "currentAgent": "",
        "currentStep": 0,
        "userInputs": {},
        "agentOutputs": {},
        "conversationHistory": [],
        "title": "",
        "metadata": {},
        "revision": 0,
    }


def test_a_full_session_is_shown_exactly() -> None:
    """Names in camelCase, times in UTC with milliseconds, words in lower case."""
    at = Timestamp(seconds=1795361988, nanos=123_999_999)
    output = session_pb2.Output(
        agent_id="a",
        step_id="s",
        status=session_pb2.OUTPUT_STATUS_APPROVED,
        content="c",
        quality_score=0.5,
        user_feedback="",
        generated_at=at,
        approved_at=at,
        approved_by="alice",
        metadata=session_pb2.JsonObject(text='{"n": 10000000000000000000000}'),
    )
    message = session_pb2.Message(
        id="m",
        session_id="x",
        sender=session_pb2.SENDER_AGENT,
        agent_id="a",
        type=session_pb2.MESSAGE_TYPE_APPROVAL_REQUEST,
        content="héllo\0",
        metadata=session_pb2.JsonObject(),
        timestamp=at,
        seq=2**53 + 1,
    )
    progress = session_pb2.Progress(total_steps=8, stage_progress={"z": 1.0, "a": 0.25})
    session = session_pb2.Session(
        id="x",
        status=session_pb2.SESSION_STATUS_COMPLETED,
        created_at=at,
        user_inputs=session_pb2.JsonObject(text='{"é": [1, 2.0]}'),
        agent_outputs={"o2": output, "o1": session_pb2.Output()},
        conversation_history=[message],
        progress=progress,
        metadata={"b": "2", "a": "1"},
        revision=2**63 - 1,
    )
    shown = to_json(session).decode()
    assert '"userInputs":{"é": [1, 2.0]}' in shown
    assert '"metadata":{"n": 10000000000000000000000}' in shown
    assert '"metadata":{"a":"1","b":"2"}' in shown
    assert '"revision":9223372036854775807' in shown
    found = json.loads(shown)
    time = "2026-11-22T15:39:48.123Z"
    assert found["createdAt"] == time
    assert "lastActive" not in found
    assert list(found["agentOutputs"]) == ["o1", "o2"]
    assert found["agentOutputs"]["o2"] == {
        "agentId": "a",
        "stepId": "s",
        "status": "approved",
        "content": "c",
        "qualityScore": 0.5,
        "userFeedback": "",
        "generatedAt": time,
        "approvedAt": time,
        "approvedBy": "alice",
        "metadata": {"n": 10**22},
    }
    assert found["conversationHistory"] == [
        {
            "id": "m",
            "sessionId": "x",
            "sender": "agent",
            "agentId": "a",
            "type": "approval_request",
            "content": "héllo\0",
            "metadata": {},
            "timestamp": time,
            "seq": 2**53 + 1,
        }
    ]
    assert found["progress"] == {
        "totalSteps": 8,
        "completedSteps": 0,
        "currentStepId": "",
        "estimatedTimeRemaining": 0,
        "stageProgress": {"a": 0.25, "z": 1.0},
    }


@pytest.mark.parametrize(
    ("seconds", "nanos", "text"),
    [
        (0, 0, "1970-01-01T00:00:00.000Z"),
        (0, 999_999, "1970-01-01T00:00:00.000Z"),
        (0, 1_000_000, "1970-01-01T00:00:00.001Z"),
        (1709164799, 999_000_000, "2024-02-28T23:59:59.999Z"),
        (1709164800, 0, "2024-02-29T00:00:00.000Z"),
        (253402300799, 0, "9999-12-31T23:59:59.000Z"),
    ],
)
def test_times_have_milliseconds(seconds: int, nanos: int, text: str) -> None:
    """Always three digits, and never rounded up into the future."""
    session = session_pb2.Session(created_at=Timestamp(seconds=seconds, nanos=nanos))
    assert json.loads(to_json(session))["createdAt"] == text


def test_every_word_of_every_enum_is_its_own() -> None:
    """No two values share a word, and the unspecified one cannot be asked for."""
    for file in (session_pb2.DESCRIPTOR, store_pb2.DESCRIPTOR, live_pb2.DESCRIPTOR):
        for enum in file.enum_types_by_name.values():
            found = words(enum)
            assert len(set(found.by_number.values())) == len(enum.values)
            assert "unspecified" not in found.by_word
            assert all(word == word.lower() for word in found.by_word)


def read(message: Any, found: dict[str, Any]) -> list[tuple[str, str]]:
    """Fill a message, and return the violations."""
    violations = Violations()
    ObjectReader(message.DESCRIPTOR).fill(message, found, violations)
    return [(each.field, each.message) for each in violations.found]


@given(
    content=TEXTS,
    sender=st.none() | st.sampled_from(["user", "agent", "system"]),
    metadata=st.none() | OBJECTS,
)
def test_what_is_read_is_shown_again(
    content: str, sender: str | None, metadata: dict[str, Any] | None
) -> None:
    """Reading and showing are each other's inverse for everything a request can say."""
    given = {"sessionId": "s", "content": content, "sender": sender, "metadata": metadata}
    body = {key: value for key, value in given.items() if value is not None}
    request = live_pb2.AppendMessageRequest()
    assert read(request, body) == []
    assert json.loads(to_json(request)) == body


@given(st.dictionaries(TEXTS, TEXTS | st.none(), max_size=5))
def test_a_map_of_texts_and_nulls_is_read_and_shown(metadata: dict[str, str | None]) -> None:
    """A merge patch's null stays one."""
    request = live_pb2.UpdateSessionRequest()
    assert read(request, {"sessionId": "s", "metadata": metadata}) == []
    assert json.loads(to_json(request))["metadata"] == metadata


@given(
    st.dictionaries(
        st.sampled_from(["content", "sender", "type", "agentId", "metadata", "x", "\ud800"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
            lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner),
            max_leaves=4,
        ),
    )
)
def test_whatever_json_says_it_is_read_or_refused(found: dict[str, Any]) -> None:
    """No value is a fault of ours, and what is refused is named."""
    request = live_pb2.AppendMessageRequest()
    try:
        violations = read(request, {"sessionId": "s"} | found)
    except ValueError as error:  # NaN and infinities are refused by the parser, before this
        assert "Out of range float" in str(error)
        return
    assert all(field.split(".")[0] in {*found, "content"} for field, _ in violations)
    orjson.loads(to_json(request))


@pytest.mark.parametrize("value", [True, 1.0, "1", 2**31, -(2**31) - 1, [1], {}])
def test_an_integer_is_an_integer_of_its_size(value: object) -> None:
    """Neither a bool nor a float is one, and nothing wraps around."""
    message = store_pb2.ListSessionsRequest()
    violations = read(message, {"userId": "u", "pageSize": value})
    assert [field for field, _ in violations] == ["pageSize"]


@pytest.mark.parametrize("value", [-(2**31), -1, 0, 2**31 - 1])
def test_an_integer_within_its_size_is_read(value: int) -> None:
    """The whole range of the type is open; limits are the rules' matter."""
    message = store_pb2.ListSessionsRequest()
    assert read(message, {"userId": "u", "pageSize": value}) == []
    assert message.page_size == value


@pytest.mark.parametrize(
    ("path", "spelled"),
    [
        ("user_inputs", "userInputs"),
        ("user_inputs.a_b", "userInputs.a_b"),
        ("metadata.user_inputs", "metadata.user_inputs"),
        ("op_id", "Idempotency-Key"),
        ("", ""),
        ("nothing.at_all", "nothing.at_all"),
    ],
)
def test_paths_of_fields_are_spelled_as_in_json(path: str, spelled: str) -> None:
    """Only names of the contract change; a caller's own keys stay."""
    assert json_path(live_pb2.UpdateSessionRequest.DESCRIPTOR, path) == spelled
