"""One child process: started, watched, suspended, ended."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

TETHER = Path(__file__).with_name("tether.py")
# Where `python -m services.store` finds the packages, whatever folder we were started from.
CHECKOUT = Path(__file__).resolve().parent.parent
LAST_LINES_BYTES = 16 * 1024


class Process:
    """A program that runs while we do, and never longer.

    ```
    idle --start--> running --terminate, kill or its own end--> ended --start--> running
    ```

    It has a session of its own, so that a Ctrl-C at the terminal reaches only the supervisor, which
    ends its children in order. When this process dies, however it dies, the child gets
    SIGKILL. It runs in the checkout's folder, and all its output is
    appended to `log`.
    """

    def __init__(
        self, name: str, argv: Sequence[str], *, env: Mapping[str, str], log: Path
    ) -> None:
        self.name = name
        self.log = log
        self._argv = tuple(argv)
        # A part is started again and again: what Python compiled of it is kept, whoever asks.
        self._env = {name: env[name] for name in env if name != "PYTHONDONTWRITEBYTECODE"}
        self._child: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        """The process id of the present or last run."""
        return self._started().pid

    @property
    def running(self) -> bool:
        """Whether the program has been started and has not ended."""
        return self._child is not None and self._child.returncode is None

    @property
    def exit_code(self) -> int | None:
        """How the last run ended: None while it runs, minus a signal's number if one ended it."""
        return self._started().returncode

    async def start(self) -> None:
        """Start the program; return before it is ready for anything.

        Raises:
            RuntimeError: it runs already, or this is not the main thread: the kernel ties a child
                to the thread that made it, and only the main thread lives as long as the process.
        """
        if self.running:
            raise RuntimeError(f"{self.name} is running")
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("processes are started from the main thread")
        tether = [sys.executable, "-I", "-S", str(TETHER), str(os.getpid())]
        with self.log.open("ab") as output:
            self._child = await asyncio.create_subprocess_exec(
                *tether,
                *self._argv,
                cwd=CHECKOUT,
                env=self._env,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    async def wait(self) -> int:
        """Return the exit code once the program has ended."""
        return await self._started().wait()

    async def terminate(self, within: float) -> int:
        """Ask the program to end, make it end after `within` seconds; return the exit code.

        Does nothing to one that has ended. A suspended program is resumed to hear the request.
        """
        self._signal(signal.SIGTERM)
        self._signal(signal.SIGCONT)
        try:
            return await asyncio.wait_for(self.wait(), within)
        except TimeoutError:
            return await self.kill()

    async def kill(self) -> int:
        """End the program at once with SIGKILL; return the exit code."""
        self.kill_soon()
        return await self.wait()

    def kill_soon(self) -> None:
        """Send SIGKILL and do not wait."""
        self._signal(signal.SIGKILL)

    def suspend(self) -> None:
        """Stop the program where it is: it keeps its sockets and its memory, and does nothing."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a suspended program go on."""
        self._signal(signal.SIGCONT)

    def last_lines(self, count: int) -> list[str]:
        """Return the last lines of the log, oldest first."""
        with self.log.open("rb") as log:
            log.seek(max(0, self.log.stat().st_size - LAST_LINES_BYTES))
            return log.read().decode(errors="replace").splitlines()[-count:]

    def _started(self) -> asyncio.subprocess.Process:
        if self._child is None:
            raise RuntimeError(f"{self.name} was never started")
        return self._child

    def _signal(self, number: signal.Signals) -> None:
        if self.running:
            # It may have ended a moment ago.
            with suppress(ProcessLookupError):
                os.killpg(self.pid, number)
