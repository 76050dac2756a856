"""A part as a process: how it starts, drains and ends."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest

from tests.serving.echo import SERVER_STREAM, UNARY
from tests.serving.tokens import AUDIENCE, ISSUER, Clock, Provider


class Process:
    """A stand-in that runs, and the lines that it wrote to stderr."""

    def __init__(self, process: asyncio.subprocess.Process, listen: str, metrics: str) -> None:
        self.process = process
        self.listen = listen
        self.metrics = metrics
        self.written: list[str] = []

    async def line(self, event: str) -> dict[str, Any]:
        """Return the next line of that event; fails when the process ends without it."""
        assert self.process.stderr is not None
        async with asyncio.timeout(20):
            while raw := await self.process.stderr.readline():
                text = raw.decode()
                self.written.append(text)
                if text.startswith("{") and (line := json.loads(text))["event"] == event:
                    return dict(line)
        raise AssertionError(f"no line {event}: {self.written}")

    async def ended(self) -> int:
        """Return the exit code, having read what it still wrote."""
        assert self.process.stderr is not None
        async with asyncio.timeout(20):
            self.written += (await self.process.stderr.read()).decode().splitlines()
            return await self.process.wait()

    def events(self) -> list[str]:
        """Return the events of all lines read so far."""
        return [json.loads(text)["event"] for text in self.written if text.startswith("{")]


Start = Callable[..., AbstractAsyncContextManager[Process]]


@pytest.fixture
def start(jwks: Path, ports: Any) -> Start:
    """Start a stand-in with changed variables; it is killed when the block is left."""

    @asynccontextmanager
    async def started(**changes: str) -> AsyncIterator[Process]:
        listen, metrics = (f"127.0.0.1:{next(ports)}" for _ in range(2))
        variables = {
            "LISTEN": listen,
            "METRICS_LISTEN": metrics,
            "JWT_ISSUER": ISSUER,
            "JWT_AUDIENCE": AUDIENCE,
            "JWT_ALGORITHMS": "ES256",
            "JWT_JWKS": str(jwks),
        } | changes
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.serving.stand_in"),
            env=os.environ | {f"SESSIOND_{name}": value for name, value in variables.items()},
            stderr=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
        )
        try:
            yield Process(process, listen, metrics)
        finally:
            if process.returncode is None:
                process.kill()
            await process.communicate()

    return started


@pytest.fixture
def metadata(provider: Provider, clock: Clock) -> tuple[tuple[str, str], ...]:
    """A user's login that is good by the real clock, which processes go by."""
    clock.now = time.time()
    return (("authorization", f"Bearer {provider.token()}"),)


async def test_a_part_serves_and_drains_on_sigterm(
    start: Start, metadata: tuple[tuple[str, str], ...]
) -> None:
    """Not ready first, then its own drain, then the calls under way end, then it closes; code 0."""
    async with start() as part, grpc.aio.insecure_channel(part.listen) as channel:
        await part.line("serving")
        async with httpx.AsyncClient(base_url=f"http://{part.metrics}") as client:
            assert (await client.get("/readyz")).status_code == 200
            untyped: Any = channel
            assert await untyped.unary_unary(UNARY)(b"x", metadata=metadata, timeout=10) == b"x"
            figures = (await client.get("/metrics")).text
            assert f'sessiond_grpc_calls_total{{code="OK",method="{UNARY}"}} 1.0' in figures
            assert "process_cpu_seconds_total" in figures
        under_way = untyped.unary_stream(SERVER_STREAM)(b"wait", metadata=metadata, timeout=20)
        assert await under_way.read() == b"wait"
        part.process.send_signal(signal.SIGTERM)
        assert await under_way.read() == b"wait"
        assert await under_way.code() is grpc.StatusCode.OK
        assert await part.ended() == 0
    events = [event for event in part.events() if event != "call"]
    assert events == ["serving", "draining", "own drain", "resources closed", "stopped"]
    assert '"ready":false' in "".join(part.written)
    token = metadata[0][1].split()[1]
    assert token not in "".join(part.written)


async def test_a_drain_ends_when_its_time_is_over(
    start: Start, metadata: tuple[tuple[str, str], ...]
) -> None:
    """A call that never ends does not keep the process."""
    async with start(DRAIN_SECONDS="0.2") as part, grpc.aio.insecure_channel(part.listen) as to:
        await part.line("serving")
        untyped: Any = to
        call = untyped.unary_stream(SERVER_STREAM)(b"stay", metadata=metadata)
        await part.line("staying")
        part.process.send_signal(signal.SIGINT)
        assert await part.ended() == 0
        call.cancel()
    assert part.events()[-3:] == ["call", "resources closed", "stopped"]


async def test_a_second_signal_ends_the_waiting(
    start: Start, metadata: tuple[tuple[str, str], ...]
) -> None:
    """Ctrl-C twice is for who will not wait ten minutes; the exit code says that it was cut."""
    async with start(DRAIN_SECONDS="600") as part, grpc.aio.insecure_channel(part.listen) as to:
        await part.line("serving")
        untyped: Any = to
        call = untyped.unary_stream(SERVER_STREAM)(b"stay", metadata=metadata)
        await part.line("staying")
        part.process.send_signal(signal.SIGINT)
        await part.line("own drain")
        part.process.send_signal(signal.SIGINT)
        assert await part.ended() == 1
        call.cancel()
    assert part.events()[-3:] == ["call", "resources closed", "stopped without waiting"]


async def test_a_signal_ends_a_part_that_still_starts(start: Start) -> None:
    """A part that waits for another one need not be killed."""
    async with start(START="late") as part:
        await part.line("waiting for what never comes")
        part.process.send_signal(signal.SIGTERM)
        assert await part.ended() == 0


async def test_a_part_that_breaks_says_why_and_ends(start: Start) -> None:
    """What breaks for good is not served on; the supervisor starts it anew."""
    async with start(START="break") as part:
        broke = await part.line("part broke")
        assert await part.ended() == 1
    assert "a bolt is loose" in broke["exception"]
    assert broke["level"] == "critical"


@pytest.mark.parametrize("variable", ["LISTEN", "METRICS_LISTEN"])
async def test_a_port_that_is_taken_gives_one_line_and_code_1(start: Start, variable: str) -> None:
    """No traceback, and nothing from the C library: one sentence for a person."""
    async with start() as first:
        await first.line("serving")
        taken = first.listen if variable == "LISTEN" else first.metrics
        async with start(**{variable: taken}) as second:
            assert await second.ended() == 1
    said = [line for line in second.written if not line.startswith("{")]
    assert said == [f"sessiond stand-in: {taken} is already in use by another process"]
    assert "exception" not in "".join(second.written)


async def test_bad_settings_give_one_message_and_code_2(start: Start) -> None:
    """The process does not start half."""
    async with start(JWT_ISSUER="", DRAIN_SECONDS="soon", START="never") as part:
        assert await part.ended() == 2
    assert part.written == [
        "The settings are not valid:",
        "  SESSIOND_DRAIN_SECONDS: must be a valid number, unable to parse string as a number",
        "  SESSIOND_JWT_ISSUER: is required",
        "  SESSIOND_START: must be 'well', 'late' or 'break'",
    ]
