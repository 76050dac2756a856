"""The product's bounds, made so small that a short story comes to what lies behind them."""

from __future__ import annotations

import random
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial

from services.live import acquisition, attachment, catch_up, forming, looking_back, stream, window
from services.live.outbox import CAPACITY, Outbox
from services.store import copying
from tests.simulation import calls
from tests.simulation.patching import patched


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much waits for a reader, is loaded, kept, read at once, replayed and written together."""

    outbox: int = CAPACITY
    flow: int = calls.WINDOW
    recent: int = acquisition.RECENT
    kept: int = window.WINDOW_RECORDS
    page: int = catch_up.PAGE
    replayed: int = catch_up.REPLAYED
    together: int = forming.COMMIT_RECORDS
    piece: int = copying.PIECE_RECORDS

    @classmethod
    def of(cls, chance: random.Random, *, slow: bool) -> Bounds:
        """Return those that ship, or small ones: those of a stream where somebody is `slow`."""
        if not slow and chance.random() < 0.5:
            return cls()
        return cls(
            outbox=900 if slow else CAPACITY,
            flow=300 if slow else calls.WINDOW,
            recent=chance.choice((1, 4, 100)),
            kept=chance.choice((2, 8, 1000)),
            page=chance.choice((1, 3, 100)),
            replayed=chance.choice((5, 10_000)),
            together=chance.choice((1, 3, 53)),
            piece=chance.choice((1, 3, 100)),
        )

    def hold(self) -> AbstractContextManager[None]:
        """Let them hold for as long as a block runs."""
        return patched(
            (stream, "Outbox", partial(Outbox, capacity=self.outbox)),
            (attachment, "BACKLOG", self.outbox // 4),
            (calls, "WINDOW", self.flow),
            (acquisition, "RECENT", self.recent),
            (window, "WINDOW_RECORDS", self.kept),
            (catch_up, "PAGE", self.page),
            (catch_up, "REPLAYED", self.replayed),
            (looking_back, "PAGE", self.page),
            (forming, "COMMIT_RECORDS", self.together),
            (copying, "PIECE_RECORDS", self.piece),
        )
