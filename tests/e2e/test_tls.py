"""TLS everywhere by settings, with certificates on both sides of every connection."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import httpx
import pytest
import pytest_asyncio

from cluster.etcd import EtcdTls, etcd_parts
from cluster.etcd_binary import EtcdBinary
from cluster.keys import DevelopmentKeys
from cluster.part import Part
from cluster.topology import Topology
from services.store.etcd.client import EtcdClient
from services.store.etcd.endpoints import Tls
from services.store.etcd.errors import Unavailable
from services.store.etcd.transactions import read
from sessiond.v1.ownership_pb2 import IdentifyRequest
from sessiond.v1.ownership_pb2_grpc import InstanceServiceStub
from sessiond.v1.store_pb2 import GetSessionRequest
from sessiond.v1.store_pb2_grpc import StoreServiceStub
from tests.e2e.answers import good
from tests.e2e.system import NOBODY, System, plain_environ, running
from tests.serving.authority import Authority, Pair


class Secured(NamedTuple):
    """A system that speaks TLS only, its authority, and an authority that it does not know."""

    system: System
    ours: Authority
    theirs: Authority


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def secured(
    etcd_binary: EtcdBinary, ports: Iterator[int], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Secured]:
    """One of each part; each has a certificate of its own and asks its callers for theirs."""
    home, folder = tmp_path_factory.mktemp("secured"), tmp_path_factory.mktemp("certificates")
    ours, theirs = Authority(folder, "ours"), Authority(folder, "theirs")

    def settings(part: str) -> dict[str, str]:
        pair = ours.issue(part)
        found = {"TLS_CLIENT_CA": ours.path, "PEER_CA": ours.path}
        found |= dict.fromkeys(("TLS_CERT", "PEER_CERT"), pair.certificate)
        found |= dict.fromkeys(("TLS_KEY", "PEER_KEY"), pair.key)
        if part == "store":
            found |= {"ETCD_CA": ours.path, "ETCD_CERT": pair.certificate, "ETCD_KEY": pair.key}
        return {f"SESSIOND_{name}": str(path) for name, path in found.items()}

    kinds = ("store", "live", "gateway")
    topology = Topology.anywhere(ports, settings={kind: settings(kind) for kind in kinds})
    etcd, supervisor = ours.issue("etcd"), ours.issue("supervisor")
    tls = EtcdTls(ours.path, etcd.certificate, etcd.key, supervisor.certificate, supervisor.key)

    def with_tls(stages: list[list[Part]], _: DevelopmentKeys) -> list[list[Part]]:
        etcds = etcd_parts(etcd_binary, topology.etcds, home / "etcd", plain_environ(), tls=tls)
        return [etcds, *stages[1:]]

    async with running(topology, home, etcd_binary, stages=with_tls) as system:
        system.trust = trust(ours, ours.issue("browser"))
        yield Secured(system, ours, theirs)


def trust(authority: Authority, shown: Pair | None) -> ssl.SSLContext:
    """Return how a client speaks that trusts the authority, and shows the certificate."""
    context = ssl.create_default_context(cafile=str(authority.path))
    if shown is not None:
        context.load_cert_chain(shown.certificate, shown.key)
    return context


def credentials(authority: Authority, shown: Pair | None) -> grpc.ChannelCredentials:
    """The same for gRPC."""
    return grpc.ssl_channel_credentials(
        authority.path.read_bytes(),
        shown.key.read_bytes() if shown else None,
        shown.certificate.read_bytes() if shown else None,
    )


async def test_a_conversation_goes_through_tls_alone(
    secured: Secured, name: Callable[[str], str]
) -> None:
    """From the browser to etcd and back."""
    client = secured.system.api(name("judy"))
    session = good(await client.post("/api/sessions", json={"userInputs": {"a": 1}}), 201)
    path, chat = f"/api/sessions/{session['id']}", f"/api/chat/{session['id']}"
    good(await client.post(f"{chat}/messages", json={"content": "Is this private?"}), 201)
    good(await client.post(f"{chat}/outputs", json={"content": "It is."}), 201)
    approved = good(await client.put(f"{chat}/approve"))
    assert approved["currentStep"] == 1
    assert good(await client.get(path)) == approved
    good(await client.delete(path), 204)


async def test_who_shows_no_certificate_of_ours_gets_no_connection(secured: Secured) -> None:
    """At the gateway, at Live, at Store and at etcd; a certificate of somebody else is none."""
    system, ours, theirs = secured
    token = system.calling("judy")
    strangers = (None, theirs.issue("stranger"))
    calls: list[tuple[str, Callable[[grpc.aio.Channel], Any]]] = [
        ("live-1", lambda channel: InstanceServiceStub(channel).Identify(IdentifyRequest())),
        (
            "store-1",
            lambda channel: StoreServiceStub(channel).GetSession(
                GetSessionRequest(session_id="x"), metadata=token, timeout=10
            ),
        ),
    ]
    for part, call in calls:
        for shown in strangers:
            address = system.cluster.address(part)
            async with grpc.aio.secure_channel(address, credentials(ours, shown)) as channel:
                with pytest.raises(grpc.aio.AioRpcError) as refused:
                    await call(channel)
                assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
        good_pair = credentials(ours, ours.issue("good"))
        async with grpc.aio.secure_channel(system.cluster.address(part), good_pair) as channel:
            try:
                await call(channel)
            except grpc.aio.AioRpcError as answered:
                assert answered.code() is grpc.StatusCode.NOT_FOUND
    for shown in strangers:
        url = f"https://{system.cluster.address('gateway-1')}/healthz"
        async with httpx.AsyncClient(verify=trust(ours, shown), trust_env=False) as client:
            with pytest.raises(httpx.TransportError):
                await client.get(url)
        tls = Tls(
            ours.path.read_bytes(),
            shown.certificate.read_bytes() if shown else None,
            shown.key.read_bytes() if shown else None,
        )
        async with EtcdClient([system.cluster.address("etcd-1")], tls=tls) as etcd:
            with pytest.raises(Unavailable):
                await etcd.range(read(b"session:"), within=2)


async def test_plain_text_is_refused_everywhere(secured: Secured) -> None:
    """No part falls back to it."""
    for part in ("gateway-1", "live-1", "store-1", "etcd-1"):
        host, _, port = secured.system.cluster.address(part).partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        async with asyncio.timeout(10):
            try:
                answered = await reader.read()
            except ConnectionError:
                answered = b""
        writer.close()
        # etcd says in plain text that it wants TLS; nobody says anything else.
        assert b" 200 " not in answered
        assert answered == b"" or b" 400 " in answered or answered[:1] == b"\x15", answered
        async with grpc.aio.insecure_channel(f"{host}:{port}") as channel:
            stub: Any = InstanceServiceStub(channel)
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await stub.Identify(IdentifyRequest(), timeout=5)
            assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
    async with httpx.AsyncClient(verify=NOBODY, trust_env=False) as client:
        with pytest.raises(httpx.TransportError):
            await client.get(f"http://{secured.system.cluster.address('gateway-1')}/healthz")


async def test_a_caller_refuses_a_server_of_another_authority(
    secured: Secured, etcd_binary: EtcdBinary, tmp_path: Path, ports: Iterator[int]
) -> None:
    """A gateway that trusts another authority has nothing behind it, and says so."""
    system, ours, theirs = secured
    pair = ours.issue("impostor")
    environ = {
        "SESSIOND_STORE_ADDRESSES": system.cluster.address("store-1"),
        "SESSIOND_LIVE_ADDRESSES": system.cluster.address("live-1"),
        "SESSIOND_PEER_CA": str(theirs.path),
        "SESSIOND_PEER_CERT": str(pair.certificate),
        "SESSIOND_PEER_KEY": str(pair.key),
    }
    topology = Topology.anywhere(ports, etcds=0, stores=0, lives=0, settings={"gateway": environ})

    def alive(stages: list[list[Part]], _: DevelopmentKeys) -> list[list[Part]]:
        (gateway,) = stages[3]
        asked = gateway.ready_url.replace("/readyz", "/healthz")  # it never gets ready
        return [[Part(gateway.name, gateway.address, gateway.argv, gateway.env, asked)]]

    async with running(topology, tmp_path, etcd_binary, stages=alive) as lonely:
        answer = await lonely.api("judy").get("/readyz")
        assert answer.status_code == 503
        answer = await lonely.api("judy").get("/api/sessions/x")
        assert (answer.status_code, answer.json()["code"]) == (503, "UNAVAILABLE")
