"""Old sessions as histories of ours: what comes of each, and why some cannot be told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sessiond.event_wire import event_from_wire
from sessiond.mapping.spelling import time_of
from sessiond.old.converting import Converted, convert
from sessiond.old.reading import Refused, Value
from sessiond.session.apply import apply, message_of
from sessiond.session.state import Message, OutputStatus, Session, Status
from sessiond.wire import timestamp_from_wire
from tests.unit.stories import CHAT, MASTER

WORKFLOWS = {MASTER.id: MASTER, CHAT.id: CHAT}
Json = dict[str, Any]


def at(minute: int) -> str:
    return f"2025-03-01T10:{minute:02}:00.250Z"


def ms(text: str) -> int:
    time = time_of(text)
    assert time is not None
    return timestamp_from_wire(time)


def said(number: int, content: str, minute: int, sender: str = "user", **more: Any) -> Json:
    return {
        "id": f"m-{number}",
        "sessionId": "s-1",
        "sender": sender,
        "type": "text",
        "content": content,
        "timestamp": at(minute),
        **more,
    }


def output(agent: str, status: str, minute: int, **more: Any) -> Json:
    return {
        "agentId": agent,
        "status": status,
        "content": f"the work of {agent}",
        "generatedAt": at(minute),
        **more,
    }


def old(**changes: Any) -> Json:
    """A session after its first step, with its second output waiting."""
    return {
        "id": "s-1",
        "userId": "alice",
        "workflowId": "master-workflow-v2",
        "status": "active",
        "currentAgent": "persona-strategist",
        "currentStep": 1,
        "createdAt": at(0),
        "lastActive": at(30),
        "userInputs": {"market": "EU", "n": 12345678901234567890},
        "agentOutputs": {
            "o-1": output(
                *("gtm-consultant", "approved", 5),
                approvedAt=at(9),
                approvedBy="bob",
                userFeedback="Good.",
                qualityScore=0.5,
                metadata={"k": [1]},
            ),
            "o-0": output("gtm-consultant", "rejected", 3, userFeedback="Again."),
            "o-2": output("persona-strategist", "pending", 20),
        },
        "conversationHistory": [
            said(1, "Where do we start?", 1),
            said(2, "With the foundation.", 4, "agent", agentId="gtm-consultant"),
            said(3, "The step is done.", 10, "system", type="system", metadata={"a": {"b": None}}),
        ],
        "progress": {"totalSteps": 8, "completedSteps": 7, "stageProgress": {"foundation": 0.9}},
        "mood": "a field that nobody knows",
        **changes,
    }


def converted(value: Any, *, listed: set[str] | None = None) -> Converted | Refused:
    users = {"s-1": {"alice"} if listed is None else listed}
    return convert(Value("session:s-1", value), users, WORKFLOWS)


def folded(value: Json) -> tuple[Session, list[Message], tuple[str, ...]]:
    """What a history gives that was sent and received."""
    found = converted(value)
    assert isinstance(found, Converted), found
    session: Session | None = None
    messages = []
    for place, history in enumerate(found.events, 1):
        record = event_from_wire(history.event)
        assert (record.seq, record.op_id, history.hash) == (place, f"old:{place}", "")
        session = apply(session, record)
        if (message := message_of(record)) is not None:
            messages.append(message)
    assert session is not None
    assert (found.header.session_id, found.header.last_seq) == (session.id, session.seq)
    return session, messages, found.notes


def test_an_old_session_is_what_it_was() -> None:
    """Inputs, outputs and their decisions, messages, progress and times."""
    session, messages, notes = folded(old())
    assert (session.id, session.user_id, session.workflow) == ("s-1", "alice", MASTER)
    assert (session.status, session.current_step) == (Status.ACTIVE, 1)
    assert session.user_inputs == '{"market":"EU","n":12345678901234567890}'
    assert (session.created_ms, session.last_active_ms) == (ms(at(0)), ms(at(30)))
    assert session.title == "Where do we start?"
    assert [(each.id, each.sender, each.type, each.content) for each in messages] == [
        ("m-1", "user", "text", "Where do we start?"),
        ("m-2", "agent", "text", "With the foundation."),
        ("m-3", "system", "system", "The step is done."),
    ]
    assert [each.time_ms for each in messages] == [ms(at(1)), ms(at(4)), ms(at(10))]
    assert messages[1].agent_id == "gtm-consultant"
    assert messages[2].metadata == '{"a":{"b":null}}'
    first = session.outputs["o-1"]
    assert (first.status, first.feedback) == (OutputStatus.APPROVED, "Good.")
    assert (first.approved_by, first.approved_ms) == ("bob", ms(at(9)))
    assert (first.body.step_id, first.body.generated_ms) == ("foundation_gtm", ms(at(5)))
    assert (first.body.quality_score, first.body.metadata) == (0.5, '{"k":[1]}')
    rejected = session.outputs["o-0"]
    assert (rejected.status, rejected.feedback) == (OutputStatus.REJECTED, "Again.")
    pending = session.pending_output
    assert pending is not None
    assert (pending.body.id, pending.body.step_id) == ("o-2", "persona_development")
    assert notes == ()


def test_the_same_record_gives_the_same_history() -> None:
    """To the byte, so that whoever imports it twice has it once."""
    one, other = converted(old()), converted(old())
    assert one == other
    assert isinstance(one, Converted)
    assert [each.SerializeToString(deterministic=True) for each in one.events] == [
        each.SerializeToString(deterministic=True)
        for each in other.events  # type: ignore[union-attr]
    ]


def test_a_paused_session_stays_paused() -> None:
    """That is what happened last."""
    session, _, notes = folded(old(status="paused"))
    assert (session.status, session.last_active_ms) == (Status.PAUSED, ms(at(30)))
    assert notes == ()


def test_a_completed_session_stays_completed() -> None:
    """All outputs of all steps are approved."""
    outputs = {
        f"o-{place}": output(step.agent, "approved", 2 * place + 1, approvedAt=at(2 * place + 2))
        for place, step in enumerate(MASTER.steps)
    }
    value = old(status="completed", currentAgent="", currentStep=8, agentOutputs=outputs)
    session, _, notes = folded(value)
    assert (session.status, session.current_step, session.current_agent) == ("completed", 8, "")
    assert notes == ()


def test_what_is_null_is_not_there() -> None:
    """Some wrote it so."""
    nothing = {"metadata": None, "agentId": None, "sessionId": None}
    history = [{**said(1, "Hello", 1), **nothing}]
    outputs = {"o-1": output("gtm-consultant", "pending", 3, qualityScore=None, approvedAt=None)}
    value = old(conversationHistory=history, agentOutputs=outputs, currentAgent=None, currentStep=0)
    session, (message,), notes = folded(value | {"userInputs": None})
    assert (message.metadata, message.agent_id) == (None, None)
    assert (session.user_inputs, session.outputs["o-1"].body.quality_score) == ("{}", None)
    assert notes == ()
    value |= {"workflowId": "gone", "agentOutputs": None}
    assert folded(value)[0].current_agent == "assistant"


def test_times_never_go_back() -> None:
    """Messages stay in the order in which people saw them."""
    history = [said(1, "one", 20), said(2, "two", 5), said(3, "three", 25)]
    session, messages, _ = folded(
        old(agentOutputs={}, conversationHistory=history, createdAt=at(10), currentStep=0)
    )
    assert [each.content for each in messages] == ["one", "two", "three"]
    assert [each.time_ms for each in messages] == [ms(at(20)), ms(at(20)), ms(at(25))]
    assert session.last_active_ms == ms(at(30))


def test_what_is_the_last_thing_need_not_be_added_to() -> None:
    """A session that was last active with its last message gets no event beside it."""
    session, _, _ = folded(old(lastActive=at(20)))
    assert (session.last_active_ms, session.seq) == (ms(at(20)), 9)
    assert folded(old())[0].seq == 10


def test_an_error_becomes_a_rejection() -> None:
    """The agent tries again, as it did."""
    session, _, _ = folded(
        old(agentOutputs={"o-1": output("gtm-consultant", "error", 3)}, currentStep=0)
    )
    failed = session.outputs["o-1"]
    assert failed.status is OutputStatus.REJECTED
    assert failed.feedback == "The old system kept this output as an error."


def test_an_unknown_workflow_is_made_of_those_who_worked() -> None:
    """In the order of their outputs, and the one who was to be next."""
    outputs = {
        "b": output("writer", "pending", 8),
        "a": output("re searcher/ü", "approved", 4, approvedAt=at(6)),
    }
    session, _, notes = folded(
        old(workflowId="gone", agentOutputs=outputs, currentAgent="writer", currentStep=1)
    )
    assert session.workflow.id == "gone"
    assert [(step.id, step.agent) for step in session.workflow.steps] == [
        ("1-re-searcher--", "re searcher/ü"),
        ("2-writer", "writer"),
    ]
    assert (session.status, session.current_agent) == (Status.ACTIVE, "writer")
    assert notes == ("the workflow gone is made of its outputs' agents",)
    outputs["b"] = output("writer", "approved", 8, approvedAt=at(9))
    session, _, _ = folded(
        old(workflowId="gone", agentOutputs=outputs, currentAgent="editor", currentStep=2)
    )
    assert (session.status, session.current_agent) == (Status.ACTIVE, "editor")
    session, _, _ = folded(
        old(workflowId="gone", agentOutputs={}, currentAgent="helper", currentStep=0)
    )
    assert (session.workflow.steps, session.current_agent) == ((), "helper")


def test_a_workflow_that_cannot_have_had_these_outputs_is_not_taken() -> None:
    """A chat has no steps, and an agent without a step has no place."""
    value = old(workflowId="chat", currentAgent="persona-strategist")
    session, _, notes = folded(value)
    assert [step.agent for step in session.workflow.steps] == [
        "gtm-consultant",
        "persona-strategist",
    ]
    assert notes == ("the workflow chat is made of its outputs' agents",)


def test_what_is_not_as_the_record_said_is_told() -> None:
    """Updates that the old system lost, for the most part."""
    _, _, notes = folded(old(currentStep=3, status="completed"))
    assert notes == (
        "it was at step 3, and is at 1",
        "it was completed, and is active",
    )


def broken(change: Callable[[Json], Any]) -> Json:
    value = old()
    change(value)
    return value


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ([], "is not a session"),
        (7, "is not a session"),
        (old(id="s-2"), "conversationHistory.0.sessionId must be the session's"),
        (old(id="s-2", conversationHistory=[]), "is the session s-2"),
        (old(userId="bob"), "belongs to bob, and stands in the list of alice"),
        (old(userId=None), "userId must be text"),
        (old(id="a/b", conversationHistory=[]), "id must be 1 to 128 characters"),
        (old(status="lost"), "status must be one of: active, paused, completed"),
        (old(currentStep="1"), "currentStep must be a whole number from 0 on"),
        (old(currentStep=True), "currentStep must be a whole number from 0 on"),
        (old(createdAt="yesterday"), "createdAt must be a time as RFC 3339 spells it"),
        (old(createdAt=1700000000), "createdAt must be a time"),
        (old(lastActive="2025-03-01T10:00:00"), "lastActive must be a time"),
        (old(lastActive="9999-03-01T10:00:00Z"), "lastActive must be a time"),
        (old(userInputs=[]), "userInputs must be a JSON object"),
        (old(agentOutputs=[]), "agentOutputs must be an object"),
        (old(agentOutputs={"o-1": 1}), "agentOutputs.o-1 must be an object"),
        (old(agentOutputs={"a b": output("x", "pending", 1)}), "agentOutputs.a b must be 1 to"),
        (old(conversationHistory={}), "conversationHistory must be a list"),
        (old(conversationHistory=["x"]), "conversationHistory.0 must be an object"),
        (
            broken(lambda value: value["conversationHistory"][1].pop("content")),
            "conversationHistory.1.content must be text",
        ),
        (
            broken(lambda value: value["conversationHistory"][1].update(content="")),
            "conversationHistory.1.content must not be empty",
        ),
        (
            broken(lambda value: value["conversationHistory"][2].update(sender="nobody")),
            "conversationHistory.2.sender must be one of: user, agent, system",
        ),
        (
            broken(lambda value: value["conversationHistory"][2].update(id="m-1")),
            "conversationHistory must hold m-1 once, not 2 times",
        ),
        (
            broken(lambda value: value["agentOutputs"]["o-1"].update(qualityScore="good")),
            "agentOutputs.o-1.qualityScore must be a finite number",
        ),
        (
            broken(lambda value: value["agentOutputs"]["o-1"].update(metadata=[1])),
            "agentOutputs.o-1.metadata must be a JSON object",
        ),
        (
            broken(lambda value: value["agentOutputs"]["o-1"].update(content="x" * 600_000)),
            "agentOutputs.o-1.content must be at most 524288 bytes",
        ),
    ],
)
def test_a_damaged_record_is_refused_with_its_reason(value: Any, why: str) -> None:
    """By the names that its fields have in it."""
    found = converted(value)
    assert isinstance(found, Refused)
    assert found.key == "session:s-1"
    assert found.why.startswith(why)


def test_only_what_stands_in_its_users_list_is_taken() -> None:
    """And in nobody else's."""
    for listed, where in (
        (set[str](), "nobody"),
        ({"bob"}, "bob"),
        ({"alice", "bob"}, "alice, bob"),
    ):
        found = converted(old(), listed=listed)
        assert found == Refused(
            "session:s-1", f"belongs to alice, and stands in the list of {where}"
        )


def test_many_bad_fields_are_told_in_one_line() -> None:
    """The first few, and how many more there are."""
    found = converted({})
    assert isinstance(found, Refused)
    assert found.why.count(";") == 3
    assert found.why.endswith(" more")
