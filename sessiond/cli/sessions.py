"""`sessiond sessions`: list, show, new, delete."""

from __future__ import annotations

import json
import shutil
import sys
from datetime import UTC, datetime
from enum import StrEnum
from itertools import islice
from typing import Annotated

import typer

from sessiond.cli import json_form
from sessiond.cli.connection import Connection
from sessiond.cli.failures import CommandFailure
from sessiond.cli.options import AsJson, connected
from sessiond.cli.paint import BOLD, CYAN, DIM, GREEN, YELLOW, Brush, is_coloured, one_line, plain
from sessiond.client.sharing_requests import Scope
from sessiond.mapping.spelling import time_text
from sessiond.numbers import MEMBER_ROLE_WORD, OUTPUT_STATUS_WORD, SENDER_WORD, STATUS_WORD
from sessiond.session.state import OutputStatus, Sender, Status
from sessiond.v1.session_pb2 import Message, Session, SessionSummary

app = typer.Typer(no_args_is_help=True, help="List, show, make and delete sessions.")

DEMO = {"demo": "true"}
"""The metadata of sessions in which the example agent acts."""

Demo = Annotated[
    bool | None,
    typer.Option(
        help='Whether the example agent acts in it (metadata demo: "true"). '
        "Default: with a development token."
    ),
]


class StatusOption(StrEnum):
    """Where a session stands, as an option."""

    ACTIVE = "active"
    PAUSED = "paused"
    COMPLETED = "completed"


class ScopeOption(StrEnum):
    """Which sessions are listed, as an option."""

    ALL = "all"
    OWN = "own"
    SHARED = "shared"


_SCOPES: dict[ScopeOption, Scope] = {
    ScopeOption.ALL: "all",
    ScopeOption.OWN: "own",
    ScopeOption.SHARED: "shared",
}


