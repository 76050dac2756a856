"""The workflows of this installation: files `*.yaml` in one folder, read once at start."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import yaml

from services.serving.sockets import StartFailed
from sessiond.session.limits import Limits
from sessiond.session.workflow import Workflow, parse


class Workflows:
    """Finds definitions by their ids."""

    def __init__(self, workflows: Mapping[str, Workflow], default: str) -> None:
        self._workflows = dict(workflows)
        self._default = default

    def find(self, workflow_id: str | None) -> Workflow | None:
        """Return the workflow of this id, the default one for None; None for an unknown id."""
        return self._workflows.get(self._default if workflow_id is None else workflow_id)

    def all(self) -> list[Workflow]:
        """Return every workflow: the default one first, the others by id."""
        return sorted(
            self._workflows.values(), key=lambda each: (each.id != self._default, each.id)
        )


def load_workflows(folder: Path, default: str, limits: Limits) -> Workflows:
    """Return the workflows that the files of a folder define.

    Raises:
        StartFailed: with every bad file and what is wrong with it, or that the default is missing.
    """
    wrong: list[str] = []
    files: dict[str, Path] = {}
    workflows: dict[str, Workflow] = {}
    for path in sorted(folder.glob("*.yaml")):
        try:
            workflow = _read(path, limits)
        except ValueError as error:
            wrong.append(f"{path}: {error}")
            continue
        if workflow.id in files:
            wrong.append(f"{path}: defines {workflow.id} again, as {files[workflow.id]} does")
        files[workflow.id] = path
        workflows[workflow.id] = workflow
    if not wrong and default not in workflows:
        wrong.append(f"{folder}: no file defines the default workflow {default}")
    if wrong:
        raise StartFailed("\n  ".join(("the workflows are not valid:", *wrong)))
    return Workflows(workflows, default)


def _read(path: Path, limits: Limits) -> Workflow:
    try:
        definition = yaml.safe_load(path.read_bytes())
    except OSError:
        raise ValueError("cannot be read") from None
    except (yaml.YAMLError, UnicodeError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = "" if mark is None else f", line {mark.line + 1}"
        raise ValueError(f"is not YAML{where}") from None
    if not isinstance(definition, dict):
        raise ValueError("must hold one mapping")
    return parse(definition, limits=limits)
