"""Sharing on the command line: members, links, and giving a session away."""

from __future__ import annotations

import re
import sys
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated

import typer

from sessiond.cli import json_form
from sessiond.cli.connection import Connection
from sessiond.cli.failures import CommandFailure
from sessiond.cli.options import AsJson, connected
from sessiond.cli.paint import BOLD, CYAN, DIM, Brush, is_coloured, plain
from sessiond.mapping.spelling import time_text
from sessiond.numbers import MEMBER_ROLE_WORD
from sessiond.session.access import MemberRole
from sessiond.v1.store_pb2 import ListMembersResponse

_SPAN = re.compile(r"([1-9][0-9]{0,5})([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_NEVER = "never"

SessionId = Annotated[str, typer.Argument(metavar="ID", show_default=False)]
UserId = Annotated[str, typer.Argument(metavar="USER", show_default=False)]


class RoleOption(StrEnum):
    """As what a session is shared, as an option."""

    EDITOR = "editor"
    APPROVER = "approver"
    VIEWER = "viewer"


AsRole = Annotated[RoleOption, typer.Option("--role", help="What they may do.")]


@connected
def share(
    connection: Connection, session_id: SessionId, whom: UserId, *, role: AsRole = RoleOption.VIEWER
) -> None:
    """Share a session of yours with a user, or give a member another role."""
    with connection.sync_client() as client:
        client.share(session_id, whom, MemberRole(role.value))


@connected
def unshare(connection: Connection, session_id: SessionId, whom: UserId) -> None:
    """Share a session with a user no longer; with your own name, leave it."""
    with connection.sync_client() as client:
        client.unshare(session_id, whom)


@connected
def members(connection: Connection, session_id: SessionId, *, as_json: AsJson = False) -> None:
    """Show with whom a session is shared, and its links."""
    with connection.sync_client() as client:
        found = client.members(session_id)
    if as_json:
        sys.stdout.write(json_form.line(found) + "\n")
    else:
        _show(found)


@connected
def link(
    connection: Connection,
    session_id: SessionId,
    *,
    role: AsRole = RoleOption.VIEWER,
    expires: Annotated[
        str, typer.Option(help="How long it is good: 90s, 30m, 12h, 7d, 2w, or never.")
    ] = "7d",
) -> None:
    """Make a link, and print what whoever gets it gives to `sessiond join`.

    It is shown here and never again; `sessiond members` tells its id, by which it is revoked.
    """
    until = None if expires == _NEVER else datetime.now(UTC) + _span(expires)
    with connection.sync_client() as client:
        made = client.make_link(session_id, MemberRole(role.value), expires_at=until)
    sys.stdout.write(f"{session_id}.{made.secret}\n")


@connected
def unlink(
    connection: Connection,
    session_id: SessionId,
    link_id: Annotated[str, typer.Argument(metavar="LINK", show_default=False)],
) -> None:
    """Revoke a link. Who joined by it stays a member."""
    with connection.sync_client() as client:
        client.revoke_link(session_id, link_id)


@connected
def join(
    connection: Connection,
    link: Annotated[str, typer.Argument(metavar="ID.SECRET", show_default=False)],
) -> None:
    """Become a member by a link that `sessiond link` printed, and print the session's id."""
    session_id, dot, secret = link.rpartition(".")
    if not dot:
        raise CommandFailure("a link is ID.SECRET, as `sessiond link` prints it")
    with connection.sync_client() as client:
        client.join(session_id, secret)
    sys.stdout.write(session_id + "\n")


@connected
def transfer(connection: Connection, session_id: SessionId, whom: UserId) -> None:
    """Make a member the owner of a session of yours. You become an editor."""
    with connection.sync_client() as client:
        client.transfer(session_id, whom)


def _span(text: str) -> timedelta:
    found = _SPAN.fullmatch(text)
    if found is None:
        raise CommandFailure(f"--expires {text} must be like 90s, 30m, 12h, 7d or 2w, or never")
    return timedelta(seconds=int(found[1]) * _SECONDS[found[2]])


def _show(found: ListMembersResponse) -> None:
    brush = Brush(coloured=is_coloured(sys.stdout))
    say = sys.stdout.write
    say(f"{'owner':<9} {brush(plain(found.owner), BOLD)}\n")
    for member in found.members:
        role = MEMBER_ROLE_WORD[member.role]
        by = f" by the link {member.link_id}" if member.HasField("link_id") else ""
        since = brush(f"since {_day(time_text(member.granted_at))}{by}", DIM)
        say(f"{role:<9} {plain(member.user_id)}  {since}\n")
    for made in found.links:
        role = MEMBER_ROLE_WORD[made.role]
        until = "for ever"
        if made.HasField("expires_at"):
            until = f"until {_day(time_text(made.expires_at))}"
        say(f"link      {brush(made.link_id, CYAN)}  {role}, {until}\n")


def _day(time: str) -> str:
    return time[:16].replace("T", " ")
