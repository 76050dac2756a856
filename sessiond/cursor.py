"""Where a reader of a session stands: a log, and the last seq of it that was applied."""

from __future__ import annotations

import re
from typing import NamedTuple, Self

_CURSOR = re.compile(r"([0-9a-f]{16})\.(0|[1-9][0-9]{0,17})")


class Cursor(NamedTuple):
    """`<logId>.<seq>` as text: 16 hexadecimal digits, and a decimal number."""

    log_id: str
    seq: int

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Return the cursor of this text; None where it is none."""
        match = _CURSOR.fullmatch(text)
        return cls(match[1], int(match[2])) if match else None

    def __str__(self) -> str:
        return f"{self.log_id}.{self.seq}"
