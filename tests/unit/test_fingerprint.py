"""Fingerprints of changes: how a repeated operation id is told from a reused one."""

from __future__ import annotations

import hashlib
import json
from dataclasses import fields, replace
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessiond.session.changes import (
    AbandonTurn,
    AppendMessage,
    ApproveOutput,
    BeginTurn,
    CancelTurn,
    Change,
    CreateSession,
    DeleteSession,
    EditOutput,
    EndTurn,
    ForkSession,
    ImportSession,
    PauseSession,
    ResumeSession,
    SetHold,
    SubmitOutput,
    UpdateSession,
    fingerprint,
)
from sessiond.session.state import Decision, MessageType, Sender, TurnOutcome
from tests.unit.asking import changes, objects, texts

# They stand in etcd beside every record. A new value here breaks retries across an upgrade.
GOLDEN: list[tuple[CreateSession | ForkSession | ImportSession | Change, str]] = [
    (CreateSession(), "6854996f6d96114ee92c616e807a225e"),
    (
        CreateSession("chat", '{"a":1}', "T", {"k": "v"}, "s-1"),
        "015d4a7fd32d2c9559918ed09ec3f582",
    ),
    (AppendMessage("Hi"), "3f49c8e849ebbf709107f80695e054c0"),
    (
        AppendMessage("Привет", Sender.AGENT, MessageType.TEXT, "a", "{}"),
        "c8338e2880e07e15f8e14800cdcb6cc1",
    ),
    (UpdateSession(metadata={"b": None, "a": "1"}), "c6f37f7867de22a0eb68c4c33539854a"),
    (ApproveOutput(), "afba8978e3c4f8ad6a8d5794fb7766c6"),
    (SubmitOutput("x", quality_score=0.1), "391495a679b08545d11a9cd5ffaa3c3c"),
    (EditOutput("o-1", content="x"), "e1b94b4a1bb4846408fc257447457eb6"),
    (PauseSession(), "f8a749474a160989b0452369e28fffe6"),
    (ResumeSession(), "eb3bb34218611084e8737ab7e1e48177"),
    (BeginTurn(), "00ce21aeafc529ae40052b6852e81042"),
    (BeginTurn("a"), "d989b3860c677745ec1f5619b6ecb349"),
    (EndTurn("t", 5), "62ed90b1ae4cb46d862f2b220418762a"),
    (EndTurn("t", 5, failed=True, metadata="{}"), "bcb743f905385cb8949b3ad2f4625282"),
    (CancelTurn("t"), "02c27b6f449833d702320c949506b19a"),
    (AbandonTurn("t", TurnOutcome.INTERRUPTED), "12f4ae139dea621378190dbecca65a5b"),
    (SetHold(True), "52666b116ca3a03c61fc6a6f0f48f38b"),
    (SetHold(False, "case 7"), "7a6a01ccea15ab3588fb5245f2431c2c"),
    (DeleteSession(), "ce76d4f7ff81d63c6d48322f43aa32c8"),
    (ForkSession("s-1"), "151c2aa3f412dbea71254ab7a4b1cdd1"),
    (ForkSession("s-1", 7, "s-2"), "e0dc09793e63a109183f284ca8620475"),
    (ImportSession("s-1", 7), "7a1ece749b1bda0e1c7c11e631cb9600"),
]


@pytest.mark.parametrize(("change", "golden"), GOLDEN)
def test_a_fingerprint_stays_what_it_is(change: Change, golden: str) -> None:
    """Across versions, processes and machines."""
    assert fingerprint(change).hex() == golden


@given(
    changes
    | st.builds(
        CreateSession, st.none() | texts, objects, texts, st.dictionaries(texts, texts), texts
    )
)
def test_a_fingerprint_is_the_hash_of_the_change_as_json(change: CreateSession | Change) -> None:
    """Kind and fields as a JSON encoder writes them: keys in order, no blanks, ASCII alone."""
    fields = {name: getattr(change, name) for name in change.__match_args__}
    given = {name: value for name, value in fields.items() if value is not None}
    text = json.dumps([type(change).__name__, given], sort_keys=True, separators=(",", ":"))
    assert fingerprint(change) == hashlib.blake2b(text.encode(), digest_size=16).digest()


def test_equal_changes_have_equal_fingerprints() -> None:
    """The order of keys says nothing."""
    one = UpdateSession(metadata={"a": "1", "b": None})
    other = UpdateSession(metadata={"b": None, "a": "1"})
    assert fingerprint(one) == fingerprint(other)


DIFFERENT = [
    *(change for change, _ in GOLDEN),
    AppendMessage("hi"),
    AppendMessage("Hi", agent_id=""),
    AppendMessage("Hi", metadata=""),
    UpdateSession(),
    UpdateSession(title=""),
    UpdateSession(metadata={"a": "1"}),
    UpdateSession(metadata={"a": "1", "b": ""}),
    UpdateSession(clear_metadata=True),
    UpdateSession(clear_user_inputs=True),
    ApproveOutput(decision=Decision.REJECTED),
    ApproveOutput("o-1"),
    ApproveOutput(feedback="o-1"),
    SubmitOutput("x", quality_score=0.1 + 2**-56),
    EditOutput("o-1", metadata="x"),
    EndTurn("t", 6),
    EndTurn("u", 5),
    CancelTurn("u"),
    AbandonTurn("t", TurnOutcome.FAILED),
]


def test_different_changes_have_different_fingerprints() -> None:
    """In kind, in a field, in a value, in what is absent and what is empty."""
    for one, other in combinations(DIFFERENT, 2):
        assert fingerprint(one) != fingerprint(other), (one, other)


def test_every_field_that_is_given_counts() -> None:
    """No field of a change is forgotten."""
    change = SubmitOutput("x", "o", "a", 1.0, "{}")
    given: dict[str, Any] = {member.name: "z" for member in fields(change)}
    given["quality_score"] = 2.0
    for name, value in given.items():
        assert fingerprint(replace(change, **{name: value})) != fingerprint(change)
