"""The command line of the peers' bench."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.peers.environments import environments
from bench.peers.figures import table
from bench.peers.plan import Plan
from bench.peers.postgres import programs
from bench.peers.run import CHECKOUT, PEERS, Document, Failed, measure
from bench.rounding import rounded

# Inside the checkout, because the folder for temporary files is in memory on many machines.
DATA = CHECKOUT / "build" / "peers"
RESULTS = CHECKOUT / "bench" / "results" / "peers.json"
NO_POSTGRES = (
    "skipped: there is no Postgres here. `make bench-peers` as root installs Debian's; "
    "elsewhere install it so that `initdb` is on PATH."
)
_QUIET = 0.1


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.peers", description=__doc__)
    parser.add_argument("--repeats", type=int, help="how often each peer has its turn")
    parser.add_argument("--smoke", action="store_true", help="only whether everything works")
    parser.add_argument("--output", type=Path, help="where the JSON goes")
    asked = parser.parse_args(arguments)
    plan = Plan.smallest() if asked.smoke else Plan(repeats=asked.repeats or Plan().repeats)
    # What a smoke run says is worth nothing: it never takes the place of figures.
    output = asked.output or (DATA / "smoke.json" if asked.smoke else RESULTS)
    found = programs()
    if found is None:
        _say(NO_POSTGRES)
        return 0
    DATA.mkdir(parents=True, exist_ok=True)
    pythons = environments(sorted({peer.library for peer in PEERS}), DATA, told=_say)
    if not pythons:
        return 0
    # So that nothing is left behind by whoever ends us politely.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        document = measure(plan, found, pythons, DATA, told=_say)
    except Failed as failure:
        _say(str(failure))
        return 1
    write(document, output)
    print("\n".join(table(document["rows"], {peer.key: peer.name for peer in PEERS})))
    if document["cpu_of_others"] > _QUIET:
        _say(
            f"Other programs took {document['cpu_of_others']:.0%} of the CPUs meanwhile: "
            "these figures are worth little. Run again when the machine is quiet."
        )
    return 0


def write(document: Document, path: Path) -> None:
    """Write the document, with four significant digits."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(rounded(document), indent=2) + "\n")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
