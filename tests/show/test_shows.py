"""The shows on real parts, so small that only their truth can be looked at."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from cluster.etcd_binary import EtcdBinary
from show import idle, kill, upheaval
from show.crowd import Crowd
from show.outcome import Outcome

CHECKOUT = Path(__file__).resolve().parents[2]
# Times are no test of a machine that is busy with other tests.
FEW = replace(kill.SHOW, sessions=4, lives=2, aim_ms=1e6)


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*")}


def nothing(_: str) -> None:
    pass


async def test_a_kill_loses_nothing_and_leaves_nothing(
    etcd_binary: EtcdBinary, tmp_path: Path
) -> None:
    """Two Lives, of which one is killed; the data is removed when all was well."""
    outcome = Outcome("kill", 1)
    await upheaval.run(FEW, etcd_binary, outcome, seconds=5, told=nothing, data=tmp_path)
    told = json.loads(outcome.line())
    told.pop("gap_p99_ms_aim")
    assert outcome.ok, told
    assert told["planned"] == told["acknowledged"] == 8 * 15
    assert (told["clients"], told["faults"]) == (8, 1)
    assert told["takeovers"] >= 1
    assert files(tmp_path) == set()


async def test_an_acknowledgement_that_is_not_stored_makes_a_show_not_ok(
    etcd_binary: EtcdBinary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What clients were told is compared with what stands in etcd; the logs stay to be read."""
    settle = Crowd.settle

    async def lie(self: Crowd) -> None:
        await settle(self)
        self.operations[7].op_id += "-of-which-nobody-heard"

    monkeypatch.setattr(Crowd, "settle", lie)
    outcome = Outcome("kill", 2)
    await upheaval.run(FEW, etcd_binary, outcome, seconds=5, told=nothing, data=tmp_path)
    assert any("was acknowledged, and is not stored" in each for each in outcome.wrong)
    assert json.loads(outcome.line())["ok"] is False
    assert "live-1.log" in files(tmp_path)
    assert "member" not in files(tmp_path), "etcd's data are removed"


async def test_idle_streams_are_counted_beside_busy_ones(
    etcd_binary: EtcdBinary, tmp_path: Path
) -> None:
    """Memory is told by the stream, latency with and without those who wait."""
    outcome = Outcome("idle", 1)
    size = idle.Size(streams=60, busy=10, per_second=5, users=3)
    await idle.run(etcd_binary, outcome, seconds=2, told=nothing, data=tmp_path, size=size)
    told = json.loads(outcome.line())
    assert (told["planned"], told["acknowledged"]) == (100, 100)
    assert told["kb_per_stream"] > 0
    assert min(told["alone_p50_ms"], told["among_p50_ms"], told["ratio_p50"]) > 0


def test_an_interrupted_show_cleans_up_and_says_so() -> None:
    """Ctrl-C while parts run: the last line is JSON, and no process stays behind."""
    show = subprocess.Popen(
        [sys.executable, "-m", "show", "idle", "--duration", "60"],
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert show.stderr is not None
    for line in show.stderr:
        if "a stream for each" in line:
            break
    children = _children_of(show.pid)
    assert len(children) >= 3
    show.send_signal(signal.SIGINT)
    said, _ = show.communicate(timeout=30)
    told = json.loads(said.splitlines()[-1])
    assert (told["ok"], told["wrong"], show.returncode) == (False, ["it was interrupted"], 1)
    assert not [pid for pid in children if Path(f"/proc/{pid}").exists()]


def _children_of(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
