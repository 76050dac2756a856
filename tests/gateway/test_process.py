"""The gateway as a process, and with TLS on both of its sides."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import ssl
import sys
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosedError
from websockets.typing import Origin

from gateway.websocket_connections import BoundedWebSocket
from services.serving.addresses import HostPort
from services.serving.certificates import server_credentials
from tests.gateway.conftest import bearer, opened, settings, token
from tests.gateway.parts import Part
from tests.serving.authority import Authority


async def test_a_process_serves_until_sigterm_and_leaves_with_0(
    keys: Path, store: Part, live: Part, tmp_path: Path
) -> None:
    """Settings from the environment, an answer, a drained end."""
    environment = {
        "PATH": os.environ["PATH"],
        "SESSIOND_LISTEN": "127.0.0.1:0",
        "SESSIOND_JWT_ISSUER": "tests",
        "SESSIOND_JWT_AUDIENCE": "sessiond",
        "SESSIOND_JWT_ALGORITHMS": "HS256",
        "SESSIOND_JWT_SECRET_FILE": str(keys / "secret"),
        "SESSIOND_IDENTITY_TOKEN_FILE": str(keys / "identity"),
        "SESSIOND_STORE_ADDRESSES": str(store.address),
        "SESSIOND_LIVE_ADDRESSES": str(live.address),
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway"), env=environment, stderr=asyncio.subprocess.PIPE
    )
    try:
        assert process.stderr is not None
        async with asyncio.timeout(30):
            while b'"serving"' not in (line := await process.stderr.readline()):
                assert line, "the gateway ended before it served"
            process.send_signal(signal.SIGTERM)
            assert await process.wait() == 0
            rest = await process.stderr.read()
        assert b'"stopped"' in rest
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_bad_settings_end_the_process_with_2() -> None:
    """A gateway that cannot know what to do does not start."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway"), env={}, stderr=asyncio.subprocess.PIPE
    )
    _, told = await process.communicate()
    assert process.returncode == 2
    assert b"SESSIOND_STORE_ADDRESSES: is required" in told


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"), "ours")


async def test_tls_on_both_sides_by_settings(keys: Path, authority: Authority) -> None:
    """Browsers reach it over HTTPS; Store and Live over mutual TLS."""
    part, front, client = (authority.issue(name) for name in ("part", "front", "client"))
    shown = server_credentials(part.certificate, part.key, authority.path)
    async with Part(credentials=shown) as store, Part(credentials=shown) as live:
        told = settings(
            keys,
            [store],
            [live],
            tls_cert=front.certificate,
            tls_key=front.key,
            peer_ca=authority.path,
            peer_cert=client.certificate,
            peer_key=client.key,
        )
        async with opened(told) as (address, _):
            assert await answered(address, authority) == 200
        plain = settings(keys, [store], [live], tls_cert=front.certificate, tls_key=front.key)
        async with opened(plain) as (address, _):
            assert await answered(address, authority) == 503


async def test_websockets_over_tls(
    keys: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their own pages come over https; what is too large is told, though TLS has no half-close."""
    monkeypatch.setattr(BoundedWebSocket, "linger_seconds", 0.5)
    front = authority.issue("front")
    trust = ssl.create_default_context(cafile=str(authority.path))
    async with Part() as part:
        told = settings(keys, [part], [part], tls_cert=front.certificate, tls_key=front.key)
        async with opened(told) as (address, _):
            url, origin = f"wss://{address}/api/ws/s1", f"https://{address}"
            async with connect(url, ssl=trust, origin=Origin(origin), proxy=None) as socket:
                await socket.send(json.dumps({"hello": {"token": token()}}))
                await socket.send('{"ping": {"payload": "p"}}')
                assert json.loads(await socket.recv()) == {"pong": {"payload": "p"}}
                with pytest.raises(ConnectionClosedError, match="1009"):
                    await socket.send("x" * 2**21)
                    await socket.recv()


async def answered(address: HostPort, authority: Authority) -> int:
    """The status of one read over HTTPS."""
    trust = ssl.create_default_context(cafile=str(authority.path))
    async with httpx.AsyncClient(
        base_url=f"https://{address}", headers=bearer(), verify=trust
    ) as http:
        return (await http.get("/api/sessions/s1")).status_code
