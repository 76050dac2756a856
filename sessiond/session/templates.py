"""Templates: what a new session may begin with, under a name of its user's."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from sessiond.errors import Violations
from sessiond.session.changes import CreateSession
from sessiond.session.checks import check_metadata, check_title
from sessiond.session.jsontext import check_object
from sessiond.session.limits import Limits
from sessiond.session.workflow import Workflow

NAME = re.compile(r"[A-Za-z0-9._~-]{1,64}")
_PLACE = re.compile(r"\{(date|workflow|input\.[^{}]+)\}")
# A title is one line, and inputs are not.
_BREAKS = re.compile(r"[\x00-\x1f\x7f-\x9f]+")


@dataclass(frozen=True, slots=True)
class Template:
    """What a session may begin with.

    `user_inputs` is a JSON object's text. `title` is a pattern, see `titled`; "" for none.
    `updated_ms` says when it was last saved, in milliseconds since 1970; 0 for a built-in one.
    """

    workflow_id: str
    user_inputs: str = "{}"
    title: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    updated_ms: int = 0


def check_template_name(value: str, field: str, found: Violations) -> None:
    """A name stands in paths and keys, and needs no escaping in either."""
    if not NAME.fullmatch(value):
        found.add(field, "must be 1 to 64 characters of A-Z, a-z, 0-9, '.', '_', '~' and '-'")


def check_template(
    template: Template, workflow: Workflow | None, found: Violations, *, limits: Limits
) -> None:
    """Check all of a template; `workflow` is the one that it names, None where there is none."""
    if workflow is None:
        found.add("workflow_id", "must be the id of a workflow of this installation")
    inputs, depth = template.user_inputs, limits.json_depth
    check_object(inputs, "user_inputs", found, limit=limits.user_inputs, depth=depth)
    check_title(template.title, "title", found, limits=limits)
    check_metadata(template.metadata, "metadata", found, limits=limits)


def overridden(
    change: CreateSession,
    template: Template,
    workflow: Workflow | None,
    *,
    now_ms: int,
    limits: Limits,
) -> CreateSession:
    """Return the change with what it leaves open taken from the template, whose name is gone.

    Metadata of the change are put over the template's, key by key; all else is taken as a whole.

    Args:
        workflow: the workflow that the session will follow; None when there is none of that name.
        now_ms: when the session is created, in milliseconds since 1970.
    """
    inputs = template.user_inputs if change.user_inputs is None else change.user_inputs
    title = change.title
    if title is None:
        title = titled(template.title, workflow, inputs, now_ms=now_ms)[: limits.title_characters]
    return replace(
        change,
        workflow_id=template.workflow_id if change.workflow_id is None else change.workflow_id,
        user_inputs=inputs,
        title=title,
        metadata={**template.metadata, **change.metadata},
        template=None,
    )


def titled(pattern: str, workflow: Workflow | None, inputs: str, *, now_ms: int) -> str:
    """Return the title that a pattern gives; inputs are a JSON object's text.

    `{date}` stands for the day in UTC, `{workflow}` for the workflow's name, `{input.KEY}` for a
    text, a number or a truth value among the inputs. What stands for nothing stays as it is.
    """
    given = json.loads(inputs) if "{input." in pattern else {}

    def stands_for(found: re.Match[str]) -> str:
        name = found[1]
        if name == "date":
            return datetime.fromtimestamp(now_ms // 1000, UTC).strftime("%Y-%m-%d")
        if name == "workflow":
            return found[0] if workflow is None else workflow.name
        value = given.get(name.removeprefix("input."))
        if isinstance(value, str):
            return _BREAKS.sub(" ", value)
        return json.dumps(value) if isinstance(value, int | float) else found[0]

    return _PLACE.sub(stands_for, pattern)
