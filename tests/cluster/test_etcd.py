"""etcd members come up by themselves and keep what they acknowledged."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from cluster.etcd import Place, etcd_parts
from cluster.etcd_binary import EtcdBinary
from cluster.supervisor import Cluster


def etcdctl(binary: EtcdBinary, address: str, *arguments: str) -> str:
    return subprocess.run(
        [binary.path.with_name("etcdctl"), "--endpoints", address, *arguments],
        env={**os.environ, "ETCDCTL_API": "3"},
        capture_output=True,
        text=True,
        check=True,
        timeout=20,
    ).stdout


def cluster_of(
    members: int, binary: EtcdBinary, ports: Iterator[int], home: Path, **environ: str
) -> Cluster:
    places = [Place(next(ports), next(ports)) for _ in range(members)]
    parts = etcd_parts(binary, places, home, {**os.environ, **environ})
    return Cluster([parts], logs=home / "logs")


async def test_a_single_etcd_keeps_its_data_over_a_restart(
    etcd_binary: EtcdBinary, ports: Iterator[int], tmp_path: Path
) -> None:
    """What one run wrote, the next one reads, whichever ports the two were given."""
    async with cluster_of(1, etcd_binary, ports, tmp_path) as first:
        etcdctl(etcd_binary, first.address("etcd-1"), "put", "kept", "yes")
    async with cluster_of(1, etcd_binary, ports, tmp_path) as second:
        assert etcdctl(etcd_binary, second.address("etcd-1"), "get", "kept") == "kept\nyes\n"


async def test_three_members_go_on_without_one(
    etcd_binary: EtcdBinary, ports: Iterator[int], tmp_path: Path
) -> None:
    """A cluster of three accepts writes while one is dead, and the dead one comes back."""
    async with cluster_of(3, etcd_binary, ports, tmp_path) as cluster:
        await cluster.kill("etcd-1")
        await cluster.ready("etcd-2")
        etcdctl(etcd_binary, cluster.address("etcd-2"), "put", "written", "by two")
        await cluster.start("etcd-1")
        assert (
            etcdctl(etcd_binary, cluster.address("etcd-1"), "get", "written") == "written\nby two\n"
        )


async def test_variables_meant_for_another_etcd_do_no_harm(
    etcd_binary: EtcdBinary, ports: Iterator[int], tmp_path: Path
) -> None:
    """ETCD_* in the environment neither stops our etcd nor changes it."""
    cluster = cluster_of(
        1, etcd_binary, ports, tmp_path, ETCD_NAME="other", ETCD_DATA_DIR=str(tmp_path / "other")
    )
    async with cluster:
        assert not (tmp_path / "other").exists()


async def test_the_shared_etcd_of_the_test_run_answers(
    etcd: Cluster, etcd_binary: EtcdBinary, namespace: str
) -> None:
    """The session-wide fixture is a real etcd, and a namespace is unused when it is given."""
    assert etcdctl(etcd_binary, etcd.address("etcd-1"), "get", "--prefix", namespace) == ""
