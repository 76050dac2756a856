"""A Store on the in-memory repository: its parts, and the whole of it behind a real port."""

from __future__ import annotations

import itertools
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from prometheus_client import CollectorRegistry

from services.serving.channels import open_channel
from services.serving.health import Health
from services.serving.running import Running
from services.store.app import serving
from services.store.memory import MemoryRepository
from services.store.repository import Repository
from services.store.sessions import Sessions
from services.store.settings import StoreSettings
from services.store.workflows import load_workflows
from sessiond.session.access import Identity
from sessiond.session.changes import CreateSession
from sessiond.session.limits import DEFAULT_LIMITS, Limits
from sessiond.v1.ownership_pb2_grpc import OwnershipServiceStub
from sessiond.v1.store_pb2_grpc import StoreServiceStub
from tests.serving.tokens import AUDIENCE, ISSUER, Provider
from tests.store.author import Author

if TYPE_CHECKING:
    from sessiond.v1.ownership_pb2_grpc import OwnershipServiceAsyncStub
    from sessiond.v1.store_pb2_grpc import StoreServiceAsyncStub

WORKFLOWS = Path(__file__).parents[2] / "workflows"


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in list(os.environ):
        if name.startswith("SESSIOND_"):
            monkeypatch.delenv(name)


@pytest.fixture
def repository() -> MemoryRepository:
    """An empty repository."""
    return MemoryRepository()


@pytest.fixture
async def author(repository: MemoryRepository) -> Author:
    """A registered instance that writes sessions."""
    return await Author(repository).register()


class Clock:
    """A wall clock, in milliseconds, that a test moves."""

    def __init__(self) -> None:
        self.ms = 1_800_000_000_000

    def __call__(self) -> int:
        return self.ms


@pytest.fixture
def clock() -> Clock:
    """The clock of the use cases."""
    return Clock()


def sessions_of(repository: Repository, clock: Clock, limits: Limits = DEFAULT_LIMITS) -> Sessions:
    """Return the use cases on a repository; ids and random bytes are counted, not drawn."""
    counted = itertools.count(1)
    return Sessions(
        repository,
        load_workflows(WORKFLOWS, "master-workflow-v2", limits),
        limits,
        now_ms=clock,
        random_bytes=lambda size: next(counted).to_bytes(size, "big"),
    )


@pytest.fixture
def sessions(repository: MemoryRepository, clock: Clock) -> Sessions:
    """The use cases of sessions."""
    return sessions_of(repository, clock)


Begin = Callable[..., Any]


@pytest.fixture
def begin(sessions: Sessions) -> Begin:
    """Create a session: `await begin("s-1", user="alice", workflow="chat")`."""

    async def beginning(
        session_id: str, *, user: str = "alice", workflow: str = "chat", title: str | None = None
    ) -> str:
        change = CreateSession(workflow_id=workflow, id=session_id, title=title)
        return (await sessions.create(Identity(user), change, None)).id

    return beginning


@pytest.fixture(scope="session")
def provider() -> Provider:
    """An identity provider that goes by the real clock."""
    return Provider(time.time)  # type: ignore[arg-type]  # a clock is whatever gives seconds


@dataclass(frozen=True)
class Served:
    """A served Store and a channel to it."""

    provider: Provider
    channel: grpc.aio.Channel
    health: Health
    registry: CollectorRegistry

    @property
    def store(self) -> StoreServiceAsyncStub:
        """StoreService."""
        return StoreServiceStub(self.channel)

    @property
    def ownership(self) -> OwnershipServiceAsyncStub:
        """OwnershipService."""
        return OwnershipServiceStub(self.channel)

    def bearer(self, subject: str = "alice", **claims: Any) -> tuple[tuple[str, str], ...]:
        """Return the metadata of a caller."""
        token = self.provider.token(sub=subject, **claims)
        return (("authorization", f"Bearer {token}"),)

    @property
    def live(self) -> tuple[tuple[str, str], ...]:
        """The metadata of a Live."""
        return self.bearer("live-1", role="live")


Serve = Callable[..., AbstractAsyncContextManager[Served]]


@pytest.fixture
def serve(provider: Provider, tmp_path: Path) -> Serve:
    """Serve a repository on a free port: `async with serve(repository) as served`."""

    @asynccontextmanager
    async def serving_store(repository: Repository, **changes: Any) -> AsyncIterator[Served]:
        jwks = provider.write_keys(tmp_path / "jwks.json")
        values: dict[str, Any] = {
            "listen": "127.0.0.1:0",
            "jwt_issuer": ISSUER,
            "jwt_audience": AUDIENCE,
            "jwt_algorithms": "ES256,RS256",
            "jwt_jwks": str(jwks),
            "etcd_endpoints": "127.0.0.1:1",
            "workflows_dir": WORKFLOWS,
        }
        settings = StoreSettings(**(values | changes))
        running = Running(Health(), CollectorRegistry())
        async with (
            serving(running, settings, repository) as address,
            open_channel(address, settings) as channel,
        ):
            yield Served(provider, channel, running.health, running.registry)

    return serving_store
