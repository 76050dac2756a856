from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest

from services.serving.addresses import HostPort
from services.store.memory import MemoryRepository
from services.store.unreachable import Dialler, Unreachable
from sessiond.errors import RateLimited
from sessiond.v1.ownership_pb2 import IdentifyRequest, IdentifyResponse
from sessiond.v1.ownership_pb2_grpc import (
    InstanceServiceServicer,
    add_InstanceServiceServicer_to_server,
)

ONE = b"first-instance!!"
TWO = b"second-instance!"


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Identified(InstanceServiceServicer):
    """Answers as one instance."""

    def __init__(self, instance: bytes) -> None:
        self._instance = instance

    async def Identify(self, request: IdentifyRequest, context: Any) -> IdentifyResponse:  # noqa: N802
        return IdentifyResponse(instance=self._instance)


@asynccontextmanager
async def answering(instance: bytes) -> AsyncIterator[HostPort]:
    """Serve an instance's identity on a free port."""
    server = grpc.aio.server()
    add_InstanceServiceServicer_to_server(Identified(instance), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield HostPort("127.0.0.1", port)
    finally:
        await server.stop(None)


@pytest.fixture
def silent() -> Iterator[HostPort]:
    """An address where connections are made, and nothing is ever said: a stopped process."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield HostPort("127.0.0.1", listening.getsockname()[1])


@pytest.fixture
def closed() -> HostPort:
    """An address where nobody listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return HostPort("127.0.0.1", bound.getsockname()[1])


@pytest.fixture
def dialler() -> Dialler:
    """Dials without TLS."""
    return Dialler(lambda address: grpc.aio.insecure_channel(str(address)))


async def test_a_refused_connection_proves_an_instance_gone(
    dialler: Dialler, closed: HostPort
) -> None:
    """Nobody listens there, so nobody lives there."""
    assert await dialler.proves_gone(closed, ONE)


async def test_another_instance_at_the_address_proves_it(dialler: Dialler) -> None:
    """Whoever holds the port is the one that lives; also when it is not yet registered."""
    for present in (TWO, b""):
        async with answering(present) as address:
            assert await dialler.proves_gone(address, ONE)


async def test_an_instance_that_answers_stays(dialler: Dialler) -> None:
    """A report alone ends nothing."""
    async with answering(ONE) as address:
        assert not await dialler.proves_gone(address, ONE)


async def test_silence_is_no_proof(dialler: Dialler, silent: HostPort) -> None:
    """A stopped process may yet wake up; its lease runs out by itself."""
    assert not await dialler.proves_gone(silent, ONE)


async def test_a_name_that_nobody_knows_is_no_proof(dialler: Dialler) -> None:
    """A broken resolver must not end anybody."""
    assert not await dialler.proves_gone(HostPort("nowhere.invalid", 1), ONE)


async def test_what_is_gone_is_deregistered(repository: MemoryRepository) -> None:
    """Its sessions can be acquired at once."""
    await repository.register(ONE, address="127.0.0.1:1", ttl_seconds=60)
    asked = []

    async def proves_gone(address: HostPort, instance: bytes) -> bool:
        asked.append((str(address), instance))
        return True

    async with Unreachable(repository, proves_gone, clock=Clock()) as unreachable:
        assert await unreachable.report(ONE)
    assert asked == [("127.0.0.1:1", ONE)]
    assert (await repository.instances())[1] == ()


async def test_reports_of_one_instance_join_and_others_wait(repository: MemoryRepository) -> None:
    """One look a second, however many report."""
    clock, gate, looks = Clock(), asyncio.Event(), []
    await repository.register(ONE, address="127.0.0.1:1", ttl_seconds=60)

    async def proves_gone(address: HostPort, instance: bytes) -> bool:
        looks.append(instance)
        await gate.wait()
        return False

    async with Unreachable(repository, proves_gone, clock=clock) as unreachable:
        first = asyncio.ensure_future(unreachable.report(ONE))
        second = asyncio.ensure_future(unreachable.report(ONE))
        for _ in range(5):
            await asyncio.sleep(0)
        first.cancel()
        clock.now = 0.25
        with pytest.raises(RateLimited) as limited:
            await unreachable.report(TWO)
        assert limited.value.retry_after == 0.75
        gate.set()
        assert await second is False
        clock.now = 1.0
        assert await unreachable.report(TWO)  # nobody knows it
    assert looks == [ONE]
