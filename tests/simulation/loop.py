"""An event loop on which time is a number: when nothing is ready, it jumps to the next timer.

Nothing here waits, and nothing is asked of the machine: one schedule is the same steps each time.
Callbacks belong to processes. Those of a process that stands still are parked until it goes on.
"""

from __future__ import annotations

import asyncio
import gc
import heapq
import itertools
import socket
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar, copy_context
from typing import Any, TypeVar

from tests.simulation.handles import Handle, NumberedTask

T = TypeVar("T")

STEPS = 400_000
"""Callbacks of one schedule; more are a loop that never comes to rest."""

INSTANTS = 64


class Process:
    """What can stand still: a part or a client. Its callbacks run in its context and its copies."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.frozen = False
        self.parked: list[Handle] = []
        self.context = copy_context()
        self.context.run(RUNNING.set, self)


RUNNING: ContextVar[Process | None] = ContextVar("process", default=None)


class Deadlock(Exception):
    """Nothing is ready, nothing is due, and the end has not come."""


def _unheard(task: asyncio.Task[Any]) -> bool:
    """Return whether it failed, and nobody looked: asyncio says so only when it is collected."""
    failed: Any = task
    return bool(failed._log_traceback)


class VirtualLoop(asyncio.BaseEventLoop):
    """Runs callbacks in the order in which they became ready, and timers in order of time.

    `reached(host, port)` says whether somebody listens there: for who dials without a channel.
    """

    def __init__(self) -> None:
        super().__init__()
        self.reached: Callable[[str, int], bool] = lambda host, port: False
        self.uncaught: list[dict[str, Any]] = []
        self.left: list[str] = []
        self.steps = 0
        self.limit = STEPS
        self._now = 0.0
        self.serial = itertools.count(1)
        self._ready: deque[Handle] = deque()
        self._timers: list[tuple[float, int, Handle]] = []
        self._stopping = False
        self._frozen: dict[Process, None] = {}
        # asyncio holds tasks weakly: what a killed process left must not be tidied up meanwhile.
        self._tasks: list[asyncio.Task[Any]] = []
        self._many = 64

    # --- what asyncio asks of a loop -------------------------------------------------------------

    def time(self) -> float:
        """Return seconds since the schedule began."""
        return self._now

    def call_soon(  # type: ignore[override]
        self, callback: Any, *args: Any, context: Context | None = None
    ) -> Handle:
        """Call next, after what is ready already."""
        handle = Handle(callback, args, context)
        self._ready.append(handle)
        return handle

    def call_soon_threadsafe(  # type: ignore[override]
        self, callback: Any, *args: Any, context: Context | None = None
    ) -> Handle:
        """Call next: there is one thread; asyncio asks so for generators that nobody closed."""
        return self.call_soon(callback, *args, context=context)

    def call_at(  # type: ignore[override]
        self, when: float, callback: Any, *args: Any, context: Context | None = None
    ) -> Handle:
        """Call at a time."""
        timer = Handle(callback, args, context)
        heapq.heappush(self._timers, (when, next(self.serial), timer))
        return timer

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Any, *args: Any, context: Context | None = None
    ) -> Handle:
        """Call after so many seconds."""
        timer = Handle(callback, args, context)
        heapq.heappush(self._timers, (self._now + delay, next(self.serial), timer))
        return timer

    def create_task(  # type: ignore[override]
        self,
        coro: Any,
        *,
        name: str | None = None,
        context: Context | None = None,
        **_: Any,
    ) -> asyncio.Task[Any]:
        """Begin a task."""
        task: asyncio.Task[Any] = NumberedTask(coro, loop=self, name=name, context=context)
        self._tasks.append(task)
        if len(self._tasks) > self._many:
            self._tasks = [task for task in self._tasks if not task.done() or _unheard(task)]
            self._many = 2 * len(self._tasks) + 64
        return task

    def _unfinished(self) -> list[asyncio.Task[Any]]:
        return [task for task in self._tasks if not task.done()]

    async def getaddrinfo(self, host: Any, port: Any, **_: Any) -> list[Any]:
        """Return the address as it is: names need no look-up here."""
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port))]

    async def sock_connect(self, sock: Any, address: Any) -> None:
        """Dial, as somebody would who only wants to know whether anyone listens."""
        if not self.reached(*address):
            raise ConnectionRefusedError

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Keep what nobody caught."""
        self.uncaught.append(context)

    # --- running ---------------------------------------------------------------------------------

    def play(self, main: Coroutine[Any, Any, T]) -> T:
        """Run until this has ended; then end everything else, and close the loop.

        No garbage is collected meanwhile: when that happens depends on all that ran before, and
        generators that are found then are closed in steps of their own.

        Raises:
            Deadlock: it never will.
        """
        collects = gc.isenabled()
        gc.disable()
        try:
            return self.run_until_complete(main)
        finally:
            self.limit += self.steps
            try:
                self.run_until_complete(self._end())
            finally:
                self.close()
                if collects:
                    gc.enable()

    async def _end(self) -> None:
        # Who was killed has stood still until now; here even that one lets go of what it holds.
        for process in tuple(self._frozen):
            self.thaw(process)
        own = asyncio.current_task()
        left: list[asyncio.Task[Any]] = []
        for _ in range(100):
            left = [task for task in self._unfinished() if task is not own]
            if not left:
                break
            for task in left:
                task.cancel()
            await asyncio.wait(left, timeout=0.1)
        self.left = [task.get_name() for task in left]
        for task in filter(_unheard, self._tasks):
            self.call_exception_handler({"task": task.get_name(), "exception": task.exception()})
        self._tasks.clear()
        await self.shutdown_asyncgens()

    def freeze(self, process: Process) -> None:
        """Let nothing of a process run any more; what becomes ready is parked."""
        process.frozen = True
        self._frozen[process] = None

    def thaw(self, process: Process) -> None:
        """Let it go on with what was parked."""
        process.frozen = False
        self._frozen.pop(process, None)
        parked, process.parked = process.parked, []
        self._ready.extendleft(reversed(parked))  # it was ready before what is ready now

    def _write_to_self(self) -> None:
        pass  # nobody sleeps

    def _run_once(self) -> None:
        # asyncio looks whether it should stop after each of these: some instants at once cost less.
        ready = self._ready
        for _ in range(INSTANTS):
            if self._stopping:
                return
            if not ready:
                self._advance()
            count = len(ready)
            self.steps += count
            if self.steps > self.limit:
                raise Deadlock(f"it never comes to rest\n{self._dump()}")
            for _ in range(count):
                handle = ready.popleft()
                if handle.callback is None:
                    continue
                process = handle.context.get(RUNNING)
                if process is not None and process.frozen:
                    process.parked.append(handle)
                    continue
                try:
                    handle.context.run(handle.callback, *handle.args)
                except (KeyboardInterrupt, SystemExit):
                    raise
                except BaseException as error:
                    self.call_exception_handler({"callback": handle.callback, "exception": error})

    def _advance(self) -> None:
        """Go on to the next moment at which something is due."""
        ready, timers = self._ready, self._timers
        while timers and timers[0][2].callback is None:
            heapq.heappop(timers)
        if not timers:
            raise Deadlock(self._dump())
        self._now = now = max(self._now, timers[0][0])
        while timers and timers[0][0] <= now:
            ready.append(heapq.heappop(timers)[2])

    def _dump(self) -> str:
        lines = [f"at {self._now:.3f} s nothing is left to do; tasks:"]
        for task in self._unfinished():
            frames = task.get_stack(limit=1)
            where = f"{frames[-1].f_code.co_filename}:{frames[-1].f_lineno}" if frames else "?"
            lines.append(f"  {task.get_name()} at {where}")
        return "\n".join(lines)
