"""Ids that the server gives."""

from __future__ import annotations

from uuid import RFC_4122, UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessiond.session.checks import SESSION_ID
from sessiond.session.identifiers import uuid7, uuid8


def test_a_uuid7_is_as_the_rfc_shows_it() -> None:
    """The example of RFC 9562, appendix A.6."""
    random_bits = (0xCC3).to_bytes(2, "big") + (0x18C4DC0C0C07398F).to_bytes(8, "big")
    assert uuid7(0x017F22E279B0, random_bits) == "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"


def test_a_uuid8_keeps_the_hash_around_version_and_variant() -> None:
    """122 bits are the hash's."""
    assert uuid8(b"\xff" * 16) == "ffffffff-ffff-8fff-bfff-ffffffffffff"
    assert uuid8(b"\x00" * 32) == "00000000-0000-8000-8000-000000000000"


@given(st.integers(0, (1 << 48) - 1), st.binary(min_size=10, max_size=10))
def test_every_uuid7_is_a_session_id_of_its_version(now_ms: int, random_bytes: bytes) -> None:
    """Whatever the time and the chance."""
    made = uuid7(now_ms, random_bytes)
    assert SESSION_ID.fullmatch(made)
    assert (UUID(made).version, UUID(made).variant) == (7, RFC_4122)


@given(st.lists(st.integers(0, (1 << 48) - 1), min_size=2))
def test_uuid7s_sort_by_time(times: list[int]) -> None:
    """The text's order is the order of milliseconds."""
    made = [uuid7(time, b"\x55" * 10) for time in times]
    assert sorted(made) == [uuid7(time, b"\x55" * 10) for time in sorted(times)]


@pytest.mark.parametrize(
    ("now_ms", "random_bytes"), [(-1, b"x" * 10), (1 << 48, b"x" * 10), (0, b"x" * 9)]
)
def test_a_uuid7_of_something_else_is_our_fault(now_ms: int, random_bytes: bytes) -> None:
    """A time beyond 48 bits or too little chance never makes an id."""
    with pytest.raises(ValueError, match="UUIDv7"):
        uuid7(now_ms, random_bytes)


def test_a_uuid8_of_a_short_hash_is_our_fault() -> None:
    """15 bytes are too few."""
    with pytest.raises(ValueError, match="16 bytes"):
        uuid8(b"x" * 15)
