"""`sessiond templates`: list, show, save, delete."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

from sessiond.cli import json_form
from sessiond.cli.connection import Connection
from sessiond.cli.options import AsJson, connected
from sessiond.cli.paint import BOLD, CYAN, DIM, Brush, is_coloured, one_line, plain
from sessiond.cli.sessions import note
from sessiond.v1.store_pb2 import Template

app = typer.Typer(no_args_is_help=True, help="What new sessions may begin with.")

Name = Annotated[str, typer.Argument(metavar="NAME")]
Of = Annotated[
    str | None, typer.Option("--of", help="Another user's, for administrators.", metavar="USER")
]


@app.command("list")
@connected
def list_templates(connection: Connection, *, of: Of = None, as_json: AsJson = False) -> None:
    """List your templates by name, then the built-in ones. With --json, one object a line."""
    with connection.sync_client() as client:
        found = client.templates(of)
    if as_json:
        for template in found:
            sys.stdout.write(json_form.line(template) + "\n")
        return
    brush = Brush(coloured=is_coloured(sys.stdout))
    longest = max((len(template.name) for template in found), default=0)
    for template in found:
        name = brush(f"{template.name:<{longest}}", CYAN)
        what = "built in" if template.built_in else template.workflow_id
        title = one_line(template.title, 100)
        sys.stdout.write(f"{name}  {brush(what, DIM)}  {title}".rstrip() + "\n")


@app.command("show")
@connected
def show_template(
    connection: Connection, name: Name, of: Of = None, as_json: AsJson = False
) -> None:
    """Show one template, with its inputs."""
    with connection.sync_client() as client:
        template = client.template(name, user_id=of)
    if as_json:
        sys.stdout.write(json_form.line(template) + "\n")
    else:
        _show(template)


@app.command("save")
@connected
def save_template(
    connection: Connection,
    name: Name,
    *,
    session_id: Annotated[
        str | None,
        typer.Option("--session", help="Take from it what is not given here.", metavar="ID"),
    ] = None,
    workflow: Annotated[str | None, typer.Option(help="Default: the installation's.")] = None,
    title: Annotated[
        str | None,
        typer.Option(help="{date}, {workflow} and {input.KEY} are filled in at creation."),
    ] = None,
    inputs: Annotated[str | None, typer.Option(help="The input data: a JSON object.")] = None,
    metadata: Annotated[
        list[str] | None, typer.Option(help="A note to keep; may be repeated.", metavar="KEY=VALUE")
    ] = None,
    of: Of = None,
    as_json: AsJson = False,
) -> None:
    """Save a template, over what stands under its name."""
    with connection.sync_client() as client:
        template = client.put_template(
            name,
            session_id=session_id,
            workflow_id=workflow,
            title=title,
            user_inputs=None
            if inputs is None
            else json_form.object_of(inputs, "value of --inputs"),
            metadata=dict(map(note, metadata or ())),
            user_id=of,
        )
    sys.stdout.write((json_form.line(template) if as_json else template.name) + "\n")


@app.command("delete")
@connected
def delete_template(connection: Connection, name: Name, of: Of = None) -> None:
    """Delete a template. Sessions that were made of it stay as they are."""
    with connection.sync_client() as client:
        client.delete_template(name, user_id=of)


def _show(template: Template) -> None:
    brush = Brush(coloured=is_coloured(sys.stdout))
    say = sys.stdout.write
    built_in = "  built in" if template.built_in else ""
    say(f"{brush(template.name, BOLD, CYAN)}{built_in}\n")
    say(f"  workflow  {plain(template.workflow_id)}\n")
    if template.title:
        say(f"  title     {one_line(template.title, 200)}\n")
    if template.user_inputs.text not in ("", "{}"):
        say(f"  inputs    {plain(template.user_inputs.text)}\n")
    if template.metadata:
        notes = {key: template.metadata[key] for key in sorted(template.metadata)}
        say(f"  metadata  {plain(json.dumps(notes, ensure_ascii=False))}\n")
