"""Store, put together."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.serving.addresses import HostPort
from services.serving.auth import authenticating
from services.serving.channels import open_channel
from services.serving.interceptors import CallInterceptor
from services.serving.limits import limits_of
from services.serving.metrics import CallMetrics
from services.serving.running import Drain, Running, nothing_to_drain
from services.serving.server import GrpcServer
from services.store.beside import beside
from services.store.commit import Committer
from services.store.copying import Copying
from services.store.erasures import Erasures
from services.store.etcd.configured import client_of
from services.store.etcd.repository import EtcdRepository
from services.store.etcd.upkeep import Upkeep
from services.store.feeding import Feeding
from services.store.jobs import JobServicer
from services.store.metrics import CommitMetrics, SpaceMetrics
from services.store.ownership import OwnershipServicer
from services.store.readiness import follow_etcd
from services.store.repository import Repository
from services.store.servicer import StoreServicer
from services.store.sessions import Sessions
from services.store.settings import StoreSettings
from services.store.space import Space
from services.store.unreachable import Dialler, Unreachable
from services.store.watching import Watching
from services.store.workflows import load_workflows
from sessiond.session.access import Role
from sessiond.v1.job_pb2_grpc import add_JobServiceServicer_to_server
from sessiond.v1.ownership_pb2_grpc import add_OwnershipServiceServicer_to_server
from sessiond.v1.store_pb2_grpc import add_StoreServiceServicer_to_server

SESSIONS = "/sessiond.v1.StoreService/"
OWNERSHIP = "/sessiond.v1.OwnershipService/"
JOBS = "/sessiond.v1.JobService/"

ROLES = {
    SESSIONS: frozenset({Role.USER, Role.AGENT, Role.SERVICE, Role.ADMIN}),
    SESSIONS + "ListWorkflows": frozenset(Role),
    OWNERSHIP: frozenset({Role.LIVE}),
    JOBS: frozenset({Role.SERVICE, Role.ADMIN}),
    OWNERSHIP + "WatchInstances": frozenset({Role.LIVE, Role.GATEWAY}),
    OWNERSHIP + "ReportUnreachable": frozenset({Role.LIVE, Role.GATEWAY}),
}

# Once a second from every Live, and every few seconds from everyone who would do a job.
QUIET = frozenset({OWNERSHIP + "Heartbeat", JOBS + "HoldJob"})


def now_ms() -> int:
    """Return the wall clock in milliseconds since 1970."""
    return time.time_ns() // 1_000_000


@asynccontextmanager
async def store(running: Running, settings: StoreSettings) -> AsyncIterator[Drain]:
    """Open Store on etcd; it is ready while etcd answers."""
    space = Space()
    async with (
        client_of(settings) as etcd,
        EtcdRepository(etcd, namespace=settings.etcd_namespace) as repository,
        beside(
            Upkeep(
                etcd,
                space,
                SpaceMetrics(running.registry),
                namespace=settings.etcd_namespace,
                quota_bytes=settings.etcd_quota_bytes,
                clock=time.monotonic,
            ).follow()
        ),
        serving(running, settings, repository, space),
    ):
        # Streams without an end see the drain for themselves.
        yield nothing_to_drain


@asynccontextmanager
async def serving(
    running: Running,
    settings: StoreSettings,
    repository: Repository,
    space: Space | None = None,
) -> AsyncIterator[HostPort]:
    """Serve a repository while the block runs; yields the address, with its real port.

    `space` says how much more it may keep; without one, whatever comes.

    Raises:
        StartFailed: a workflow's file is bad, or the address cannot be listened on.
    """
    limits = limits_of(settings)
    workflows = load_workflows(settings.workflows_dir, settings.default_workflow, limits)
    dialler = Dialler(lambda address: open_channel(address, settings))
    loop = asyncio.get_running_loop()
    async with (
        authenticating(settings) as authenticator,
        Committer(repository, CommitMetrics(running.registry), space=space) as committer,
        Unreachable(repository, dialler.proves_gone, clock=loop.time) as unreachable,
    ):
        interceptor = CallInterceptor(
            authenticator, CallMetrics(running.registry), roles=ROLES, quiet=QUIET
        )
        server = GrpcServer(settings, running.health, interceptor)
        sessions = Sessions(
            repository,
            workflows,
            limits,
            now_ms=now_ms,
            random_bytes=secrets.token_bytes,
            space=space,
        )
        copying = Copying(
            repository,
            limits,
            now_ms=now_ms,
            random_bytes=secrets.token_bytes,
            committer=committer,
            space=space,
        )
        watching = Watching(repository, running.health, clock=loop.time)
        feeding = Feeding(repository, running.health, clock=loop.time, now_ms=now_ms)
        add_StoreServiceServicer_to_server(
            StoreServicer(
                sessions,
                repository,
                workflows,
                watching,
                limits,
                copying=copying,
                feeding=feeding,
            ),
            server.grpc,
        )
        add_JobServiceServicer_to_server(
            JobServicer(repository, Erasures(repository, now_ms=now_ms), limits), server.grpc
        )
        add_OwnershipServiceServicer_to_server(
            OwnershipServicer(
                repository,
                committer,
                unreachable,
                running.health,
                ttl_seconds=settings.lease_ttl_seconds,
            ),
            server.grpc,
        )
        async with server, asyncio.TaskGroup() as tasks:
            readiness = tasks.create_task(
                follow_etcd(repository, running.health, endpoints=settings.etcd_endpoints),
                name="readiness",
            )
            try:
                yield server.address
            finally:
                readiness.cancel()
