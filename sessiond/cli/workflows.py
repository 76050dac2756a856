"""`sessiond workflows`: what a new session may follow."""

from __future__ import annotations

import sys

from sessiond.cli import json_form
from sessiond.cli.connection import Connection
from sessiond.cli.options import AsJson, connected
from sessiond.cli.paint import CYAN, DIM, Brush, is_coloured, one_line
from sessiond.v1.event_pb2 import Workflow


@connected
def workflows(connection: Connection, *, as_json: AsJson = False) -> None:
    """List the workflows that a new session may follow: the default one first.

    With --json, one object a line, with all steps.
    """
    with connection.sync_client() as client:
        found = client.workflows()
    if as_json:
        for workflow in found:
            sys.stdout.write(json_form.line(workflow) + "\n")
        return
    brush = Brush(coloured=is_coloured(sys.stdout))
    longest = max((len(workflow.id) for workflow in found), default=0)
    for workflow in found:
        name, way = one_line(workflow.name, 60), brush(_way(workflow), DIM)
        sys.stdout.write(f"{brush(f'{workflow.id:<{longest}}', CYAN)}  {name}  {way}\n")


def _way(workflow: Workflow) -> str:
    if not workflow.steps:
        return f"with {one_line(workflow.agent, 60)}"
    minutes = sum(step.minutes for step in workflow.steps)
    return f"{len(workflow.steps)} steps, {minutes} minutes"
