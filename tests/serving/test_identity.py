"""Whom a service acts for, and in whose name our parts call."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.serving import context
from services.serving.claims import acting_for, decode_user, encode_user, is_user_id
from services.serving.context import Call
from services.serving.identity import PartIdentity
from sessiond.errors import InvalidArgument, PermissionDenied, Unauthenticated, Unavailable
from sessiond.session.access import Identity, Role
from tests.serving.tokens import Clock


@given(st.text(min_size=1, max_size=128).filter(is_user_id))
def test_every_user_id_travels_in_ascii(user: str) -> None:
    """`sessiond-user` is percent-encoded UTF-8, since metadata and headers carry ASCII."""
    encoded = encode_user(user)
    assert encoded.isascii()
    assert encoded.isprintable()
    assert " " not in encoded
    assert decode_user(encoded) == user


def test_a_plain_id_may_come_as_it_is() -> None:
    """An email address needs no care."""
    assert decode_user("alice@example.com") == "alice@example.com"
    assert decode_user("a%2Fb%25%3A") == "a/b%:"


@pytest.mark.parametrize(
    "value",
    ["", "100%", "%", "%2", "%zz", "%ff", "%00", "%0A", "a b", "ü", "a" * 129, "%C3%BC" * 65],
)
def test_what_is_no_user_id_is_named_as_a_bad_field(value: str) -> None:
    """A service hears what is wrong with the name that it gave."""
    with pytest.raises(InvalidArgument) as refused:
        decode_user(value)
    assert refused.value.violations[0].field == "sessiond-user"


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.SERVICE])
def test_only_a_service_acts_for_a_user(role: Role) -> None:
    """An administrator does not either: it acts in its own name."""
    with pytest.raises(PermissionDenied):
        acting_for(Identity("x", role), "alice")
    assert acting_for(Identity("crm", Role.SERVICE), "al%C3%AFce").user_id == "alïce"


def test_a_parts_token_is_read_again_when_its_file_changed(tmp_path: Path, clock: Clock) -> None:
    """Whoever issues tokens replaces the file; the last token serves while it cannot be read."""
    path = tmp_path / "live.jwt"
    identity = PartIdentity(path, clock=clock)
    with pytest.raises(Unavailable):
        identity.token()
    path.write_text("one\n")
    clock.now += 1
    assert identity.metadata() == (("authorization", "Bearer one"),)
    path.write_text("three")
    assert identity.token() == "one", "the file is looked at once a second"
    clock.now += 1
    assert identity.token() == "three"
    for break_it in (path.unlink, lambda: path.write_text(""), lambda: path.write_bytes(b"\xff")):
        break_it()
        clock.now += 1
        assert identity.token() == "three"


def test_a_call_is_passed_on_in_the_callers_name(tmp_path: Path, clock: Clock) -> None:
    """The token, the request id and the user acted for go along; a part can also use its own."""
    identity = Identity("crm", Role.SERVICE, acting_for="a/ü")
    call = Call("r-1", identity, "tok")
    assert call.metadata() == (
        ("x-request-id", "r-1"),
        ("authorization", "Bearer tok"),
        ("sessiond-user", "a%2F%C3%BC"),
    )
    assert "tok" not in repr(call)
    path = tmp_path / "live.jwt"
    path.write_text("own")
    with context.during(call):
        assert context.current_identity() is identity
        assert PartIdentity(path, clock=clock).metadata() == (
            ("x-request-id", "r-1"),
            ("authorization", "Bearer own"),
        )
    assert context.current_call() is None
    assert context.current_request_id() == ""
    with pytest.raises(Unauthenticated):
        context.current_identity()
