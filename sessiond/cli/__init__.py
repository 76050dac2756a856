"""The command `sessiond`: sessions from a terminal and from scripts.

It needs the extra `cli`: pip install 'sessiond[cli]'.
"""

from __future__ import annotations

import sys

_BROUGHT_BY_THE_EXTRA = ("joserfc", "prompt_toolkit", "typer")


def main() -> None:
    """Run the command line; ends the process with its exit code.

    0 when all went well, 1 for a failure, which one line on stderr names, 2 for a command line that
    cannot be understood.
    """
    try:
        from sessiond.cli.command import run
    except ModuleNotFoundError as missing:
        if missing.name not in _BROUGHT_BY_THE_EXTRA:
            raise
        sys.stderr.write(f"The command needs {missing.name}: pip install 'sessiond[cli]'\n")
        raise SystemExit(1) from None
    run()
