"""The supervisor's command line: `python -m cluster run | token | keys`."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence

from cluster.keys import PARTS_WITH_IDENTITY, DevelopmentKeys
from cluster.run import run
from cluster.settings import data_dir_of


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the arguments say; return the exit code."""
    asked = _parser().parse_args(arguments)
    if asked.command == "run":
        return run(os.environ)
    keys = DevelopmentKeys(data_dir_of(os.environ) / "keys")
    if asked.command == "token":
        print(keys.user_token(asked.user, role=asked.role, agents=asked.agent))
        return 0
    for part in PARTS_WITH_IDENTITY:
        keys.part_token_file(part)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m cluster", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("run", help="run every part until Ctrl-C")
    token = commands.add_parser("token", help="print a development token, good for a day")
    token.add_argument("--user", required=True, help="the token's subject")
    token.add_argument("--role", choices=["agent", "service", "admin"], help="default: a user")
    token.add_argument(
        "--agent", action="append", default=[], help="a name that an agent may speak as; repeatable"
    )
    commands.add_parser("keys", help="make the development keys and the tokens of our own parts")
    return parser
