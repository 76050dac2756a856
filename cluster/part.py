"""A part as its supervisor sees it: a program, an address, and a way to ask if it is up."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx

from cluster.processes import Process

POLL_SECONDS = 0.02
TOLD_LINES = 12


@dataclass(frozen=True, slots=True)
class Part:
    """One program to run.

    Attributes:
        name: kind and number: `store-1`.
        address: host:port at which the others reach it.
        argv: the program and its arguments.
        env: its whole environment.
        ready_url: answers 200 once the part can do its work; "" for one that is ready once it runs.
        trust: how to speak to `ready_url` if that is https.
        drain_seconds: how long it may take to end when asked to, before it is killed; by default
            more than the 10 s that our own parts give their calls.
    """

    name: str
    address: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    ready_url: str
    trust: ssl.SSLContext | None = None
    drain_seconds: float = 15.0

    @property
    def kind(self) -> str:
        """The name without its number: `store`."""
        return self.name.rpartition("-")[0]


class PartDied(Exception):
    """A part ended by itself; the message holds the last lines that it logged."""

    def __init__(self, process: Process) -> None:
        super().__init__(f"{process.name} died {_how(process.exit_code)}{_last_words(process)}")


class PartNotReady(Exception):
    """A part runs but did not get healthy in time; the message holds its last lines."""

    def __init__(self, process: Process, patience: float) -> None:
        super().__init__(
            f"{process.name} runs but is not healthy after {patience:g} s{_last_words(process)}"
        )


def _how(exit_code: int | None) -> str:
    if exit_code is not None and exit_code < 0:
        return f"of signal {-exit_code}"
    return f"with exit code {exit_code}"


def _last_words(process: Process) -> str:
    lines = process.last_lines(TOLD_LINES)
    if not lines:
        return f"; it logged nothing to {process.log}"
    return "\n".join([f"; the last of {process.log}:", *(f"    {line}" for line in lines)])


async def wait_until_ready(part: Part, process: Process, patience: float) -> None:
    """Return as soon as the part says that it is ready.

    Raises:
        PartDied: it ended instead.
        PartNotReady: `patience` seconds passed.
    """
    asking = asyncio.create_task(_ask(part))
    ending = asyncio.create_task(process.wait())
    try:
        await asyncio.wait({asking, ending}, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
        if ending.done():
            raise PartDied(process)
        if not asking.done():
            raise PartNotReady(process, patience)
        asking.result()
    finally:
        asking.cancel()
        ending.cancel()
        await asyncio.gather(asking, ending, return_exceptions=True)


async def _ask(part: Part) -> None:
    if not part.ready_url:
        return
    # A context that trusts nobody spares plain http the reading of the system's certificates.
    trust = part.trust or ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    async with httpx.AsyncClient(verify=trust, trust_env=False, timeout=2.0) as client:
        while True:
            try:
                if (await client.get(part.ready_url)).status_code == httpx.codes.OK:
                    return
            except httpx.HTTPError:
                pass
            await asyncio.sleep(POLL_SECONDS)


def process_of(part: Part, logs: Path) -> Process:
    """Return the process that runs this part, not yet started; it logs to `<logs>/<name>.log`."""
    return Process(part.name, part.argv, env=part.env, log=logs / f"{part.name}.log")
