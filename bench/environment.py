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
_SYNCS = 100


@dataclass(frozen=True, slots=True)
class Environment:
    """Attributes:
    cores: the CPUs that this process may use, and all parts with it.
    load_before: what waited for a CPU before the run, over one minute; a quiet machine has less
        than half a core's worth.
    sync_ms: how long the disk takes to make 4 KiB durable, the median.
    """

    cores: int
    load_before: float
    sync_ms: float
    python: str
    etcd: str
    packages: dict[str, str]

    @property
    def quiet(self) -> bool:
        return self.load_before < 0.25 * self.cores


def environment_of(binary: EtcdBinary, folder: Path) -> Environment:
    """Return what this process runs on, with a folder on the disk to be used."""
    return Environment(
        cores=len(os.sched_getaffinity(0)),
        load_before=os.getloadavg()[0],
        sync_ms=_sync_seconds(folder / "sync") * 1000,
        python=platform.python_version(),
        etcd=spelled(binary.version),
        packages={name: version(name) for name in PACKAGES},
    )


def _sync_seconds(path: Path) -> float:
    took = []
    with path.open("wb", buffering=0) as file:
        for _ in range(_SYNCS):
            started = time.perf_counter()
            file.write(b"x" * 4096)
            os.fdatasync(file.fileno())
            took.append(time.perf_counter() - started)
    return median(took)
