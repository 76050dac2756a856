"""How the parts of a round are started: as they are in production, with a few ways to harm them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cluster.etcd import GIB
from cluster.part import Part

_FAKETIME = (
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1",
)
_TMPFS = "192m"
_PREFERENCES = ("SESSIOND_STORE_ADDRESSES", "SESSIOND_LIVE_ADDRESSES", "SESSIOND_ETCD_ENDPOINTS")


@dataclass(frozen=True, slots=True)
class Needs:
    """What a round needs beside parts, because of its faults.

    Attributes:
        ttl_seconds: how long an instance of Live outlives its last heartbeat.
        quota_bytes: etcd's space.
        small_disk: the member whose data lie on a small disk of its own; "" for none.
        clocks: whether the wall clocks of our own parts can be set.
    """

    ttl_seconds: int = 3
    quota_bytes: int = 8 * GIB
    small_disk: str = ""
    clocks: bool = False


def orders_of(home: Path, name: str) -> Path:
    """Return the file of orders to a part."""
    return home / f"{name}.orders"


def clock_of(home: Path, name: str) -> Path:
    """Return the file that sets a part's wall clock."""
    return home / f"{name}.clock"


def faketime() -> str:
    """Return the library that fakes wall clocks; "" where it is not installed."""
    return next((path for path in _FAKETIME if Path(path).exists()), "")


def launched(stage: Sequence[Part], home: Path, needs: Needs) -> list[Part]:
    """Return our own parts as they are started here.

    They obey orders and have clocks of theirs. Each prefers other ones of those that it calls, so
    that all of them are used.
    """
    return [part if part.kind == "etcd" else _obeying(part, home, needs) for part in stage]


def _obeying(part: Part, home: Path, needs: Needs) -> Part:
    first = int(part.name.rpartition("-")[2]) - 1
    env = {
        name: _rotated(value, first) if name in _PREFERENCES else value
        for name, value in part.env.items()
    }
    if needs.clocks:
        clock = clock_of(home, part.name)
        clock.write_text("+0\n")
        env |= {
            "LD_PRELOAD": faketime(),
            "FAKETIME_TIMESTAMP_FILE": str(clock),
            "FAKETIME_CACHE_DURATION": "1",
            "DONT_FAKE_MONOTONIC": "1",
        }
    argv = (sys.executable, "-m", "tests.faults.parts", part.kind, str(orders_of(home, part.name)))
    return replace(part, argv=argv, env=env)


def _rotated(addresses: str, first: int) -> str:
    each = addresses.split(",")
    first %= len(each)
    return ",".join(each[first:] + each[:first])


def mount(folder: Path) -> Path:
    folder.mkdir(parents=True, mode=0o700)
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={_TMPFS},mode=0700", "tmpfs", folder], check=True
    )
    return folder


def unmount(folder: Path) -> None:
    subprocess.run(["umount", "--lazy", folder], check=False)
