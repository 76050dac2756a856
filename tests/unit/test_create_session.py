"""How a session begins, and how not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sessiond.errors import InvalidArgument, PermissionDenied
from sessiond.session.access import Identity, Role
from sessiond.session.apply import apply
from sessiond.session.events import Record, SessionCreated, SessionPaused
from sessiond.session.limits import DEFAULT_LIMITS
from sessiond.session.state import LastWord, Status
from tests.unit.stories import (
    ADMIN,
    ALICE,
    CHAT,
    CONSULTANT,
    MASTER,
    SERVICE,
    Story,
    bad_fields,
    created,
)


def test_a_session_begins_active_at_the_first_step() -> None:
    """Record 1 gives the whole first state."""
    session = Story(asked={"title": "Mine", "metadata": {"team": "a"}}).session
    assert (session.id, session.user_id, session.workflow) == ("s-1", "alice", MASTER)
    assert (session.status, session.current_step) == (Status.ACTIVE, 0)
    assert session.current_agent == "gtm-consultant"
    assert (session.title, session.title_given) == ("Mine", True)
    assert session.metadata == {"team": "a"}
    assert (session.user_inputs, session.inputs_seq, session.seq) == ("{}", 1, 1)
    assert session.created_ms == session.last_active_ms == 1_700_000_000_000
    assert (session.message_count, session.last_message, session.outputs) == (0, "", {})
    assert session.last_word is LastWord.NOBODY


def test_inputs_are_kept_as_they_were_written() -> None:
    """White space, order and long integers included."""
    text = '{ "budget": 12345678901234567890123,\n "a": 1.50 }'
    assert Story(asked={"user_inputs": text}).session.user_inputs == text


def test_a_plain_conversation_has_one_agent_and_no_steps() -> None:
    """Its progress is all zeroes."""
    session = Story(CHAT).session
    assert session.current_agent == "assistant"
    progress = session.progress
    assert (progress.total_steps, progress.completed_steps) == (0, 0)
    assert (progress.current_step_id, progress.estimated_time_remaining) == ("", 0)
    assert progress.stage_progress == {}


@pytest.mark.parametrize(
    ("identity", "owner"),
    [(ALICE, "alice"), (ADMIN, "root"), (SERVICE, "alice"), (Identity("ж:/%2F.."), "ж:/%2F..")],
)
def test_the_owner_is_the_verified_caller(identity: Identity, owner: str) -> None:
    """Oneself, or the user that a service acts for."""
    event = created(identity=identity)
    assert isinstance(event, SessionCreated)
    assert event.user_id == owner


@pytest.mark.parametrize(
    "identity",
    [
        CONSULTANT,
        Identity("crm", Role.SERVICE),
        Identity("live-1", Role.LIVE),
        Identity("gateway-1", Role.GATEWAY),
    ],
)
def test_who_owns_nothing_creates_nothing(identity: Identity) -> None:
    """Agents, our own parts, and services that act for nobody."""
    with pytest.raises(PermissionDenied):
        created(identity=identity)


def test_every_bad_field_is_named_at_once() -> None:
    """The caller repairs a request in one go."""
    with pytest.raises(InvalidArgument) as refused:
        created(
            workflow=None,
            session_id="a:b",
            identity=CONSULTANT,
            title="a\nb",
            metadata={"": "x", "note": "\0"},
            user_inputs="[]",
        )
    assert bad_fields(refused) == [
        "id",
        "workflow_id",
        "title",
        "metadata",
        "metadata.note",
        "user_inputs",
    ]


@pytest.mark.parametrize(
    "session_id",
    ["", "a:b", "a/b", "a b", "é", "a\n", "a%2F", "x" * 129, "x" * 10_240, "\0", "a;", "\ud800"],
)
def test_an_id_outside_the_alphabet_is_refused(session_id: str) -> None:
    """A-Z a-z 0-9 . _ ~ - and nothing else, 1 to 128 of them."""
    with pytest.raises(InvalidArgument) as refused:
        created(session_id=session_id)
    assert bad_fields(refused) == ["id"]


@pytest.mark.parametrize("session_id", ["a", "x" * 127, "x" * 128, "A.b_c~d-9", "..", "-"])
def test_an_id_of_the_alphabet_is_taken(session_id: str) -> None:
    """Up to 128 characters."""
    assert created(session_id=session_id) is not None


LIMITS = replace(
    DEFAULT_LIMITS, title_characters=10, metadata_keys=3, metadata=20, user_inputs=20, user_id=8
)


def around(field: str, make: Any, limit: int) -> list[Any]:
    return [
        pytest.param(field, make(limit + step), step <= 0, id=f"{field}{step:+d}")
        for step in (-1, 0, 1)
    ]


@pytest.mark.parametrize(
    ("field", "value", "good"),
    [
        *around("title", lambda n: "ж" * n, 10),
        *around("metadata", lambda n: {str(k): "" for k in range(n)}, 3),
        *around("metadata", lambda n: {"key": "v" * (n - 3)}, 20),
        *around("metadata", lambda n: {"жж": "é" * 4 + "v" * (n - 12)}, 20),
        *around("user_inputs", lambda n: '{"a":"' + "x" * (n - 8) + '"}', 20),
    ],
)
def test_each_limit_is_met_to_the_byte(field: str, value: Any, good: bool) -> None:
    """One less and exactly pass, one more is refused by name."""
    if good:
        assert created(limits=LIMITS, **{field: value}) is not None
        return
    with pytest.raises(InvalidArgument) as refused:
        created(limits=LIMITS, **{field: value})
    assert bad_fields(refused) == [field]


@pytest.mark.parametrize(("length", "good"), [(7, True), (8, True), (9, False)])
def test_a_users_name_is_bounded(length: int, good: bool) -> None:
    """It becomes part of keys."""
    identity = Identity("u" * length)
    if good:
        assert created(limits=LIMITS, identity=identity) is not None
        return
    with pytest.raises(InvalidArgument) as refused:
        created(limits=LIMITS, identity=identity)
    assert bad_fields(refused) == ["user_id"]


@pytest.mark.parametrize("title", ["a\tb", "a\x00b", "a\x7fb", "a\x85b", "a\ud800b"])
def test_a_title_is_one_line_of_real_characters(title: str) -> None:
    """No control characters and no half surrogates."""
    with pytest.raises(InvalidArgument) as refused:
        created(title=title)
    assert bad_fields(refused) == ["title"]


def test_metadata_beyond_the_limit_is_told_once() -> None:
    """A thousand bad keys do not make a thousand sentences."""
    with pytest.raises(InvalidArgument) as refused:
        created(metadata={f"\n{n}": "\0" for n in range(1000)})
    assert len(refused.value.violations) == 1


def test_only_a_creation_begins_a_log() -> None:
    """Anything else as record 1, and a creation later or twice, is our fault."""
    event = created()
    with pytest.raises(ValueError, match="does not create"):
        apply(None, Record(1, 0, ALICE.actor, SessionPaused()))
    with pytest.raises(ValueError, match="does not create"):
        apply(None, Record(2, 0, ALICE.actor, event))
    session = apply(None, Record(1, 0, ALICE.actor, event))
    with pytest.raises(ValueError, match="exists"):
        apply(session, Record(2, 0, ALICE.actor, event))


@pytest.mark.parametrize("seq", [0, 1, 3])
def test_a_record_out_of_order_is_our_fault(seq: int) -> None:
    """The next seq is the last one and 1, always."""
    story = Story()
    with pytest.raises(ValueError, match="does not follow 1"):
        apply(story.session, Record(seq, 0, ALICE.actor, SessionPaused()))
