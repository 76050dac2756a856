"""The living instances of Live: who there is, a connection to each, and what becomes of one that
cannot be reached.

Store says who lives; while no Store answers, those last known count. Of an instance that refuses
connections Store is told, which looks for itself, and ends the instance's registration when that
is gone for good. An instance that is gone never comes back: a process that lives on does so under
another one, perhaps at the same address.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Self

import grpc
import structlog

from services.serving.addresses import HostPort
from services.serving.connections import Connection
from services.serving.identity import PartIdentity
from services.serving.reports import Reports
from sessiond.errors import SessiondError
from sessiond.status import from_rpc_error
from sessiond.v1 import ownership_pb2 as wire
from sessiond.v1.ownership_pb2_grpc import OwnershipServiceStub

if TYPE_CHECKING:
    from sessiond.v1.ownership_pb2_grpc import OwnershipServiceAsyncStub

LINGER_SECONDS = 10.0
"""How long a channel stays open that leads to no living instance any more."""

LONGEST_PAUSE_SECONDS = 2.0
"""Between two tries to follow the instances."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Instance:
    """A living instance of Live: its id, where it is reached, and whether it is about to leave."""

    id: bytes
    address: str
    draining: bool = False


class Instances:
    """Follows the living instances; an async context manager.

    Everything about it belongs to the loop that entered it.
    """

    def __init__(
        self,
        stores: Sequence[HostPort],
        open_channel: Callable[[HostPort], grpc.aio.Channel],
        identity: PartIdentity,
        *,
        own_address: str = "",
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """Take the Stores in the order in which they are tried.

        No connection is kept to `own_address`. `jitter` gives numbers from 0 to 1.
        """
        self._stores = tuple(stores)
        self._open_channel = open_channel
        self._identity = identity
        self._own_address = own_address
        self._jitter = jitter
        self._stubs: list[OwnershipServiceAsyncStub] = []
        self._living: tuple[Instance, ...] = ()
        self._gone: dict[bytes, asyncio.Future[None]] = {}
        self._ended: set[bytes] = set()
        self._known = asyncio.Event()
        self._changed = asyncio.Event()
        self._connections: dict[str, Connection] = {}
        self._lingering: set[Connection] = set()
        self._reports = Reports(self._stubs, identity, on_gone=self._end)
        self._watching: asyncio.Task[None] | None = None
        self._resources = AsyncExitStack()
        self._over = False

    async def __aenter__(self) -> Self:
        for address in self._stores:
            channel = await self._resources.enter_async_context(self._open_channel(address))
            self._stubs.append(OwnershipServiceStub(channel))
        self._watching = asyncio.create_task(self._watch(), name="watch instances")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over = True
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
        await self._reports.close()
        connections = [*self._connections.values(), *self._lingering]
        await asyncio.gather(*(connection.close() for connection in connections))
        await self._resources.aclose()

    # --- who there is ------------------------------------------------------------------------

    @property
    def living(self) -> tuple[Instance, ...]:
        """All living instances, the own one included, by id; those last known if Store is away."""
        return self._living

    async def known(self) -> tuple[Instance, ...]:
        """Return the living instances as soon as Store has told them once."""
        await self._known.wait()
        return self._living

    async def change(self, known: tuple[Instance, ...]) -> tuple[Instance, ...]:
        """Return the living instances as soon as they are others than these."""
        while self._living == known:
            await self._changed.wait()
        return self._living

    async def follow(self) -> AsyncIterator[tuple[Instance, ...]]:
        """Yield the living instances, and again after each change; changes may come together."""
        living = await self.known()
        while True:
            yield living
            living = await self.change(living)

    def at(self, address: str) -> Instance | None:
        """Return the living instance at an address."""
        return next((each for each in self._living if each.address == address), None)

    def gone(self, instance: bytes) -> asyncio.Future[None]:
        """Return a future that is done once this instance is known to live no longer.

        It is everybody's: add a callback, or wait for it without cancelling it.
        """
        known = self._gone.get(instance)
        if known is not None:
            return known
        gone = asyncio.get_running_loop().create_future()
        gone.set_result(None)
        return gone

    def channel(self, address: str) -> grpc.aio.Channel:
        """Return the channel to an address: one for all who ask.

        It stays open while an instance lives there, and for 10 s after that, or after the last
        time that it was asked for where none is known to live.

        Raises:
            ValueError: this is no address.
        """
        connection = self._connections.get(address)
        if connection is None:
            connection = self._connect(address)
        if self.at(address) is None or address == self._own_address:
            self._let_go(address, connection)
        return connection.channel

    # --- who cannot be reached ---------------------------------------------------------------

    async def unreachable(self, instance: bytes) -> bool:
        """Tell Store that an instance cannot be reached; return whether it is gone.

        It takes 5 s at most. Reports of one instance that meet are one.
        """
        gone = self.gone(instance)
        if not gone.done() and not self._over:
            await self._reports.make(instance, gone)
        return gone.done()

    # --- following Store ---------------------------------------------------------------------

    async def _watch(self) -> None:
        failures = 0
        while True:
            for stub, address in zip(self._stubs, self._stores, strict=True):
                try:
                    call = stub.WatchInstances(
                        wire.WatchInstancesRequest(), metadata=self._identity.metadata()
                    )
                    async for response in call:
                        failures = 0
                        self._take(response.instances)
                    reason = "ended"
                except grpc.aio.AioRpcError as error:
                    reason = from_rpc_error(error, mutating=False).reason
                except SessiondError as error:
                    reason = error.reason
                except Exception:
                    _log.exception("following the instances broke")
                    reason = "broke"
                _log.info("instances are not followed", store=str(address), reason=reason)
                failures += 1
                if failures > 1:
                    longest = min(LONGEST_PAUSE_SECONDS, 0.05 * 2 ** min(failures, 10))
                    await asyncio.sleep(longest * (0.5 + self._jitter() / 2))

    def _take(self, told: Iterable[wire.LiveInstance]) -> None:
        instances = [Instance(each.instance, each.address, each.draining) for each in told]
        # What a report has ended, a slower Store may still tell for a moment.
        self._ended &= {each.id for each in instances}
        self._now(each for each in instances if each.id not in self._ended)
        self._known.set()

    def _end(self, instance: bytes) -> None:
        if instance in self._gone:
            self._ended.add(instance)
            self._now(each for each in self._living if each.id != instance)

    def _now(self, instances: Iterable[Instance]) -> None:
        living = tuple(sorted(instances, key=lambda each: each.id))
        if living == self._living or self._over:
            return
        self._living = living
        loop = asyncio.get_running_loop()
        before, self._gone = (
            self._gone,
            {each.id: self._gone.get(each.id) or loop.create_future() for each in living},
        )
        for instance, gone in before.items():
            if instance not in self._gone:
                gone.set_result(None)
        wanted = {each.address for each in living} - {self._own_address}
        arrived = {each.address for each in living if each.id not in before}
        for address in wanted:
            connection = self._connections.get(address)
            if connection is not None and address in arrived and connection.refused:
                # It waits before it dials again, and whoever has come is there now.
                self._lingering.add(self._connections.pop(address))
                self._let_go(address, connection)
                connection = None
            try:
                (connection or self._connect(address)).keep()
            except ValueError:
                _log.error("an instance has no usable address", address=address)
        for address in self._connections.keys() - wanted:
            if self._connections[address].kept:
                self._let_go(address, self._connections[address])
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    # --- connections -------------------------------------------------------------------------

    def _connect(self, address: str) -> Connection:
        channel = self._open_channel(HostPort.parse(address))
        connection = Connection(channel, lambda: self._refused(address))
        self._connections[address] = connection
        return connection

    def _let_go(self, address: str, connection: Connection) -> None:
        connection.let_go(LINGER_SECONDS, lambda: self._closed(address, connection))

    def _closed(self, address: str, connection: Connection) -> None:
        self._lingering.discard(connection)
        if self._connections.get(address) is connection:
            del self._connections[address]

    async def _refused(self, address: str) -> None:
        for each in self._living:
            if each.address == address:
                await self.unreachable(each.id)
