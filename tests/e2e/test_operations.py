"""What whoever runs the parts relies on: health, figures, logs, settings."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from sessiond.v1.live_pb2 import AppendMessageRequest
from tests.e2e.answers import good
from tests.e2e.system import NOBODY, System

OURS = ("store-1", "live-1", "gateway-1")


def page_of(system: System, part: str, page: str) -> str:
    return system.cluster.part(part).ready_url.replace("/readyz", page)


async def test_each_part_says_whether_it_lives_and_whether_it_is_ready(system: System) -> None:
    """Over HTTP beside its figures, over gRPC where it speaks gRPC, and at the gateway's door."""
    pages = [page_of(system, part, page) for part in OURS for page in ("/healthz", "/readyz")]
    door = f"http://{system.cluster.address('gateway-1')}"
    async with httpx.AsyncClient(verify=NOBODY, trust_env=False) as client:
        for url in (*pages, f"{door}/healthz", f"{door}/readyz"):
            answer = await client.get(url)
            assert (answer.status_code, answer.text) == (200, "ok\n")
    for part in ("store-1", "live-1"):
        stub: Any = health_pb2_grpc.HealthStub(system.channel(part))
        for service in ("", "ready"):
            health = await stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=5)
            assert health.status == health_pb2.HealthCheckResponse.SERVING


async def test_figures_name_methods_and_codes_and_nobody(
    system: System, alice: httpx.AsyncClient, name: Callable[[str], str]
) -> None:
    """No label holds a session, a user or anything else whose number has no bound."""
    session_id = name("figures")
    good(await alice.post("/api/sessions", json={"id": session_id}), 201)
    good(await alice.post(f"/api/chat/{session_id}/messages", json={"content": "x"}), 201)
    assert (await alice.get(f"/api/sessions/{name('none')}")).status_code == 404
    assert (await alice.get(f"/{name('no-route')}")).status_code == 404
    figures = {part: await system.figures(part) for part in OURS}
    service = "sessiond.v1.StoreService"
    create = f'method="/{service}/CreateSession"'
    assert _count(figures["store-1"], "sessiond_grpc_calls_total", 'code="OK"', create) >= 1
    missed = f'method="/{service}/GetSession"'
    assert _count(figures["store-1"], "sessiond_grpc_calls_total", "NOT_FOUND", missed) >= 1
    append = 'method="/sessiond.v1.LiveService/AppendMessage"'
    assert _count(figures["live-1"], "sessiond_grpc_calls_total", 'code="OK"', append) >= 1
    assert _count(figures["gateway-1"], "_total", 'code="201"', "/api/sessions") >= 1
    for samples in figures.values():
        for sample in samples:
            assert session_id not in sample
            assert name("") not in sample
            labels = set(re.findall(r"[{,](\w+)=", sample))
            if sample.startswith("sessiond_"):
                assert labels <= {"method", "route", "code", "le", "outcome", "kind"}, sample


def _count(figures: Mapping[str, float], *parts: str) -> float:
    found = [value for sample, value in figures.items() if all(part in sample for part in parts)]
    assert found, parts
    return sum(found)


async def test_a_request_id_is_logged_by_every_part_that_it_passes(
    system: System, alice: httpx.AsyncClient, name: Callable[[str], str]
) -> None:
    """Gateway, Live and Store: each line is JSON, and says which part wrote it."""
    session_id, request_id = name("logged"), name("request")
    good(await alice.post("/api/sessions", json={"id": session_id}), 201)
    answer = await alice.post(
        f"/api/chat/{session_id}/messages",
        json={"content": "x"},
        headers={"X-Request-Id": request_id},
    )
    good(answer, 201)
    assert answer.headers["x-request-id"] == request_id
    for part in OURS:
        lines = [json.loads(line) for line in system.log(part).splitlines()]
        passed = [line for line in lines if line.get("request_id") == request_id]
        assert passed, part
        for line in passed:
            assert {"timestamp", "level", "event"} <= line.keys()
            assert line["part"] == part.removesuffix("-1")
    chosen = (await alice.get("/api/sessions/x", headers={"X-Request-Id": "a b\tc"})).headers
    assert re.fullmatch(r"[A-Za-z0-9._-]{1,64}", chosen["x-request-id"])