@app.command("list")
@connected
def list_sessions(
    connection: Connection,
    *,
    status: Annotated[StatusOption | None, typer.Option(help="Only those that stand so.")] = None,
    workflow: Annotated[str | None, typer.Option(help="Only those of this workflow.")] = None,
    q: Annotated[
        str | None, typer.Option("-q", help="Only those with this in title or last message.")
    ] = None,
    scope: Annotated[
        ScopeOption, typer.Option(help="Yours, those that others share with you, or both.")
    ] = ScopeOption.ALL,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 50,
    of: Annotated[
        str | None, typer.Option(help="Another user's, for administrators.", metavar="USER")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List your sessions, and those that others share with you, newest activity first.

    With --json, one object a line.
    """
    with connection.sync_client() as client:
        found = client.list(
            of,
            status=None if status is None else Status(status.value),
            workflow_id=workflow,
            q=q,
            scope=_SCOPES[scope],
            page_size=min(limit, 1000),
        )
        if as_json:
            for summary in islice(found, limit):
                sys.stdout.write(json_form.line(summary) + "\n")
        else:
            table(list(islice(found, limit)))


@app.command("show")
@connected
def show_session(
    connection: Connection,
    session_id: Annotated[str, typer.Argument(metavar="ID")],
    *,
    tail: Annotated[
        int | None, typer.Option(min=0, help="So many of the newest messages. Default: all.")
    ] = None,
    at_seq: Annotated[int | None, typer.Option(min=1, help="As it was after this event.")] = None,
    at_time: Annotated[
        str | None, typer.Option(help="As it was at this time, as in 2026-11-29T14:30:00Z.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show one session, with its outputs and messages; as it is, or as it once was."""
    moment = None if at_time is None else time_of(at_time, "--at-time")
    with connection.sync_client() as client:
        session = client.get(session_id, tail=tail, at_seq=at_seq, at_time=moment)
    if as_json:
        sys.stdout.write(json_form.line(session) + "\n")
    else:
        _show(session)


@app.command("new")
@connected
def new_session(
    connection: Connection,
    *,
    session_id: Annotated[str | None, typer.Option("--id", help="Default: made by Store.")] = None,
    workflow: Annotated[str | None, typer.Option(help="Default: the installation's.")] = None,
    title: Annotated[
        str | None, typer.Option(help="Default: from the first message that you send.")
    ] = None,
    inputs: Annotated[str | None, typer.Option(help="Your input data: a JSON object.")] = None,
    metadata: Annotated[
        list[str] | None, typer.Option(help="A note to keep; may be repeated.", metavar="KEY=VALUE")
    ] = None,
    template: Annotated[
        str | None, typer.Option(help="Begin with this template, where nothing else is given.")
    ] = None,
    demo: Demo = None,
    as_json: AsJson = False,
) -> None:
    """Make a session, and print its id."""
    notes = DEMO if (connection.in_development if demo is None else demo) else {}
    with connection.sync_client() as client:
        session = client.create(
            id=session_id,
            workflow_id=workflow,
            title=title,
            user_inputs=None
            if inputs is None
            else json_form.object_of(inputs, "value of --inputs"),
            metadata={**notes, **dict(map(note, metadata or ()))},
            template=template,
        )
    sys.stdout.write((json_form.line(session) if as_json else session.id) + "\n")


@app.command("delete")
@connected
def delete_sessions(
    connection: Connection,
    session_ids: Annotated[list[str], typer.Argument(metavar="ID...")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Delete sessions, at once and for good. On a terminal it asks first."""
    if not yes and sys.stdin.isatty() and sys.stderr.isatty():
        asked = f"Delete {', '.join(session_ids)} for good?"
        typer.confirm(asked, abort=True, err=True)
    with connection.sync_client() as client:
        for session_id in session_ids:
            client.delete(session_id)


def table(summaries: list[SessionSummary]) -> None:
    """Print summaries, one a line."""
    brush = Brush(coloured=is_coloured(sys.stdout))
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 200
    longest = max((len(summary.id) for summary in summaries), default=0)
    for summary in summaries:
        sys.stdout.write(row(summary, brush, longest, width) + "\n")


def row(summary: SessionSummary, brush: Brush, id_width: int, width: int) -> str:
    """Return a summary on one line: id, status, step, last activity, title, last message."""
    status = STATUS_WORD[summary.status]
    when = time_text(summary.last_active)[:16].replace("T", " ")
    step = f"{summary.progress.completed_steps}/{summary.progress.total_steps}"
    if not summary.progress.total_steps:
        step = "-"
    fixed = f"{summary.id:<{id_width}}  {status:<9}  {step:>5}  {when}  "
    said = one_line(summary.title or summary.last_message, max(10, width - len(fixed)))
    if summary.HasField("shared_as"):
        role = MEMBER_ROLE_WORD[summary.shared_as]
        said += brush(f"  ({role} of {one_line(summary.user_id, 40)}'s)", DIM)
    return (
        brush(f"{summary.id:<{id_width}}", CYAN)
        + "  "
        + brush(f"{status:<9}", *_STATUS_STYLE[status])
        + f"  {step:>5}  "
        + brush(when, DIM)
        + f"  {said}"
    )


_STATUS_STYLE = {Status.ACTIVE: (GREEN,), Status.PAUSED: (YELLOW,), Status.COMPLETED: (DIM,)}


def _show(session: Session) -> None:
    brush = Brush(coloured=is_coloured(sys.stdout))
    status, progress = STATUS_WORD[session.status], session.progress
    say = sys.stdout.write
    say(f"{brush(session.id, BOLD, CYAN)}  {one_line(session.title, 200)}\n")
    say(f"  user      {plain(session.user_id)}\n")
    say(f"  status    {brush(status, *_STATUS_STYLE[status])}, revision {session.revision}\n")
    if progress.total_steps:
        at = f": {progress.current_step_id} by {session.current_agent}"
        done = f"{progress.completed_steps} of {progress.total_steps} steps done"
        minutes = f"{progress.estimated_time_remaining} minutes left"
        say(f"  workflow  {session.workflow_id}, {done}, {minutes}{at if at != ':  by ' else ''}\n")
    else:
        say(f"  workflow  {session.workflow_id}, with {session.current_agent}\n")
    say(f"  active    {time_text(session.last_active)}\n")
    if session.HasField("lineage"):
        say(f"  forked    from {session.lineage.session_id} after {session.lineage.seq}\n")
    if session.user_inputs.text not in ("", "{}"):
        say(f"  inputs    {plain(session.user_inputs.text)}\n")
    if session.metadata:
        notes = {key: session.metadata[key] for key in sorted(session.metadata)}
        say(f"  metadata  {plain(json.dumps(notes, ensure_ascii=False))}\n")
    for output_id, output in sorted(
        session.agent_outputs.items(), key=lambda each: each[1].generated_at.ToNanoseconds()
    ):
        word = OUTPUT_STATUS_WORD[output.status]
        style = YELLOW if word is OutputStatus.PENDING else DIM
        head = f"{output_id} ({output.step_id}, {output.agent_id}) {brush(word, style)}"
        say(f"\noutput {head}\n{plain(output.content)}\n")
    if session.conversation_history:
        say("\n")
    for message in session.conversation_history:
        name, style = speaker(message)
        when = brush(time_text(message.timestamp)[11:16], DIM)
        say(f"{when} {brush(name, BOLD, style)}: {plain(message.content)}\n")


_VOICES = {Sender.USER: GREEN, Sender.AGENT: CYAN, Sender.SYSTEM: YELLOW}


def speaker(message: Message) -> tuple[str, str]:
    """Return who wrote a message, and the colour of those."""
    sender = SENDER_WORD[message.sender]
    return plain(message.user_id or message.agent_id or sender.value), _VOICES[sender]


def time_of(text: str, option: str) -> datetime:
    """Return the time that an option names.

    Raises:
        CommandFailure: it is none.
    """
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise CommandFailure(f"{option} {text} must be a time, as 2026-11-29T14:30:00Z") from None
    return time.astimezone(UTC)


def note(text: str) -> tuple[str, str]:
    """Return the key and the value of a note to keep.

    Raises:
        CommandFailure: it is not KEY=VALUE.
    """
    key, equals, value = text.partition("=")
    if not equals:
        raise CommandFailure(f"--metadata {text} must be KEY=VALUE")
    return key, value
