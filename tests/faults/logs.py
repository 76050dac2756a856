"""What the parts of a round logged."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

_SHOWN = 3
"""Of one part; the others stand in its log, which is kept."""


def faults_in(logs: Path) -> list[str]:
    """Return what our own parts call a fault of theirs: lines with the traceback of an exception.

    Whatever a round does to a part, the part has a name for it, and no traceback.
    """
    return [
        f"{log.stem} broke: {line.get('event')}: {line['exception'].splitlines()[-1]}"
        for log in sorted(logs.glob("*.log"))
        for line in islice(_tracebacks(log), _SHOWN)
    ]


def _tracebacks(log: Path) -> Iterator[dict[str, Any]]:
    with log.open(errors="replace") as lines:
        for line in lines:
            if '"exception":' in line:
                try:
                    told = json.loads(line)
                except ValueError:  # cut off where the part was killed
                    continue
                if told.get("level") in ("error", "critical"):
                    yield told