async def test_no_log_holds_a_token_or_what_people_wrote(
    system: System, alice: httpx.AsyncClient, name: Callable[[str], str]
) -> None:
    """Whether it was accepted or refused, at whichever part."""
    session_id, marker = name("secret"), name("MARKER")
    body = {
        "id": session_id,
        "title": f"{marker} title",
        "userInputs": {marker: marker},
        "metadata": {"note": marker},
    }
    good(await alice.post("/api/sessions", json=body), 201)
    path, chat = f"/api/sessions/{session_id}", f"/api/chat/{session_id}"
    said = {"content": marker, "metadata": {marker: 1}}
    good(await alice.post(f"{chat}/messages", json=said), 201)
    good(await alice.post(f"{chat}/outputs", json={"content": marker, "outputId": "plan"}), 201)
    good(await alice.put(f"{chat}/outputs/plan", json={"content": marker * 2}))
    good(await alice.put(f"{chat}/approve", json={"feedback": marker}))
    good(await alice.patch(path, json={"title": marker, "userInputs": {"b": marker}}))
    good(await alice.get(f"/api/users/{name('alice')}/sessions?q={marker}"))
    good(await alice.get(path))
    refused = [
        await alice.post(f"{chat}/messages", json={"content": marker, marker: 1}),
        await alice.post(f"{chat}/messages", content=f'{{"content": "{marker}'),
        await alice.post("/api/sessions", json={**body, "title": marker * 200}),
        await alice.post(f"{chat}/messages", json={"content": marker, "sender": "agent"}),
        await alice.patch(path, json={"title": marker}, headers={"If-Match": '"1"'}),
        await alice.get(path, headers={"Authorization": f"Bearer {marker}"}),
        await alice.get(f"{path}?token={marker}"),
        await alice.post("/api/sessions", json=body),
    ]
    assert all(400 <= answer.status_code < 500 for answer in refused)
    live, metadata = system.live(), system.calling(name("alice"))
    request = AppendMessageRequest(session_id=session_id, content=marker, op_id="\n")
    with pytest.raises(grpc.aio.AioRpcError):
        await live.AppendMessage(request, metadata=metadata, timeout=10)
    signatures = [
        alice.headers["authorization"].rpartition(".")[2],
        metadata[0][1].rpartition(".")[2],
        *(
            (system.home / "keys" / f"{part}.jwt").read_text().rpartition(".")[2].strip()
            for part in ("live", "gateway")
        ),
    ]
    logs = sorted((system.home / "logs").iterdir())
    assert {log.stem for log in logs} == {"etcd-1", *OURS}
    for log in logs:
        text = log.read_text()
        assert marker not in text
        assert "Bearer" not in text
        assert not any(signature in text for signature in signatures)
    assert session_id not in system.log("etcd-1")


async def refused(system: System, part: str, **changed: str) -> list[str]:
    """Return what a part says when it refuses its settings; it must leave with exit code 2."""
    like = system.cluster.part(part)
    env = {**like.env, "SESSIOND_LISTEN": "127.0.0.1:0", "SESSIOND_METRICS_LISTEN": ""}
    process = await asyncio.create_subprocess_exec(
        *like.argv,
        env={**env, **changed},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(30):
        out, _ = await process.communicate()
    assert process.returncode == 2, out.decode()
    first, *lines = out.decode().splitlines()
    assert first == "The settings are not valid:"
    return [line.split(":")[0].strip() for line in lines]


@pytest.mark.parametrize(
    ("part", "own"),
    [
        ("store-1", {"ETCD_ENDPOINTS": "", "LEASE_TTL_SECONDS": "1", "LIMIT_CONTENT": "-1"}),
        ("live-1", {"STORE_ADDRESSES": "here", "ANSWER_SECONDS": "0", "IDLE_SECONDS": "nan"}),
        ("gateway-1", {"LIVE_ADDRESSES": "", "CORS_ORIGINS": "*", "MAX_BODY_BYTES": "x"}),
    ],
)
async def test_every_bad_setting_is_named_in_one_message(
    system: System, tmp_path: Path, part: str, own: dict[str, str]
) -> None:
    """And never its value."""
    bad = {
        **own,
        "LISTEN": "nowhere",
        "ENV": "test",
        "JWT_ISSUER": "",
        "JWT_ALGORITHMS": "none",
        "TLS_CERT": str(tmp_path / "missing.pem"),
        "DRAIN_SECONDS": "soon",
    }
    named = await refused(system, part, **{f"SESSIOND_{key}": bad[key] for key in bad})
    assert {f"SESSIOND_{key}" for key in bad} <= set(named)


@pytest.mark.parametrize("part", OURS)
async def test_production_refuses_development_keys(system: System, part: str) -> None:
    """Both to check tokens with and as a part's own identity."""
    named = await refused(system, part, SESSIOND_ENV="production")
    expected = ["SESSIOND_JWT_JWKS"]
    if part != "store-1":
        expected.insert(0, "SESSIOND_IDENTITY_TOKEN_FILE")
    assert named == expected
