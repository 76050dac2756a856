"""Store and Live as they run, on a real etcd, with a Live that can be dropped in every way."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from pathlib import Path
from typing import Any, Self

from joserfc import jwt
from joserfc.jwk import OctKey
from prometheus_client import CollectorRegistry

from services.live.app import live
from services.live.settings import LiveSettings
from services.serving.addresses import HostPort
from services.serving.health import Health
from services.serving.running import Drain, Running
from services.store.app import store
from services.store.etcd.client import EtcdClient
from services.store.etcd.repository import EtcdRepository
from services.store.settings import StoreSettings

SECRET = b"0123456789abcdef0123456789abcdef-for-tests"
# No instance may end because this machine is busy: the model says when one does.
LEASE_SECONDS = 60
PATIENCE = 20.0


class Served:
    """One part that serves in a task of its own, until it is ended."""

    def __init__(self, part: Callable[[Running], AbstractAsyncContextManager[Drain]]) -> None:
        self._part = part
        self._ended: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._ready = asyncio.Event()
        self._task = asyncio.create_task(self._serve())

    async def _serve(self) -> None:
        running = Running(Health(), CollectorRegistry())
        async with self._part(running) as drain:
            async for ready in running.health.changes():
                if ready:
                    break
            self._ready.set()
            if await self._ended:
                running.health.begin_drain(PATIENCE)
                await drain()

    async def ready(self) -> Self:
        """Return when it is ready."""
        waiting = asyncio.create_task(self._ready.wait())
        async with asyncio.timeout(PATIENCE):
            await asyncio.wait({waiting, self._task}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if self._task.done():
            self._task.result()
        return self

    async def end(self, *, drained: bool) -> None:
        """End it: gently, or as if it had been killed."""
        self._ended.set_result(drained)
        await self._task


class Parts:
    """One Store and one Live; all of it runs in the loop that opened it."""

    def __init__(self, etcd: str, namespace: str, ports: Iterator[int], folder: Path) -> None:
        self._etcd = etcd
        self._namespace = namespace
        self._folder = folder
        self.store_address = HostPort("127.0.0.1", next(ports))
        self.live_address = HostPort("127.0.0.1", next(ports))
        self._resources = AsyncExitStack()

    async def __aenter__(self) -> Self:
        (self._folder / "secret").write_bytes(SECRET)
        (self._folder / "live.jwt").write_text(token("live", role="live"))
        etcd = await self._resources.enter_async_context(EtcdClient([self._etcd]))
        self._repository = await self._resources.enter_async_context(
            EtcdRepository(etcd, namespace=self._namespace)
        )
        settings = StoreSettings(
            **self._common(self.store_address),
            etcd_endpoints=(HostPort.parse(self._etcd),),
            etcd_namespace=self._namespace,
            lease_ttl_seconds=LEASE_SECONDS,
        )
        self._store = await Served(lambda running: store(running, settings)).ready()
        self._live = await self._started()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._live.end(drained=True)
        await self._store.end(drained=True)
        await self._resources.aclose()

    async def restart_live(self, *, drained: bool) -> None:
        """End Live, gently or not, and start another at its address."""
        await self._live.end(drained=drained)
        self._live = await self._started()

    async def end_registration(self) -> None:
        """Take Live's registration away while it believes itself alive."""
        _, instances = await self._repository.instances()
        for each in instances:
            await self._repository.deregister(each.instance, each.lease)

    async def _started(self) -> Served:
        settings = LiveSettings(
            **self._common(self.live_address),
            store_addresses=(self.store_address,),
            identity_token_file=self._folder / "live.jwt",
            changes_burst=1_000_000,
        )
        return await Served(lambda running: live(running, settings)).ready()

    def _common(self, listen: HostPort) -> dict[str, Any]:
        return {
            "listen": listen,
            "jwt_issuer": "tests",
            "jwt_audience": "sessiond",
            "jwt_algorithms": ("HS256",),
            "jwt_secret_file": self._folder / "secret",
        }


def token(subject: str, **claims: Any) -> str:
    """Return a token of this caller."""
    payload = {
        "iss": "tests",
        "aud": "sessiond",
        "sub": subject,
        "exp": int(time.time()) + 3600,
    } | claims
    return jwt.encode({"alg": "HS256"}, payload, OctKey.import_key(SECRET), algorithms=["HS256"])
