"""The example agent as a part: which agents it is, by what token, and when it comes and goes."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import yaml

from cluster.etcd_binary import EtcdBinary
from cluster.keys import PART_TOKEN_SECONDS, DevelopmentKeys
from cluster.part import wait_until_ready
from cluster.processes import CHECKOUT, Process
from cluster.settings import PORTS, RunSettings
from cluster.topology import Topology, agents_of

SHIPPED = CHECKOUT / "workflows"


def test_its_names_are_all_agents_of_the_shipped_workflows() -> None:
    """Those of steps, and those of workflows without steps."""
    names = agents_of(SHIPPED)
    assert "assistant" in names
    for path in SHIPPED.glob("*.yaml"):
        workflow = yaml.safe_load(path.read_text())
        assert {step["agent"] for step in workflow.get("steps", [])} <= set(names)
    assert names == sorted(set(names))


def test_its_token_names_them_and_outlives_a_long_run(tmp_path: Path) -> None:
    """Role agent, and as long a life as the tokens of our own parts."""
    keys = DevelopmentKeys(tmp_path, now=lambda: 1_800_000_000)
    payload = keys.agent_token_file(["b", "a"]).read_text().split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    assert (claims["role"], claims["agents"]) == ("agent", ["a", "b"])
    assert claims["exp"] - claims["iat"] == PART_TOKEN_SECONDS


def test_it_comes_last_and_only_where_it_is_asked_for(
    etcd_binary: EtcdBinary, ports: Iterator[int], tmp_path: Path
) -> None:
    """`make run` asks for one; so it goes first, while all that it needs is there."""
    keys = DevelopmentKeys(tmp_path)

    def stages(topology: Topology) -> list[list[str]]:
        parts = topology.stages(binary=etcd_binary, keys=keys, data_dir=tmp_path, environ={})
        return [[part.name for part in stage] for stage in parts]

    free = {setting: str(next(ports)) for setting in PORTS}
    assert stages(RunSettings.read(free).topology())[-1] == ["agent-1"]
    assert stages(Topology.anywhere(ports))[-1] == []
    assert stages(Topology.anywhere(ports, agents=2))[-1] == ["agent-1", "agent-2"]


async def test_a_part_that_nobody_connects_to_is_ready_once_it_runs(
    etcd_binary: EtcdBinary, ports: Iterator[int], tmp_path: Path
) -> None:
    """It has no page to ask."""
    (agent,) = Topology.anywhere(ports, agents=1).stages(
        binary=etcd_binary, keys=DevelopmentKeys(tmp_path), data_dir=tmp_path, environ={}
    )[-1]
    process = Process(agent.name, ("sleep", "60"), env={}, log=tmp_path / "log")
    await process.start()
    try:
        await wait_until_ready(agent, process, 10)
    finally:
        await process.kill()
