"""Workflows: the two that are shipped, progress through the eight steps, and bad definitions."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from sessiond.session.apply import apply
from sessiond.session.changes import ApproveOutput, ResumeSession
from sessiond.session.events import OutputDecided, OutputSubmitted, Record
from sessiond.session.limits import DEFAULT_LIMITS
from sessiond.session.state import Decision, OutputStatus, Status
from sessiond.session.workflow import Step, Workflow, parse
from tests.unit.stories import CHAT, MASTER, SERVICE, Story

# After so many approvals: step id, agent, minutes left, foundation, strategy, validation.
MASTER_PROGRESS = [
    ("foundation_gtm", "gtm-consultant", 280, 0.0, 0.0, 0.0),
    ("persona_development", "persona-strategist", 250, 1 / 3, 0.0, 0.0),
    ("product_brand_development", "product-manager", 225, 2 / 3, 0.0, 0.0),
    ("growth_funnel_design", "growth-manager", 195, 1.0, 0.0, 0.0),
    ("acquisition_strategy", "head-of-acquisition", 160, 1.0, 0.25, 0.0),
    ("retention_strategy", "head-of-retention", 120, 1.0, 0.5, 0.0),
    ("viral_growth_strategy", "viral-growth-architect", 85, 1.0, 0.75, 0.0),
    ("experiment_design", "growth-hacker", 45, 1.0, 1.0, 0.0),
    ("", "", 0, 1.0, 1.0, 1.0),
]


def test_eight_approvals_complete_the_master_workflow() -> None:
    """Each approval moves step, agent, minutes and stages; the last one completes the session."""
    story = Story()
    for approved, expected in enumerate(MASTER_PROGRESS):
        session, progress = story.session, story.session.progress
        step_id, agent, minutes, foundation, strategy, validation = expected
        assert (session.current_step, session.current_agent) == (approved, agent)
        assert (progress.total_steps, progress.completed_steps) == (8, approved)
        assert progress.current_step_id == step_id
        assert progress.estimated_time_remaining == minutes
        assert progress.stage_progress == {
            "foundation": foundation,
            "strategy": strategy,
            "validation": validation,
        }
        assert session.status is (Status.COMPLETED if approved == 8 else Status.ACTIVE)
        if approved < 8:
            story.submit(f"o-{approved}")
            assert story.session.awaited_agent == ""
            story.make(ApproveOutput())
            assert story.session.awaited_agent == MASTER_PROGRESS[approved + 1][1]
    assert story.session.seq == 17


def test_a_rejection_moves_nothing() -> None:
    """The agent tries again at the same step."""
    story = Story()
    story.submit("o-1")
    before = story.session.progress
    story.make(ApproveOutput(decision=Decision.REJECTED))
    assert story.session.progress == before
    assert story.session.awaited_agent == "gtm-consultant"


def test_approval_of_an_old_output_moves_nothing_again() -> None:
    """The repeated approval of step one leaves step two alone."""
    story = Story()
    story.submit("o-1")
    story.make(ApproveOutput("o-1"))
    story.submit("o-2")
    assert story.make(ApproveOutput("o-1")) == ()
    assert story.session.current_step == 1


def test_only_the_current_steps_approval_moves_the_workflow() -> None:
    """As the event says, whatever made it: an output of a later step moves nothing."""
    story = Story()
    story.submit("o-1")
    output = story.session.outputs["o-1"]
    body = replace(output.body, id="o-2", step_id="growth_funnel_design")
    actor = story.records[-1].actor
    session = apply(story.session, Record(3, 0, actor, OutputSubmitted(body)))
    session = apply(session, Record(4, 0, actor, OutputDecided("o-2", Decision.APPROVED)))
    assert session.outputs["o-2"].status is OutputStatus.APPROVED
    assert (session.current_step, session.status) == (0, Status.ACTIVE)


def test_resuming_a_completed_session_changes_nothing() -> None:
    """What is over stays over."""
    story = Story(Workflow("w", "W", (Step("only", "Only", "writer", "all", 0),)))
    story.submit("o-1")
    story.make(ApproveOutput(), SERVICE)
    assert story.make(ResumeSession()) == ()
    assert story.session.status is Status.COMPLETED


def test_the_shipped_workflows_are_those_of_the_product() -> None:
    """`chat` has one agent and no steps; `master-workflow-v2` has eight."""
    assert (CHAT.id, CHAT.agent, CHAT.steps) == ("chat", "assistant", ())
    assert (MASTER.id, MASTER.agent, len(MASTER.steps)) == ("master-workflow-v2", "", 8)
    minutes = [step.minutes for step in MASTER.steps]
    assert minutes == [30, 25, 30, 35, 40, 35, 40, 45]
    stages = [step.stage for step in MASTER.steps]
    assert stages == ["foundation"] * 3 + ["strategy"] * 4 + ["validation"]


def definition(**given: Any) -> dict[str, Any]:
    step = {"id": "a", "name": "A", "agent": "x", "stage": "s", "minutes": 1}
    return {"id": "w", "name": "W", "steps": [step], **given}


def step(**given: Any) -> list[dict[str, Any]]:
    return [{"id": "a", "name": "A", "agent": "x", "stage": "s", "minutes": 1, **given}]


def test_a_definition_becomes_a_workflow() -> None:
    """Steps in their order."""
    assert parse(definition()) == Workflow("w", "W", (Step("a", "A", "x", "s", 1),))
    assert parse(definition(steps=step(minutes=0))).steps[0].minutes == 0
    assert parse({"id": "c", "name": "C", "agent": "x"}) == Workflow("c", "C", (), "x")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"id": "a:b"}, "id must be"),
        ({"id": 7}, "id must be"),
        ({"id": None}, "id must be"),
        ({"name": ""}, "name must be"),
        ({"name": "a\nb"}, "name must not hold control"),
        ({"agent": "x"}, "agent must be left out"),
        ({"steps": []}, "agent must be"),
        ({"steps": None}, "steps must be a list"),
        ({"steps": {}}, "steps must be a list"),
        ({"steps": ["a"]}, "steps[0] must be a mapping"),
        ({"steps": step(id="a b")}, "steps[0].id must be"),
        ({"steps": step() * 2}, "step id 'a' must stand there once, not 2 times"),
        ({"steps": step(agent="x" * 129)}, "steps[0].agent must be"),
        ({"steps": step(stage=3)}, "steps[0].stage must be"),
        ({"steps": step(minutes=-1)}, "steps[0].minutes must be"),
        ({"steps": step(minutes=1.5)}, "steps[0].minutes must be"),
        ({"steps": step(minutes=True)}, "steps[0].minutes must be"),
        ({"steps": step(minutes="5")}, "steps[0].minutes must be"),
        ({"steps": step(minutes=10**9)}, "steps[0].minutes must be"),
        ({"steps": step(hours=1)}, "steps[0].hours is not known"),
        ({"colour": "red"}, "colour is not known"),
        ({"name": "\ud800"}, "name must be text"),
        ({"name": {("a", "b"): 1}}, "name must be"),
    ],
)
def test_a_bad_definition_is_refused_with_its_place(given: dict[str, Any], told: str) -> None:
    """Whoever wrote the file is told where to look."""
    with pytest.raises(ValueError, match=re.escape(told)):
        parse(definition(**given))


def test_everything_wrong_with_a_definition_is_told_at_once() -> None:
    """One sentence per place."""
    with pytest.raises(ValueError, match="minutes") as refused:
        parse({"steps": step(minutes=-1, id="")})
    assert all(told in str(refused.value) for told in ("steps[0].id", "; id must", "; name must"))


@pytest.mark.parametrize(("count", "good"), [(63, True), (64, True), (65, False)])
def test_steps_are_counted(count: int, good: bool) -> None:
    """At most 64."""
    steps = [one for number in range(count) for one in step(id=f"s-{number}")]
    if good:
        assert len(parse(definition(steps=steps)).steps) == count
        return
    with pytest.raises(ValueError, match="at most 64"):
        parse(definition(steps=steps))


@pytest.mark.parametrize(("size", "good"), [(199, True), (200, True), (201, False)])
def test_a_definition_is_bounded_in_bytes(size: int, good: bool) -> None:
    """All of it, as JSON."""
    limits = replace(DEFAULT_LIMITS, workflow=200)
    empty = len(b'{"id": "w", "name": "", "agent": "x"}')
    given = {"id": "w", "name": "n" * 100, "agent": "x" * (1 + size - empty - 100)}
    if good:
        assert parse(given, limits=limits).agent == given["agent"]
        return
    with pytest.raises(ValueError, match="at most 200 bytes"):
        parse(given, limits=limits)
