"""Parts that were encoded before: what is joined of them decodes to the same message."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sessiond.encoding import as_field, field_tag
from sessiond.v1.live_pb2 import Pong, ServerFrame

BATCH = field_tag(ServerFrame.BATCH_FIELD_NUMBER)
PONG = field_tag(ServerFrame.PONG_FIELD_NUMBER)


@given(st.lists(st.integers(0, 40_000).map("x".__mul__), max_size=4))
def test_fields_that_are_joined_are_one_message(payloads: list[str]) -> None:
    """However long the parts are, they are read as if the whole had been encoded at once."""
    pongs = [Pong(payload=payload) for payload in payloads]
    joined = b"".join(as_field(BATCH, as_field(PONG, pong.SerializeToString())) for pong in pongs)
    assert ServerFrame.FromString(joined) == ServerFrame(
        batch=[ServerFrame(pong=pong) for pong in pongs]
    )


def test_a_tag_holds_any_field_number() -> None:
    """Numbers from 16 on take a second byte, as protobuf has it."""
    assert field_tag(1) == b"\x0a"
    assert field_tag(15) == b"\x7a"
    assert field_tag(16) == b"\x82\x01"
