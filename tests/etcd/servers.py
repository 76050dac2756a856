"""etcd processes on free ports of the loopback interface, alone or as a cluster."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import signal
import socket
import tempfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import grpc


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


@dataclass
class Member:
    """One etcd process."""

    port: int
    peer_port: int
    data: Path
    arguments: Sequence[str] = ()
    scheme: str = "http"
    process: asyncio.subprocess.Process | None = field(default=None, repr=False)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Start the process; it may not be ready yet."""
        client, peer = f"{self.scheme}://{self.address}", f"http://127.0.0.1:{self.peer_port}"
        self.process = await asyncio.create_subprocess_exec(
            *("etcd", "--name", f"m{self.peer_port}", "--data-dir", str(self.data)),
            *("--listen-client-urls", client, "--advertise-client-urls", client),
            *("--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer),
            *("--heartbeat-interval", "10", "--election-timeout", "50"),
            *(() if "--initial-cluster" in self.arguments else ("--initial-cluster", self.name)),
            *self.arguments,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )

    @property
    def name(self) -> str:
        return f"m{self.peer_port}=http://127.0.0.1:{self.peer_port}"

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    async def kill(self) -> None:
        """Kill the process as a power cut would."""
        if self.process is not None and self.process.returncode is None:
            self.process.kill()
            await self.process.wait()


async def until_ready(address: str, credentials: grpc.ChannelCredentials | None = None) -> None:
    """Wait until something answers gRPC at the address."""
    async with asyncio.timeout(30):
        if credentials is None:
            channel = grpc.aio.insecure_channel(
                address, options=[("grpc.max_reconnect_backoff_ms", 100)]
            )
        else:
            channel = grpc.aio.secure_channel(address, credentials)
        async with channel:
            await channel.channel_ready()


@contextlib.asynccontextmanager
async def members(
    count: int = 1, *arguments: str, scheme: str = "http"
) -> AsyncIterator[list[Member]]:
    """Run a cluster of its own; the members are started, and perhaps not ready."""
    ports = iter(free_ports(2 * count))
    root = Path(tempfile.mkdtemp(prefix="sessiond-etcd-"))
    made = [Member(next(ports), next(ports), root / str(n), scheme=scheme) for n in range(count)]
    for member in made:
        cluster = ",".join(each.name for each in made)
        member.arguments = ("--initial-cluster", cluster, *arguments)
    try:
        await asyncio.gather(*(member.start() for member in made))
        yield made
    finally:
        await asyncio.gather(*(member.kill() for member in made))
        shutil.rmtree(root)
