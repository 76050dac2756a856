"""Workflows: what steps a session goes through, and how far it has come."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from sessiond.errors import Violations
from sessiond.session.checks import check_name, check_session_id
from sessiond.session.limits import DEFAULT_LIMITS, Limits

MOST_MINUTES = 525_600
"""A year, so that the minutes of 64 steps fit 32 bits."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a workflow: an agent's work on one output, for one stage, in `minutes`."""

    id: str
    name: str
    agent: str
    stage: str
    minutes: int


@dataclass(frozen=True, slots=True)
class Workflow:
    """A definition. A session remembers the one that it was created with, for ever.

    A workflow without steps is a plain conversation with one `agent`; with steps, `agent` is "".
    """

    id: str
    name: str
    steps: tuple[Step, ...] = ()
    agent: str = ""

    def __hash__(self) -> int:
        """Hash the id alone: a workflow is looked up at every commit, and its steps are many."""
        return hash(self.id)

    def agent_at(self, step: int) -> str:
        """Return the agent of the step at this index; "" once all steps are done."""
        if not self.steps:
            return self.agent
        return self.steps[step].agent if step < len(self.steps) else ""

    def step_id_at(self, step: int) -> str:
        """Return the id of the step at this index; "" once all are done or there are none."""
        return self.steps[step].id if step < len(self.steps) else ""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a workflow has come. `estimated_time_remaining` is in minutes."""

    total_steps: int
    completed_steps: int
    current_step_id: str
    estimated_time_remaining: int
    stage_progress: Mapping[str, float]


def progress(workflow: Workflow, completed: int) -> Progress:
    """Compute the progress after `completed` steps; steps are approved in their order."""
    total: dict[str, int] = {}
    done: dict[str, int] = {}
    remaining = 0
    for place, step in enumerate(workflow.steps):
        total[step.stage] = total.get(step.stage, 0) + 1
        if place < completed:
            done[step.stage] = done.get(step.stage, 0) + 1
        else:
            remaining += step.minutes
    return Progress(
        total_steps=len(workflow.steps),
        completed_steps=completed,
        current_step_id=workflow.step_id_at(completed),
        estimated_time_remaining=remaining,
        stage_progress={stage: done.get(stage, 0) / count for stage, count in total.items()},
    )


def parse(definition: Mapping[str, object], *, limits: Limits = DEFAULT_LIMITS) -> Workflow:
    """Return the workflow that a file's mapping defines: id, name, and steps or an agent.

    Raises:
        ValueError: with everything that is wrong, in one sentence per place.
    """
    wrong: list[str] = []
    text = json.dumps(definition, ensure_ascii=False, default=str, skipkeys=True)
    size = len(text.encode(errors="replace"))
    if size > limits.workflow:
        wrong.append(f"it must be at most {limits.workflow} bytes in all, not {size}")
    _refuse_unknown(definition, {"id", "name", "steps", "agent"}, "", wrong)
    given = definition.get("steps", [])
    if not isinstance(given, list) or len(given) > limits.workflow_steps:
        wrong.append(f"steps must be a list of at most {limits.workflow_steps}")
        given = []
    steps = tuple(
        _step(item, f"steps[{place}].", limits, wrong) for place, item in enumerate(given)
    )
    for step_id, times in Counter(step.id for step in steps).items():
        if times > 1:
            wrong.append(f"step id {step_id!r} must stand there once, not {times} times")
    agent = ""
    if not steps:
        agent = _name(definition, "agent", "", limits.agent_id, wrong)
    elif "agent" in definition:
        wrong.append("agent must be left out of a workflow with steps")
    workflow = Workflow(
        id=_id(definition, "", wrong),
        name=_name(definition, "name", "", limits.agent_id, wrong),
        steps=steps,
        agent=agent,
    )
    if wrong:
        raise ValueError("; ".join(wrong))
    return workflow


def _step(item: object, path: str, limits: Limits, wrong: list[str]) -> Step:
    if not isinstance(item, Mapping):
        wrong.append(f"{path[:-1]} must be a mapping")
        return Step("", "", "", "", 0)
    _refuse_unknown(item, {"id", "name", "agent", "stage", "minutes"}, path, wrong)
    minutes = item.get("minutes")
    if type(minutes) is not int or not 0 <= minutes <= MOST_MINUTES:
        wrong.append(f"{path}minutes must be a whole number, 0 to {MOST_MINUTES}")
        minutes = 0
    return Step(
        id=_id(item, path, wrong),
        name=_name(item, "name", path, limits.agent_id, wrong),
        agent=_name(item, "agent", path, limits.agent_id, wrong),
        stage=_name(item, "stage", path, limits.agent_id, wrong),
        minutes=minutes,
    )


def _id(item: Mapping[str, object], path: str, wrong: list[str]) -> str:
    value = item.get("id")
    found = Violations()
    check_session_id(value if isinstance(value, str) else "", f"{path}id", found)
    wrong.extend(f"{violation.field} {violation.message}" for violation in found.found)
    return value if isinstance(value, str) else ""


def _name(item: Mapping[str, object], key: str, path: str, limit: int, wrong: list[str]) -> str:
    value = item.get(key)
    found = Violations()
    check_name(value if isinstance(value, str) else "", f"{path}{key}", found, limit=limit)
    wrong.extend(f"{violation.field} {violation.message}" for violation in found.found)
    return value if isinstance(value, str) else ""


def _refuse_unknown(
    item: Mapping[str, object], known: set[str], path: str, wrong: list[str]
) -> None:
    wrong.extend(f"{path}{key} is not known" for key in item if key not in known)
