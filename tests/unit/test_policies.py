"""Policies: what is due, and files that say so badly."""

from __future__ import annotations

from pathlib import Path

import pytest

from sessiond.policies import BadPolicies, Policy, covering, due, load_policies
from sessiond.session.state import Status
from sessiond.v1.session_pb2 import (
    SESSION_STATUS_ACTIVE,
    SESSION_STATUS_COMPLETED,
    SessionStatus,
    SessionSummary,
)
from sessiond.wire import set_timestamp

DAY_MS = 86_400_000
NOW_MS = 1_800_000_000_000

FILE = """
policies:
  - name: completed
    status: completed
    inactive_for: 90d
  - name: old-chats
    workflow: chat
    inactive_for: 12h
    age: 365d
  - name: trials
    age: 1d
    export: false
"""
COMPLETED = Policy("completed", Status.COMPLETED, None, 90 * DAY_MS)
OLD_CHATS = Policy("old-chats", None, "chat", DAY_MS // 2, 365 * DAY_MS)
TRIALS = Policy("trials", age_ms=DAY_MS, export=False)


def summary(
    *,
    status: SessionStatus.ValueType = SESSION_STATUS_COMPLETED,
    workflow_id: str = "master",
    inactive_ms: int = 0,
    age_ms: int = 0,
    held: bool = False,
) -> SessionSummary:
    made = SessionSummary(id="s-1", status=status, workflow_id=workflow_id, held=held or None)
    set_timestamp(made.last_active, NOW_MS - inactive_ms)
    set_timestamp(made.created_at, NOW_MS - max(inactive_ms, age_ms))
    return made


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "policies.yaml"


def test_a_file_lists_policies_in_order(path: Path) -> None:
    """Each with what it says, and any where it says nothing."""
    path.write_text(FILE)
    assert load_policies(path) == (COMPLETED, OLD_CHATS, TRIALS)


def test_a_file_that_is_not_there_is_named(path: Path) -> None:
    """By its path."""
    with pytest.raises(BadPolicies, match=r"policies\.yaml: cannot be read"):
        load_policies(path)


def test_a_session_is_due_when_it_stands_like_that_and_is_so_old() -> None:
    """To the millisecond, by its last change."""
    for inactive_ms, expected in ((90 * DAY_MS - 1, None), (90 * DAY_MS, COMPLETED)):
        assert due([COMPLETED], summary(inactive_ms=inactive_ms), NOW_MS) is expected
    active = summary(status=SESSION_STATUS_ACTIVE, inactive_ms=99 * DAY_MS)
    assert due([COMPLETED], active, NOW_MS) is None


def test_all_that_a_policy_says_counts() -> None:
    """Workflow, inactivity and age together."""
    for workflow_id, expected in (("chat", OLD_CHATS), ("other", None)):
        old = summary(workflow_id=workflow_id, inactive_ms=DAY_MS, age_ms=365 * DAY_MS)
        assert due([OLD_CHATS], old, NOW_MS) is expected
    assert due([OLD_CHATS], summary(workflow_id="chat", age_ms=400 * DAY_MS), NOW_MS) is None
    assert due([OLD_CHATS], summary(workflow_id="chat", inactive_ms=DAY_MS), NOW_MS) is None


def test_the_first_policy_that_covers_a_session_counts() -> None:
    """It names the operation, so the order of the file is the order of asking."""
    both = summary(workflow_id="chat", inactive_ms=400 * DAY_MS)
    assert due([COMPLETED, OLD_CHATS], both, NOW_MS) is COMPLETED
    assert due([OLD_CHATS, COMPLETED], both, NOW_MS) is OLD_CHATS
    assert due([], both, NOW_MS) is None


def test_a_held_session_is_never_due() -> None:
    """However old; what covers it is told apart."""
    held = summary(inactive_ms=9999 * DAY_MS, held=True)
    assert covering([COMPLETED], held, NOW_MS) is COMPLETED
    assert due([COMPLETED], held, NOW_MS) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("policies: [", "is not YAML, line 1"),
        ("[]", "must hold one mapping, of `policies` to a list"),
        ("policies: {}", "must hold one mapping, of `policies` to a list"),
        ("policies: []\nother: 1", "must hold one mapping, of `policies` to a list"),
        ("policies: [x]", "policy 1: must be a mapping"),
        ("policies: [{age: 1d}]", "policy 1: name: is required"),
        ("policies: [{name: a}]", "policy 1: inactive_for or age: is required"),
        ("policies: [{name: A b, age: 1d}]", "policy 1: name: must be 1 to 64 characters"),
        ("policies: [{name: a, age: 90}]", "policy 1: age: must be a number and s, m, h or d"),
        ("policies: [{name: a, age: -1d}]", "policy 1: age: must be a number and s, m, h or d"),
        ("policies: [{name: a, age: 1d, status: done}]", "status: must be one of active, paused"),
        ("policies: [{name: a, age: 1d, workflow: 1}]", "policy 1: workflow: must be a text"),
        ("policies: [{name: a, age: 1d, export: no thanks}]", "export: must be true or false"),
        ("policies: [{name: a, age: 1d, agee: 2d}]", "policy 1: agee: is not known"),
        ("policies: [{name: a, age: 1d}, {name: a, age: 2d}]", "a: is named twice"),
    ],
)
def test_a_bad_file_is_refused_with_what_is_wrong(path: Path, text: str, said: str) -> None:
    """A word that is misspelt must not make a policy wider than it was meant."""
    path.write_text(text)
    with pytest.raises(BadPolicies) as refused:
        load_policies(path)
    assert said in str(refused.value)


def test_all_that_is_wrong_is_told_at_once(path: Path) -> None:
    """One start names every bad line."""
    path.write_text("policies: [{name: 1, age: x}, {inactive_for: 1d, status: 5}]")
    with pytest.raises(BadPolicies) as refused:
        load_policies(path)
    assert len(refused.value.wrong) == 4
