"""What a part is told to do to itself: on SIGUSR1 it reads its file of orders, one line.

crash POINT      die by SIGKILL when it next comes to this point of its code
stall SECONDS    let nothing of it go on for so long, as a loop does that somebody blocks
time             report its wall clock

What it did stands as a line in the file of its reports: `crashed POINT`, `stalled SECONDS`,
`time SECONDS`.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Self

REPORTS = ".reports"
"""The suffix of the file of reports, beside that of orders."""


class Orders:
    """The orders to this process."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._reports = file.with_suffix(REPORTS)
        self._crash = ""

    def listen(self) -> Self:
        """Obey from now on."""
        signal.signal(signal.SIGUSR1, lambda number, frame: self.obey())
        return self

    def reached(self, point: str) -> None:
        """Die here if that was ordered."""
        if point == self._crash:
            self._report(f"crashed {point}")
            os.kill(os.getpid(), signal.SIGKILL)
            signal.pause()

    def obey(self) -> None:
        """Do what the file says now."""
        order, _, told = self._file.read_text().strip().partition(" ")
        if order == "crash":
            self._crash = told
        elif order == "stall":
            ends = time.monotonic() + float(told)
            while time.monotonic() < ends:
                pass  # it computes; and a sleep would be a matter of the clock that may be faked
            self._report(f"stalled {told}")
        elif order == "time":
            self._report(f"time {time.time()}")

    def _report(self, line: str) -> None:
        with self._reports.open("a") as file:
            file.write(line + "\n")
