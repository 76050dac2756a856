"""How large things are that our parts store and send for one append: a pipeline carries as much."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import orjson

from bench.frames import SESSION_ID_BYTES

PLACE = "=" * SESSION_ID_BYTES
"""Stands for the session's id in an acknowledgement."""


@dataclass(frozen=True, slots=True)
class Shape:
    """The bytes of one append.

    Attributes:
        frame: what a client sends; the session's id stands at `session_at` in it.
        record, head, entry: the values that are put.
        acknowledgement: what the client's stream gets, with a place for the session's id.
    """

    frame: int
    session_at: int
    record: int
    head: int
    entry: int
    acknowledgement: str

    def acknowledging(self, session_id: bytes) -> bytes:
        """Return the acknowledgement of a session's append."""
        return bytes.fromhex(self.acknowledgement).replace(PLACE.encode(), session_id)

    def write(self, path: Path) -> None:
        """Tell a process of it."""
        path.write_bytes(orjson.dumps(self))

    @classmethod
    def read(cls, path: Path) -> Shape:
        """Return what was told."""
        return cls(**orjson.loads(path.read_bytes()))
