"""However a supervisor ends, nothing that it started stays behind."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.etcd_binary import EtcdBinary
from tests.cluster.stand_ins import entries

Supervised = tuple[asyncio.subprocess.Process, list[int]]


async def start(home: Path, binary: EtcdBinary, ports: Iterator[int]) -> Supervised:
    """Start `supervised.py`; return it and a pidfd of each of its children."""
    # A child inherits what is ignored, and a run under nohup ignores SIGHUP.
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    try:
        supervisor = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.cluster.supervised", str(home), str(binary.path)),
            *(str(next(ports)) for _ in range(5)),
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
    finally:
        signal.signal(signal.SIGHUP, before)
    assert supervisor.stdout is not None
    line = await asyncio.wait_for(supervisor.stdout.readline(), 30)
    assert line.startswith(b"pids ")
    return supervisor, [os.pidfd_open(int(pid)) for pid in line.split()[1:]]


def all_end(children: list[int], within: float = 20) -> bool:
    """Wait until each process has ended; return False if one has not in time."""
    try:
        return all(select.select([child], [], [], within)[0] for child in children)
    finally:
        for child in children:
            os.close(child)


@pytest.mark.parametrize("repetition", range(3))
async def test_a_killed_supervisor_leaves_no_orphan(
    etcd_binary: EtcdBinary, ports: Iterator[int], tmp_path: Path, repetition: int
) -> None:
    """SIGKILL of the supervisor ends etcd and every part, though none of them was asked."""
    supervisor, children = await start(tmp_path, etcd_binary, ports)
    supervisor.kill()
    await supervisor.wait()
    assert all_end(children)
    assert not any("asked to stop" in entry for entry in entries(tmp_path / "journal"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_a_stop_is_orderly_and_complete(
    etcd_binary: EtcdBinary, ports: Iterator[int], tmp_path: Path, number: signal.Signals
) -> None:
    """A signal to the whole process group, as Ctrl-C gives it, stops the parts top down."""
    supervisor, children = await start(tmp_path, etcd_binary, ports)
    os.killpg(supervisor.pid, number)
    assert await asyncio.wait_for(supervisor.wait(), 20) == 0
    assert all_end(children, within=0)
    stops = [entry for entry in entries(tmp_path / "journal") if entry.endswith("stop")]
    assert stops[0] == "top-1 asked to stop"
    assert sorted(stops[1:]) == ["middle-1 asked to stop", "middle-2 asked to stop"]


async def test_a_death_stops_the_others(
    etcd_binary: EtcdBinary, ports: Iterator[int], tmp_path: Path
) -> None:
    """When one part is killed from outside, the rest is stopped and the exit code says failure."""
    supervisor, children = await start(tmp_path, etcd_binary, ports)
    signal.pidfd_send_signal(children[0], signal.SIGKILL)
    assert await asyncio.wait_for(supervisor.wait(), 20) == 1
    assert all_end(children, within=0)
