"""Where a run ran: what changes its figures, and nothing that names the machine."""

from __future__ import annotations

import os
import platform
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median

from cluster.etcd_binary import EtcdBinary, spelled

PACKAGES = ("grpcio", "protobuf", "uvloop", "orjson", "uvicorn", "httptools", "starlette")
TICKS = os.sysconf("SC_CLK_TCK")
_SYNCS = 100


@dataclass(frozen=True, slots=True)
class Environment:
    """Attributes:
    cores: the CPUs that this process may use, and all parts with it.
    sync_ms: how long the disk takes to make 4 KiB durable, the median.
    """

    cores: int
    sync_ms: float
    python: str
    etcd: str
    packages: dict[str, str]


def environment_of(binary: EtcdBinary, folder: Path) -> Environment:
    """Return what this process runs on, with a folder on the disk to be used."""
    return Environment(
        cores=len(os.sched_getaffinity(0)),
        sync_ms=sync_seconds(folder / "sync") * 1000,
        python=platform.python_version(),
        etcd=spelled(binary.version),
        packages={name: version(name) for name in PACKAGES},
    )


def busy_seconds() -> tuple[float, float]:
    """Return for how many seconds all CPUs of the machine have worked so far, and have been there.

    What another machine took from this one (steal) counts as work.
    """
    first = Path("/proc/stat").read_text().partition("\n")[0]
    ticks = [int(field) for field in first.split()[1:9]]
    idle, waiting = ticks[3], ticks[4]
    return (sum(ticks) - idle - waiting) / TICKS, sum(ticks) / TICKS


def sync_seconds(path: Path) -> float:
    """Return how long the disk takes to make 4 KiB durable, the median."""
    took = []
    with path.open("wb", buffering=0) as file:
        for _ in range(_SYNCS):
            started = time.perf_counter()
            file.write(b"x" * 4096)
            os.fdatasync(file.fileno())
            took.append(time.perf_counter() - started)
    return median(took)
