"""Forms of single fields, at their edges."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sessiond.errors import Violations
from sessiond.session.checks import (
    check_op_id,
    check_page_size,
    check_revision,
    check_session_id,
    check_tail,
    check_user_id,
)


def good(check: Callable[[Any, str, Violations], object], value: object) -> bool:
    found = Violations()
    check(value, "field", found)
    assert {violation.field for violation in found.found} <= {"field"}
    return not found.found


@pytest.mark.parametrize("length", [1, 127, 128, 129])
def test_ids_are_at_most_128_bytes(length: int) -> None:
    """Sessions, users and operations alike; a user's bytes are those of UTF-8."""
    for check in (check_session_id, check_user_id, check_op_id):
        assert good(check, "x" * length) is (length <= 128)
    assert good(check_user_id, "é" * (length // 2) + "x" * (length % 2)) is (length <= 128)


@pytest.mark.parametrize("value", ["", "x" * 10_240, "a\0", "a\n", "\x7f", "\x85", "\ud800"])
def test_no_id_is_empty_huge_or_unprintable(value: str) -> None:
    """Whatever it is the id of."""
    for check in (check_session_id, check_user_id, check_op_id):
        assert not good(check, value)


@pytest.mark.parametrize(
    "value", ["a:b", "a/b", "a%2Fb", "..", "Жанна", "a b", "a@b.example", "😀"]
)
def test_a_user_id_holds_anything_that_prints(value: str) -> None:
    """Users are named by others than us."""
    assert good(check_user_id, value)


@pytest.mark.parametrize(("value", "fits"), [("a b~!", True), ("é", False), ("a\t", False)])
def test_an_operation_id_is_printable_ascii(value: str, fits: bool) -> None:
    """It travels in headers; none at all is good."""
    assert good(check_op_id, value) is fits
    assert good(check_op_id, None)


@pytest.mark.parametrize(
    ("value", "fits"),
    [(-1, False), (0, False), (1, True), (999, True), (1000, True), (1001, False)],
)
def test_a_page_holds_1_to_1000(value: int, fits: bool) -> None:
    """50 where nothing is said."""
    assert good(check_page_size, value) is fits
    assert check_page_size(value, "page_size", Violations()) == value
    assert check_page_size(None, "page_size", Violations()) == 50


@pytest.mark.parametrize(
    ("value", "tail", "revision"), [(-1, False, False), (0, True, False), (1, True, True)]
)
def test_a_tail_is_from_0_and_a_revision_from_1(value: int, tail: bool, revision: bool) -> None:
    """And none at all is good."""
    assert good(check_tail, value) is tail
    assert good(check_revision, value) is revision
    assert good(check_tail, None)
    assert good(check_revision, None)
