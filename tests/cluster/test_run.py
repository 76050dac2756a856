"""What `make run` says when it cannot start, and what it prints when asked for a token."""

from __future__ import annotations

import fcntl
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.settings import PORTS, BadSettings, RunSettings


def cluster_command(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cluster", *arguments],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.fixture
def environ(ports: Iterator[int], tmp_path: Path) -> dict[str, str]:
    """Settings that could be run with."""
    free = {setting: str(next(ports)) for setting in PORTS}
    return {"SESSIOND_DATA_DIR": str(tmp_path), **free}


def test_every_bad_setting_is_named_at_once() -> None:
    """Ports that are none, ports that are the same, and production: one error for all."""
    with pytest.raises(BadSettings) as failure:
        RunSettings.read(
            {
                "SESSIOND_ENV": "production",
                "SESSIOND_GATEWAY_PORT": "http",
                "SESSIOND_ETCD_PORT": "65535",
                "SESSIOND_LIVE_PORT": "7201",
            }
        )
    assert str(failure.value).splitlines() == [
        "SESSIOND_ENV=production: development keys serve development only",
        "SESSIOND_GATEWAY_PORT=http is not a port from 1 to 65534",
        "SESSIOND_ETCD_PORT=65535 is not a port from 1 to 65534",
        "SESSIOND_LIVE_PORT and SESSIOND_STORE_PORT are both 7201",
    ]


@pytest.mark.parametrize("setting", PORTS)
def test_a_taken_port_names_the_setting_that_moves_the_part(
    environ: dict[str, str], setting: str
) -> None:
    """Nothing is started: the error comes before, with the setting's name, and exit code 2."""
    with socket.create_server(("127.0.0.1", int(environ[setting]))):
        done = cluster_command("run", **environ)
    assert done.stderr == f"port {environ[setting]} is taken: set {setting} to another one\n"
    assert (done.returncode, done.stdout) == (2, "")


def test_a_taken_peer_port_names_the_setting_beside_it(environ: dict[str, str]) -> None:
    """etcd's members use the port after SESSIOND_ETCD_PORT."""
    peer = int(environ["SESSIOND_ETCD_PORT"]) + 1
    with socket.create_server(("127.0.0.1", peer)):
        done = cluster_command("run", **environ)
    assert f"port {peer} is taken: set SESSIOND_ETCD_PORT" in done.stderr


def test_two_runs_on_the_same_data_are_refused(environ: dict[str, str], tmp_path: Path) -> None:
    """The second is told who has the data and what to do."""
    with (tmp_path / "lock").open("w") as lock:
        lock.write("4711")
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = cluster_command("run", **environ)
    assert done.returncode == 2
    assert f"process 4711 already runs sessiond on {tmp_path}" in done.stderr
    assert "SESSIOND_DATA_DIR" in done.stderr


def test_an_etcd_that_is_none_is_refused(environ: dict[str, str]) -> None:
    """SESSIOND_ETCD_BIN is checked before anything starts."""
    done = cluster_command("run", **environ, SESSIOND_ETCD_BIN="/bin/true")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "SESSIOND_ETCD_BIN=/bin/true is not an etcd that runs here\n"


def test_an_etcd_that_dies_at_start_is_reported(environ: dict[str, str], tmp_path: Path) -> None:
    """The last lines of its log come with the error."""
    fake = tmp_path / "fake-etcd"
    fake.write_text(
        '#!/bin/sh\n[ "$1" = --version ] && echo "etcd Version: 3.6.14" && exit\n'
        "echo the disk is on fire; exit 3\n"
    )
    fake.chmod(0o755)
    done = cluster_command("run", **environ, SESSIOND_ETCD_BIN=str(fake))
    assert done.returncode == 1
    assert "etcd-1 died with exit code 3" in done.stderr
    assert "the disk is on fire" in done.stderr


def test_the_token_command_prints_a_token_and_nothing_else(environ: dict[str, str]) -> None:
    """One line on stdout, nothing on stderr."""
    done = cluster_command("token", "--user", "alice", **environ)
    assert done.returncode == 0
    assert done.stderr == ""
    assert len(done.stdout.splitlines()) == 1
    assert done.stdout.count(".") == 2
