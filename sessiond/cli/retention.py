"""`sessiond retention`: what policies would let go, and nothing goes."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated

import orjson
import typer

from sessiond.cli.connection import Connection
from sessiond.cli.failures import CommandFailure
from sessiond.cli.options import AsJson, connected
from sessiond.cli.paint import BOLD, DIM, Brush, is_coloured, one_line
from sessiond.cli.sessions import row
from sessiond.mapping.showing import one_line as json_line
from sessiond.policies import BadPolicies, covering, load_policies, told

_ID_WIDTH = 36
_WIDTH = 200


@connected
def retention(
    connection: Connection,
    *,
    policies: Annotated[
        Path, typer.Option(help="The policies, as retention reads them: YAML.", metavar="FILE")
    ],
    as_json: AsJson = False,
) -> None:
    """List the sessions that retention would let go by these policies. Nothing goes.

    Each stands under its user, with the policy that covers it first, as of now. What a legal hold
    keeps is counted apart. With --json, one object a line, as the dry run of retention prints them.

    For administrators, and services that act for nobody: on this machine, with the token that
    `sessiond token --role admin` prints.
    """
    try:
        given = load_policies(policies)
    except BadPolicies as bad:
        raise CommandFailure(f"--policies: {bad}") from None
    width = max((len(policy.name) for policy in given), default=0)
    brush, user_id = Brush(coloured=is_coloured(sys.stdout)), ""
    now_ms = time.time_ns() // 1_000_000
    scanned = due = held = 0
    with connection.sync_client() as client:
        # Told as they come: there may be very many.
        for summary in client.scan():
            scanned += 1
            policy = covering(given, summary, now_ms)
            if policy is None:
                continue
            if summary.held:
                held += 1
                continue
            due += 1
            if as_json:
                line = json_line(orjson.dumps(told(summary, policy)))
                sys.stdout.write(line.decode() + "\n")
                continue
            if summary.user_id != user_id:
                user_id = summary.user_id
                sys.stdout.write(brush(one_line(user_id, _WIDTH), BOLD) + "\n")
            named = brush(f"{policy.name:<{width}}", DIM)
            sys.stdout.write(f"  {named}  {row(summary, brush, _ID_WIDTH, _WIDTH)}\n")
    if not as_json:
        kept = f"; a legal hold keeps {held} more" if held else ""
        sys.stdout.write(f"{due} of {scanned} sessions would go{kept}\n")
