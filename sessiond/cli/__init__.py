"""The command `sessiond`: sessions from a terminal and from scripts.

It needs the extra `cli`: pip install 'sessiond[cli]'.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec

_BROUGHT_BY_THE_EXTRA = ("joserfc", "prompt_toolkit", "typer")


def main() -> None:
    """Run the command line; ends the process with its exit code.

    0 when all went well, 1 for a failure, which one line on stderr names, 2 for a command line that
    cannot be understood.
    """
    missing = [name for name in _BROUGHT_BY_THE_EXTRA if find_spec(name) is None]
    if missing:
        sys.stderr.write(f"The command needs {missing[0]}: pip install 'sessiond[cli]'\n")
        raise SystemExit(1)
    from sessiond.cli.command import run

    run()
