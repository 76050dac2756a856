"""What the command reads and prints as JSON."""

from __future__ import annotations

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from sessiond.cli import json_form
from sessiond.errors import InvalidArgument
from sessiond.v1.live_pb2 import AppendMessageRequest, UpdateSessionRequest
from sessiond.v1.session_pb2 import JsonObject, Session


def test_an_answer_is_one_line_whatever_its_free_objects_hold() -> None:
    """A free object may hold line breaks; the line has none, and integers stay whole."""
    session = Session(id="s", last_active=Timestamp(seconds=1_700_000_000))
    session.user_inputs.CopyFrom(JsonObject(text='{\n"n":\r\n123456789012345678901}'))
    line = json_form.line(session)
    assert "\n" not in line and "\r" not in line
    assert "123456789012345678901" in line
    assert '"lastActive":"2023-11-14T22:13:20.000Z"' in line


def test_a_request_is_read_in_the_words_of_the_contract() -> None:
    """camelCase names, words in lower case, free objects as they stand."""
    request = AppendMessageRequest()
    json_form.fill(request, '{"sessionId":"s","content":"hi","metadata":{"n":1.0}}')
    assert (request.session_id, request.content) == ("s", "hi")
    assert request.metadata.text == '{"n":1.0}'


def test_a_null_clears() -> None:
    """Merge patch: null is a value of its own, not absence."""
    request = UpdateSessionRequest()
    json_form.fill(request, '{"sessionId":"s","title":null}')
    assert request.clear_title and not request.HasField("title")


def test_every_bad_field_is_named() -> None:
    """One failure tells all that is wrong with a request."""
    with pytest.raises(InvalidArgument) as raised:
        json_form.fill(AppendMessageRequest(), '{"content":1,"nothing":2}')
    assert {each.field for each in raised.value.violations} == {"content", "nothing"}


@pytest.mark.parametrize("text", ["[]", "nonsense", '"text"', "{", "{} {}", '{"a":NaN}', "\udc80"])
def test_what_is_no_object_is_refused_by_its_name(text: str) -> None:
    """Whatever stands there, the answer names it, and is a failure of the catalogue."""
    with pytest.raises(InvalidArgument) as raised:
        json_form.object_of(text, "metadata")
    assert any(
        "metadata" in f"{each.field} {each.message}" for each in raised.value.violations
    ) or ("metadata" in raised.value.detail)
