"""How much memory a process holds."""

from __future__ import annotations

from pathlib import Path


def resident_kb(pid: int) -> int:
    """Return the memory of a process, in KB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise ProcessLookupError(pid)
