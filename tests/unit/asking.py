"""Anything that may be asked of a session, in any order: what the laws are tried on."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

from hypothesis import strategies as st

from sessiond.errors import SessiondError
from sessiond.session.access import Identity, MemberRole
from sessiond.session.changes import (
    AbandonTurn,
    AppendMessage,
    ApproveOutput,
    BeginTurn,
    CancelTurn,
    Change,
    EditOutput,
    EndTurn,
    MakeLink,
    PauseSession,
    ResumeSession,
    RevokeLink,
    RewindSession,
    SetHold,
    ShareSession,
    SubmitOutput,
    TransferSession,
    UnshareSession,
    UpdateSession,
)
from sessiond.session.limits import DEFAULT_LIMITS
from sessiond.session.state import Decision, MessageType, Sender, TurnOutcome
from sessiond.session.workflow import Step, Workflow
from tests.unit.stories import ADMIN, ALICE, CHAT, CONSULTANT, GUEST_AGENT, MASTER, SERVICE, Story

THREE_STEPS = Workflow(
    "three",
    "Three steps",
    (
        Step("a", "A", "gtm-consultant", "first", 10),
        Step("b", "B", "reviewer", "first", 0),
        Step("c", "C", "gtm-consultant", "last", 5),
    ),
)
# Small enough that random sessions reach them.
LIMITS = replace(
    DEFAULT_LIMITS, events=25, outputs=4, content=60, metadata_keys=2, user_inputs=80, feedback=8
)


class Asking(NamedTuple):
    """A change, who asks for it, how long after the one before, and what a turn says till then."""

    change: Change
    identity: Identity
    after_ms: int
    said: str


workflows = st.sampled_from([THREE_STEPS, MASTER, CHAT])
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
users = st.sampled_from(["alice", "bob", "carol"])
output_ids = st.sampled_from(["o-1", "o-2", "o-3", "o-4", "o-5"])
objects = st.dictionaries(
    st.sampled_from(["a", "b", "ж"]),
    st.none() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    max_size=2,
).map(json.dumps)
_STOPPED = st.sampled_from([TurnOutcome.INTERRUPTED, TurnOutcome.FAILED])
changes: st.SearchStrategy[Change] = st.one_of(
    st.builds(
        AppendMessage,
        texts,
        st.none() | st.sampled_from(Sender),
        st.none() | st.sampled_from(MessageType),
        st.none() | st.sampled_from(["gtm-consultant", "reviewer"]),
        st.none() | objects,
    ),
    st.builds(
        UpdateSession,
        st.none() | texts,
        st.dictionaries(st.sampled_from(["x", "y", "z"]), st.none() | texts, max_size=2),
        st.none() | objects,
        st.booleans(),
        st.booleans(),
    ),
    st.builds(
        SubmitOutput,
        texts,
        st.none() | output_ids,
        st.none() | st.just("reviewer"),
        st.none() | st.floats(),
        st.none() | objects,
    ),
    st.builds(EditOutput, output_ids, st.none() | texts, st.none() | objects),
    st.builds(ApproveOutput, st.none() | output_ids, st.none() | texts, st.sampled_from(Decision)),
    st.sampled_from([ApproveOutput(), SubmitOutput("x"), PauseSession(), ResumeSession()]),
    st.builds(BeginTurn, st.none() | st.just("reviewer")),
    # Aimed at the turn that runs when they are asked for; lengths are beside that of its text.
    st.builds(EndTurn, st.just(""), st.sampled_from([0, 0, 0, 1]), st.booleans(), objects),
    st.sampled_from([EndTurn("", 0), CancelTurn("")]),
    st.builds(AbandonTurn, st.just(""), _STOPPED),
    st.builds(RewindSession, st.integers(0, 26)),
    st.builds(SetHold, st.booleans(), texts),
    st.builds(ShareSession, users, st.sampled_from(MemberRole)),
    st.builds(MakeLink, st.sampled_from(MemberRole), st.none() | st.just(2_000_000_000_000)),
    st.builds(RevokeLink, st.sampled_from(["id-1", "id-2", "id-3"])),
    st.builds(UnshareSession, users) | st.builds(TransferSession, users),
)
askings = st.builds(
    Asking,
    changes,
    st.sampled_from([ALICE, SERVICE, ADMIN, CONSULTANT, GUEST_AGENT]),
    st.integers(-2000, 5000),
    texts,
)


def aimed(story: Story, change: Change) -> Change:
    """Let a change that speaks of a turn speak of the one that runs."""
    turn = story.session.turn
    if turn is None or not isinstance(change, EndTurn | CancelTurn | AbandonTurn):
        return change
    if isinstance(change, EndTurn):
        return replace(change, turn_id=turn.id, length=len(story.text) + change.length)
    return replace(change, turn_id=turn.id)


def ask(story: Story, asking: Asking) -> bool:
    """Ask for one more change; False where it is refused."""
    if story.session.turn is not None:
        story.text += asking.said
    try:
        story.make(aimed(story, asking.change), asking.identity, after_ms=asking.after_ms)
    except SessiondError:
        return False
    return True


def lived(workflow: Workflow, asked: Iterable[Asking]) -> Story:
    """A session of which all this was asked."""
    story = Story(workflow, limits=LIMITS)
    for asking in asked:
        ask(story, asking)
    return story
