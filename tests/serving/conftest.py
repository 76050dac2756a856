"""An identity provider, certificates, and a served echo for the tests of what servers share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from prometheus_client import CollectorRegistry

from services.serving.addresses import HostPort
from services.serving.auth import Authenticator, authenticating
from services.serving.channels import open_channel
from services.serving.health import Health
from services.serving.interceptors import CallInterceptor
from services.serving.metrics import CallMetrics
from services.serving.server import GrpcServer
from services.serving.settings import Settings
from tests.serving.authority import Authority
from tests.serving.echo import Echo
from tests.serving.tokens import AUDIENCE, ISSUER, Clock, Provider


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in list(os.environ):
        if name.startswith("SESSIOND_"):
            monkeypatch.delenv(name)


@pytest.fixture
def clock() -> Clock:
    """A clock that stands still until the test moves it."""
    return Clock()


@pytest.fixture(scope="session")
def _made_keys() -> Provider:
    return Provider(Clock())


@pytest.fixture
def provider(_made_keys: Provider, clock: Clock) -> Provider:
    """An identity provider that goes by the test's clock."""
    _made_keys.clock = clock
    return _made_keys


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The authority that our parts trust."""
    return Authority(tmp_path_factory.mktemp("authority"), "ours")


@pytest.fixture
def jwks(provider: Provider, tmp_path: Path) -> Path:
    """A file of the provider's public keys."""
    return provider.write_keys(tmp_path / "jwks.json")


Configure = Callable[..., Settings]


@pytest.fixture
def configure(jwks: Path) -> Configure:
    """Return settings of a part on a free port of loopback, with changes."""

    def configured(**changes: Any) -> Settings:
        values: dict[str, Any] = {
            "listen": "127.0.0.1:0",
            "jwt_issuer": ISSUER,
            "jwt_audience": AUDIENCE,
            "jwt_algorithms": "ES256,RS256",
            "jwt_jwks": str(jwks),
        }
        return Settings(**(values | changes))

    return configured


@pytest.fixture
async def authenticator(configure: Configure, clock: Clock) -> AsyncIterator[Authenticator]:
    """Verifies the provider's tokens by the test's clock."""
    async with authenticating(configure(), clock=clock) as opened:
        yield opened


@dataclass(frozen=True)
class Served:
    """A served echo, and a channel to it."""

    echo: Echo
    server: GrpcServer
    channel: grpc.aio.Channel
    registry: CollectorRegistry
    health: Health
    address: HostPort


Serve = Callable[..., AbstractAsyncContextManager[Served]]


@pytest.fixture
def serve(configure: Configure, authenticator: Authenticator) -> Serve:
    """Serve an echo: `serve(settings, peers=settings, **of_the_interceptor)`."""

    @asynccontextmanager
    async def serving(
        settings: Settings | None = None,
        *,
        peers: Settings | None = None,
        request_bytes: int = 4 * 1024 * 1024,
        **arguments: Any,
    ) -> AsyncIterator[Served]:
        settings = settings or configure()
        health, registry, echo = Health(), CollectorRegistry(), Echo()
        interceptor = CallInterceptor(authenticator, CallMetrics(registry), **arguments)
        server = GrpcServer(settings, health, interceptor, request_bytes=request_bytes)
        server.grpc.add_generic_rpc_handlers((echo,))
        async with server, open_channel(server.address, peers or settings) as channel:
            yield Served(echo, server, channel, registry, health, server.address)

    return serving
