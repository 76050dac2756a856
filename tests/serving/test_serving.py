"""Servers and channels: ports, reconnecting, health, and the page of figures."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import grpc
import httpx
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from prometheus_client import CollectorRegistry, Counter

from services.serving.addresses import HostPort
from services.serving.channels import open_channel
from services.serving.health import Health
from services.serving.sockets import StartFailed
from services.serving.web import monitoring, serving_http
from tests.serving.conftest import Configure, Serve
from tests.serving.echo import UNARY, Context
from tests.serving.tokens import Clock, Provider

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
LOOPBACK = HostPort("127.0.0.1", 0)


async def test_a_taken_port_is_said_in_one_line(serve: Serve, configure: Configure) -> None:
    """Two servers never share a port, whoever holds it."""
    async with serve() as first:
        with pytest.raises(StartFailed, match=f"{first.address} is already in use"):
            async with serve(configure(listen=str(first.address))):
                pass
        with pytest.raises(StartFailed, match="already in use"):
            async with serving_http(
                monitoring(CollectorRegistry(), Health()), first.address, Health()
            ):
                pass
    with socket.create_server(("127.0.0.1", 0)) as plain:
        address = f"127.0.0.1:{plain.getsockname()[1]}"
        with pytest.raises(StartFailed, match=f"{address} is already in use"):
            async with serve(configure(listen=address)):
                pass


@pytest.mark.parametrize("address", ["192.0.2.1:7201", "name.invalid:7201"])
async def test_an_address_of_another_machine_cannot_be_listened_on(
    serve: Serve, configure: Configure, address: str
) -> None:
    """The line says which address it was."""
    with pytest.raises(StartFailed, match=f"this machine has no address {address}"):
        async with serve(configure(listen=address)):
            pass


async def test_a_port_is_free_again_once_its_server_stopped(
    serve: Serve, configure: Configure, provider: Provider
) -> None:
    """A part restarts at once, and channels find it again without being made anew."""
    settings = configure()
    metadata = (("authorization", f"Bearer {provider.token()}"),)
    async with serve() as first:
        address = first.address
    async with open_channel(address, settings) as channel:
        call: Any = channel.unary_unary(UNARY)
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await call(b"x", metadata=metadata, timeout=10)
        assert raised.value.code() is grpc.StatusCode.UNAVAILABLE
        async with serve(configure(listen=str(address))):
            answer = await call(b"x", metadata=metadata, timeout=10, wait_for_ready=True)
            assert answer == b"x"


async def test_a_drain_waits_for_calls_under_way_and_takes_no_new_ones(
    serve: Serve, provider: Provider
) -> None:
    """A planned stop fails nothing that had begun."""
    metadata = (("authorization", f"Bearer {provider.token()}"),)
    entered, leave = asyncio.Event(), asyncio.Event()

    async def wait(request: bytes, rpc: Context) -> None:
        entered.set()
        await leave.wait()

    async with serve() as served:
        served.echo.act = wait
        call: Any = served.channel.unary_unary(UNARY)
        under_way = asyncio.ensure_future(call(b"x", metadata=metadata, timeout=10))
        await asyncio.wait_for(entered.wait(), 5)
        served.health.begin_drain(10)
        stopping = asyncio.create_task(served.server.__aexit__(None, None, None))
        with pytest.raises(grpc.aio.AioRpcError):
            async with open_channel(served.address, served.server.settings) as other:
                late: Any = other.unary_unary(UNARY)
                await late(b"y", metadata=metadata, timeout=10)
        assert not under_way.done()
        leave.set()
        assert await under_way == b"x"
        await asyncio.wait_for(stopping, 5)


async def test_a_call_that_outlasts_the_drain_is_cut(serve: Serve, provider: Provider) -> None:
    """The stop takes no longer than it may."""
    metadata = (("authorization", f"Bearer {provider.token()}"),)
    entered, cut = asyncio.Event(), asyncio.Event()

    async def wait(request: bytes, rpc: Context) -> None:
        entered.set()
        try:
            await asyncio.Event().wait()
        finally:
            cut.set()

    async with serve() as served:
        served.echo.act = wait
        call: Any = served.channel.unary_unary(UNARY)
        under_way = asyncio.ensure_future(call(b"x", metadata=metadata, timeout=10))
        await asyncio.wait_for(entered.wait(), 5)
        served.health.begin_drain(0.05)
        await asyncio.wait_for(served.server.__aexit__(None, None, None), 5)
        with pytest.raises(grpc.aio.AioRpcError):
            await under_way
        await asyncio.wait_for(cut.wait(), 5)


async def test_alive_and_ready_are_told_apart_over_grpc(serve: Serve) -> None:
    """A part that is not ready, or drains, still lives; a name that is not ours is not found."""
    async with serve() as served:
        stub: Any = health_pb2_grpc.HealthStub(served.channel)

        async def status(service: str) -> int:
            request = health_pb2.HealthCheckRequest(service=service)
            return int((await stub.Check(request, timeout=10)).status)

        assert (await status(""), await status("ready")) == (SERVING, NOT_SERVING)
        served.health.set_ready(True)
        assert (await status(""), await status("ready")) == (SERVING, SERVING)
        served.health.begin_drain(0)
        served.health.set_ready(True)
        assert (await status(""), await status("ready")) == (SERVING, NOT_SERVING)
        listed = (await stub.List(health_pb2.HealthListRequest(), timeout=10)).statuses
        assert {name: answer.status for name, answer in listed.items()} == {
            "": SERVING,
            "ready": NOT_SERVING,
        }
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await status("other")
        assert raised.value.code() is grpc.StatusCode.NOT_FOUND


async def test_who_watches_health_sees_changes_and_is_let_go_by_a_drain(serve: Serve) -> None:
    """A watch must not hold up the stop, as an endless stream would."""
    async with serve() as served:
        stub: Any = health_pb2_grpc.HealthStub(served.channel)
        watch = stub.Watch(health_pb2.HealthCheckRequest(service="ready"), timeout=10)
        assert (await watch.read()).status == NOT_SERVING
        served.health.set_ready(True)
        assert (await watch.read()).status == SERVING
        served.health.begin_drain(10)
        assert (await watch.read()).status == NOT_SERVING
        assert await watch.read() is grpc.aio.EOF
        await asyncio.wait_for(served.server.__aexit__(None, None, None), 5)


def test_the_time_to_drain_counts_down_once(clock: Clock) -> None:
    """All stages of a stop share one deadline; hurrying ends it."""
    health = Health(clock=clock)
    assert health.seconds_left() == 0
    health.begin_drain(10)
    clock.now += 4
    health.begin_drain(10)
    assert health.seconds_left() == 6
    clock.now += 20
    assert health.seconds_left() == 0
    hurried = Health(clock=clock)
    hurried.begin_drain(10)
    hurried.hurry()
    assert hurried.seconds_left() == 0


async def test_figures_and_health_are_served_over_http() -> None:
    """/metrics is Prometheus text; /readyz says no while starting and while draining."""
    registry, health = CollectorRegistry(), Health()
    Counter("sessiond_things", "Things.", registry=registry).inc()
    async with (
        serving_http(monitoring(registry, health), LOOPBACK, health) as address,
        httpx.AsyncClient(base_url=f"http://{address}") as client,
    ):
        figures = await client.get("/metrics")
        assert figures.headers["content-type"].startswith("text/plain")
        assert "sessiond_things_total 1.0" in figures.text
        assert "server" not in figures.headers

        async def codes() -> tuple[int, int]:
            answers = [await client.get(path) for path in ("/healthz", "/readyz")]
            return answers[0].status_code, answers[1].status_code

        assert await codes() == (200, 503)
        health.set_ready(True)
        assert await codes() == (200, 200)
        health.begin_drain(1)
        assert await codes() == (200, 503)
        assert (await client.get("/other")).status_code == 404
