"""A system whose etcd is nearly full: it says so, goes on with what it can, and comes back."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from cluster.etcd_binary import EtcdBinary
from cluster.keys import DevelopmentKeys
from cluster.part import Part
from cluster.topology import Topology
from services.store.etcd.client import EtcdClient
from services.store.etcd.transactions import prefix_end
from tests.e2e.answers import good
from tests.e2e.system import running, until

QUOTA = 64 * 2**20
FILL = b"fill"


def told(stages: list[list[Part]], _: DevelopmentKeys) -> list[list[Part]]:
    """Tell each Store the quota, which this etcd does not."""
    quota = {"SESSIOND_ETCD_QUOTA_BYTES": str(QUOTA)}
    return [
        [
            replace(part, env={**part.env, **quota}) if part.name.startswith("store") else part
            for part in stage
        ]
        for stage in stages
    ]


async def test_appends_wait_and_all_else_goes_on(
    etcd_binary: EtcdBinary, ports: Iterator[int], tmp_path: Path
) -> None:
    """Near the quota changes are refused, certainly not applied, and pass once there is space."""
    topology = Topology.anywhere(ports, lives=2, quota_bytes=QUOTA)
    async with (
        running(topology, tmp_path, etcd_binary, stages=told) as system,
        EtcdClient([system.cluster.address("etcd-1")]) as etcd,
    ):
        alice = system.api("alice")
        for name in ("kept", "gone"):
            good(await alice.post("/api/sessions", json={"id": name, "workflowId": "chat"}), 201)
            message = {"content": "one"}
            good(await alice.post(f"/api/chat/{name}/messages", json=message), 201)
        number = 0
        while (await etcd.status()).dbSize < QUOTA * 0.88:
            number += 1
            await etcd.put(FILL + str(number).encode(), bytes(32 * 1024))

        async def append() -> int:
            body = {"content": "two"}
            return (await alice.post("/api/chat/kept/messages", json=body)).status_code

        async def refused() -> bool:
            return await append() == 503

        async def taken() -> bool:
            return await append() == 201

        await until(refused)
        before = await system.records("kept")
        answer = await alice.post("/api/chat/kept/messages", json={"content": "three"})
        assert (answer.status_code, answer.json()["code"]) == (503, "UNAVAILABLE")
        assert answer.json()["retryable"] is True
        await system.cluster.kill("live-1")
        await until(refused)
        assert await system.records("kept") == before
        assert good(await alice.get("/api/sessions/kept"))["revision"] == before[-1].seq
        assert (await alice.delete("/api/sessions/gone")).status_code == 204
        assert (await etcd.status()).errors == []

        await etcd.delete(FILL, prefix_end(FILL))
        await etcd.compact((await etcd.put(b"test", b"")).header.revision)

        async def space() -> bool:
            process = await asyncio.create_subprocess_exec(
                str(etcd_binary.path.with_name("etcdctl")),
                f"--endpoints={etcd.endpoint}",
                "defrag",
                env={**os.environ, "ETCDCTL_API": "3"},
                stdout=asyncio.subprocess.DEVNULL,
            )
            assert await process.wait() == 0
            return (await etcd.status()).dbSize < QUOTA / 2

        await until(space)
        await until(taken)
