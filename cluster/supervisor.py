"""A set of parts that comes up in order, is watched, and goes down in reverse."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType

from cluster.part import Part, PartDied, process_of, wait_until_ready


def _nothing(_: Part) -> None:
    pass


class Cluster:
    """Parts in stages, as a context manager: inside it all of them are up.

    A stage starts when the one before is ready; the parts of one stage start together (etcd members
    need each other to get healthy). Leaving stops the stages in reverse, each part within its
    `drain_seconds`, and waits until every process has ended. If one part cannot start, those that
    did are stopped before the error goes on.

    Tests act on parts by name: `await cluster.kill("live-1")`.
    """

    def __init__(
        self,
        stages: Sequence[Sequence[Part]],
        *,
        logs: Path,
        patience: float = 30.0,
        told: Callable[[Part], None] = _nothing,
    ) -> None:
        """Take the parts; `told` is called with each one as it gets ready."""
        self._stages = stages
        self._patience = patience
        self._told = told
        self._parts = {part.name: part for stage in stages for part in stage}
        self._processes = {name: process_of(part, logs) for name, part in self._parts.items()}
        self._wanted: set[str] = set()
        self._hurried = False
        logs.mkdir(parents=True, exist_ok=True)

    async def __aenter__(self) -> Cluster:
        try:
            for stage in self._stages:
                async with asyncio.TaskGroup() as starting:
                    for part in stage:
                        starting.create_task(self.start(part.name))
        except BaseException as failure:
            await self._stop_all()
            if isinstance(failure, BaseExceptionGroup):
                raise failure.exceptions[0] from None
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        failure: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stop_all()

    def part(self, name: str) -> Part:
        """Return the part of this name."""
        return self._parts[name]

    def address(self, name: str) -> str:
        """Return the host:port of one part."""
        return self._parts[name].address

    def addresses(self, kind: str) -> list[str]:
        """Return the host:port of every part of a kind (`etcd`, `store`, ...), up or not."""
        return [part.address for part in self._parts.values() if part.kind == kind]

    def pid(self, name: str) -> int:
        """Return the process id of one part."""
        return self._processes[name].pid

    def running(self, name: str) -> bool:
        """Return whether the part's process is there (a suspended one is)."""
        return self._processes[name].running

    async def start(self, name: str) -> None:
        """Start one part and wait until it is ready.

        Raises:
            PartDied, PartNotReady: it did not come up.
        """
        await self._processes[name].start()
        await self.ready(name)
        self._wanted.add(name)
        self._told(self._parts[name])

    async def ready(self, name: str) -> None:
        """Wait until a started part is ready, or ready again after something befell another one.

        Raises:
            PartDied, PartNotReady: it did not get ready.
        """
        await wait_until_ready(self._parts[name], self._processes[name], self._patience)

    async def stop(self, name: str) -> int:
        """Let one part drain and end; return its exit code."""
        self._wanted.discard(name)
        patience = 0.0 if self._hurried else self._parts[name].drain_seconds
        return await self._processes[name].terminate(patience)

    async def kill(self, name: str) -> None:
        """End one part at once with SIGKILL."""
        self._wanted.discard(name)
        await self._processes[name].kill()

    async def restart(self, name: str) -> None:
        """Stop one part, start it again, wait until it is ready."""
        await self.stop(name)
        await self.start(name)

    def suspend(self, name: str) -> None:
        """SIGSTOP one part: it accepts connections, and does nothing."""
        self._processes[name].suspend()

    def resume(self, name: str) -> None:
        """SIGCONT one part."""
        self._processes[name].resume()

    async def watch(self) -> None:
        """Wait until a part ends that nobody here stopped or killed; never return.

        Raises:
            PartDied: one did.
        """
        endings = {asyncio.create_task(self._processes[name].wait()): name for name in self._wanted}
        try:
            while endings:
                done, _ = await asyncio.wait(endings, return_when=asyncio.FIRST_COMPLETED)
                for ended in done:
                    if (name := endings.pop(ended)) in self._wanted:
                        raise PartDied(self._processes[name])
            await asyncio.Future()
        finally:
            for waiting in endings:
                waiting.cancel()

    def hurry(self) -> None:
        """Kill every part at once: somebody asked to stop a second time."""
        self._hurried = True
        for process in self._processes.values():
            process.kill_soon()

    async def _stop_all(self) -> None:
        for stage in reversed(self._stages):
            started = [part.name for part in stage if self._processes[part.name].running]
            await asyncio.gather(*(self.stop(name) for name in started))
