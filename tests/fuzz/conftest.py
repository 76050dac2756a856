"""A running system with sessions in every state."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import httpx
import pytest
import pytest_asyncio
import requests

from cluster.etcd_binary import EtcdBinary
from cluster.topology import Topology
from tests.e2e.system import System, running
from tests.fuzz.known import DOOMED, MEMBER, STATES, USER, sessions_in


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run these alone: schemathesis gives all its tests one id, by which workers divide them."""
    for item in items:
        if "tests/fuzz/" in item.path.as_posix():
            item.add_marker(pytest.mark.alone)


@dataclass(frozen=True)
class Door:
    """Where the gateway is, who comes, and over which connection."""

    url: str
    headers: dict[str, str]
    session: requests.Session


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def known(
    etcd_binary: EtcdBinary, ports: Iterator[int], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[System]:
    """One of each part, with all sessions that the caller knows."""
    home = tmp_path_factory.mktemp("fuzz")
    async with running(Topology.anywhere(ports), home, etcd_binary) as system:
        # A service may speak as whomever it likes, and is not held to a user's rate.
        api = system.api("desk", role="service", acting_for=USER)
        for name, steps in STATES.items():
            for sid in sessions_in(name):
                await _create(api, sid)
                for place, step in enumerate(steps):
                    await _do(api, sid, step, f"o{place}")
        for start in range(0, len(DOOMED), 20):
            await asyncio.gather(*(_create(api, sid) for sid in DOOMED[start : start + 20]))
        yield system


async def _create(api: httpx.AsyncClient, sid: str) -> None:
    answer = await api.post("/api/sessions", json={"id": sid, "title": sid})
    assert answer.status_code == 201, answer.text
    shared = await api.put(f"/api/sessions/{sid}/members/{MEMBER}", json={"role": "viewer"})
    assert shared.is_success, shared.text


async def _do(api: httpx.AsyncClient, sid: str, step: str, output: str) -> None:
    approve = f"/api/chat/{sid}/approve"
    match step:
        case "message":
            answer = await api.post(f"/api/chat/{sid}/messages", json={"content": "hello"})
        case "output":
            body = {"content": "a plan", "outputId": output}
            answer = await api.post(f"/api/chat/{sid}/outputs", json=body)
        case "approve":
            answer = await api.put(approve, json={})
        case "reject":
            answer = await api.put(approve, json={"decision": "rejected", "feedback": "no"})
        case _:
            answer = await api.put(f"/api/sessions/{sid}/{step}")
    assert answer.is_success, answer.text


@pytest.fixture(scope="session")
def door(known: System) -> Iterator[Door]:
    """The way in, for a caller who owns all of the known sessions."""
    with requests.Session() as session:
        session.trust_env = False
        token = known.keys.user_token(USER)
        url = f"http://{known.cluster.address('gateway-1')}"
        yield Door(url, {"Authorization": f"Bearer {token}"}, session)
