"""What a part is told to do to itself: on SIGUSR1 it reads its file of orders, one line.

crash POINT      die by SIGKILL when it next comes to this point of its code
stall SECONDS    let nothing of it go on for so long, as a loop does that somebody blocks
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from types import FrameType
from typing import Self


class Orders:
    """The orders to this process."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._crash = ""

    def listen(self) -> Self:
        """Obey from now on."""
        signal.signal(signal.SIGUSR1, self._obey)
        return self

    def reached(self, point: str) -> None:
        """Die here if that was ordered."""
        if point == self._crash:
            os.kill(os.getpid(), signal.SIGKILL)
            signal.pause()

    def _obey(self, number: int, frame: FrameType | None) -> None:
        order, _, told = self._file.read_text().strip().partition(" ")
        if order == "crash":
            self._crash = told
        elif order == "stall":
            ends = time.monotonic() + float(told)
            while time.monotonic() < ends:
                pass  # it computes; and a sleep would be a matter of the clock that may be faked
