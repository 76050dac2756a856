"""The gateway as it runs, over stand-ins for the parts behind it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from joserfc import jwt
from joserfc.jwk import OctKey
from prometheus_client import CollectorRegistry

from gateway.app import serving
from gateway.settings import GatewaySettings
from services.serving.addresses import HostPort
from services.serving.health import Health
from services.serving.running import Running
from tests.gateway.parts import Part

SECRET = b"0123456789abcdef0123456789abcdef-for-tests"
ORIGIN = "https://app.example.com"


def token(subject: str = "alice", **claims: Any) -> str:
    """A token of this caller."""
    payload = {
        "iss": "tests",
        "aud": "sessiond",
        "sub": subject,
        "exp": int(time.time()) + 3600,
    } | claims
    return jwt.encode({"alg": "HS256"}, payload, OctKey.import_key(SECRET), algorithms=["HS256"])


def bearer(subject: str = "alice", **claims: Any) -> dict[str, str]:
    """The header of this caller."""
    return {"Authorization": f"Bearer {token(subject, **claims)}"}


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a shared secret and the gateway's own token."""
    folder = tmp_path_factory.mktemp("keys")
    (folder / "secret").write_bytes(SECRET)
    (folder / "identity").write_text(token("gateway", role="gateway"))
    return folder


def settings(keys: Path, store: list[Part], live: list[Part], **more: Any) -> GatewaySettings:
    """The settings of a gateway over these parts."""
    given: dict[str, Any] = {
        "listen": HostPort("127.0.0.1", 0),
        "jwt_issuer": "tests",
        "jwt_audience": "sessiond",
        "jwt_secret_file": keys / "secret",
        "jwt_algorithms": ("HS256",),
        "identity_token_file": keys / "identity",
        "store_addresses": tuple(part.address for part in store),
        "live_addresses": tuple(part.address for part in live),
        "cors_origins": (ORIGIN,),
        "drain_seconds": 2.0,
    }
    return GatewaySettings(**(given | more))


@asynccontextmanager
async def opened(told: GatewaySettings) -> AsyncIterator[tuple[HostPort, Running]]:
    """A gateway that serves while the block runs."""
    running = Running(Health(), CollectorRegistry())
    async with serving(told, running) as address:
        yield address, running


@asynccontextmanager
async def client_of(address: HostPort, **headers: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client that says who it is, and sends paths as they are."""
    async with httpx.AsyncClient(
        base_url=f"http://{address}", headers=bearer() | headers, timeout=20, verify=False
    ) as client:
        yield client


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def standing(keys: Path) -> AsyncIterator[tuple[HostPort, Part, Part]]:
    """One gateway for all these tests, over one Store and one Live.

    It ends with them: it goes on asking its Store, and says so, while tests of other folders run.
    """
    async with (
        Part() as store,
        Part() as live,
        opened(settings(keys, [store], [live])) as (address, _),
    ):
        yield address, store, live


@pytest.fixture
def address(standing: tuple[HostPort, Part, Part]) -> HostPort:
    """Where that gateway serves."""
    return standing[0]


@pytest.fixture
def store(standing: tuple[HostPort, Part, Part]) -> Part:
    """Its Store, which has heard nothing yet."""
    standing[1].forget()
    return standing[1]


@pytest.fixture
def live(standing: tuple[HostPort, Part, Part]) -> Part:
    """Its Live, which has heard nothing yet."""
    standing[2].forget()
    return standing[2]


@pytest_asyncio.fixture
async def http(address: HostPort, store: Part, live: Part) -> AsyncIterator[httpx.AsyncClient]:
    """A client of alice's."""
    async with client_of(address) as client:
        yield client
