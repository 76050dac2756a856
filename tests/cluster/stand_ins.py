"""Stand-ins as parts."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from cluster.part import Part


def stand_in(
    name: str, port: int, journal: Path, manner: str = "plain", *, drain_seconds: float = 5.0
) -> Part:
    """Return a part that behaves in this manner (see `stand_in.py`)."""
    program = Path(__file__).with_name("stand_in.py")
    return Part(
        name=name,
        address=f"127.0.0.1:{port}",
        argv=(sys.executable, str(program), name, str(port), str(journal), manner),
        env=os.environ,
        ready_url=f"http://127.0.0.1:{port}/readyz",
        drain_seconds=drain_seconds,
    )


def entries(journal: Path) -> list[str]:
    """Return what the stand-ins wrote, in the order in which they did."""
    return journal.read_text().splitlines()
