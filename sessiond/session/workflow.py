"""Workflows: what steps a session goes through, and how far it has come."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass


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
    total = Counter(step.stage for step in workflow.steps)
    done = Counter(step.stage for step in workflow.steps[:completed])
    return Progress(
        total_steps=len(workflow.steps),
        completed_steps=completed,
        current_step_id=workflow.step_id_at(completed),
        estimated_time_remaining=sum(step.minutes for step in workflow.steps[completed:]),
        stage_progress={stage: done[stage] / count for stage, count in total.items()},
    )
