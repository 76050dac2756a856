"""Whom a command asks, by its options."""

from __future__ import annotations

from pathlib import Path

import pytest

from sessiond.cli.connection import addresses, tls_of
from sessiond.cli.failures import CommandFailure, told
from sessiond.client.channels import Tls
from sessiond.errors import (
    FieldViolation,
    InvalidArgument,
    SessiondError,
    SessionNotFound,
    Unavailable,
)
from tests.cli.running import run
from tests.e2e.system import plain_environ


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, ("127.0.0.1:7301",)),
        ("", ("127.0.0.1:7301",)),
        ("a:1", ("a:1",)),
        (" a:1, b:2,,", ("a:1", "b:2")),
    ],
)
def test_addresses_are_a_list_by_commas(given: str | None, expected: tuple[str, ...]) -> None:
    """Without any it is this machine, at the port of `make run`."""
    assert addresses(given, "7301") == expected


def test_tls_is_spoken_where_anything_of_it_is_asked_for(tmp_path: Path) -> None:
    """With the system's authorities, or with those given, and with a certificate of one's own."""
    for name in ("ca", "cert", "key"):
        (tmp_path / name).write_text(name)
    ca, cert, key = (tmp_path / name for name in ("ca", "cert", "key"))
    assert tls_of(tls=False, ca=None, cert=None, key=None) is None
    assert tls_of(tls=True, ca=None, cert=None, key=None) == Tls()
    assert tls_of(tls=False, ca=ca, cert=cert, key=key) == Tls(b"ca", b"cert", b"key")
    with pytest.raises(CommandFailure, match="No such file"):
        tls_of(tls=False, ca=tmp_path / "none", cert=None, key=None)


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (SessionNotFound(), "SESSION_NOT_FOUND: There is no such session."),
        (SessionNotFound("two\nlines"), "SESSION_NOT_FOUND: two lines"),
        (Unavailable("Gone."), "UNAVAILABLE: Gone. (asked a:1)"),
        (
            InvalidArgument([FieldViolation("a", "must be x"), FieldViolation("b", "must be y")]),
            "INVALID_ARGUMENT: a must be x; b must be y",
        ),
        (InvalidArgument(detail="No."), "INVALID_ARGUMENT: No."),
    ],
)
def test_a_failure_is_told_by_its_name(failure: SessiondError, expected: str) -> None:
    """On one line; with the addresses where nobody answered."""
    assert told(failure, "a:1") == expected


async def test_nobody_who_answers_is_told_within_the_time(tmp_path: Path) -> None:
    """Which addresses were asked, too."""
    environ = {**plain_environ(), "SESSIOND_TOKEN": "x", "SESSIOND_USER": "alice"}
    nobody = ("--store", "127.0.0.1:1", "--live", "127.0.0.1:2", "--timeout", "0.3")
    done = await run(("sessions", "list", "--of", "alice", *nobody), environ)
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("UNAVAILABLE: ")
    assert done.err.endswith("(asked 127.0.0.1:1, 127.0.0.1:2)\n")
