"""Turns survive: each reader gets each character once, and what is stored is what was written."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from services.live.attachment import Attachment
from services.live.audience import Audience
from services.live.running import RunningTurn
from services.live.turns import TurnText
from services.store.memory import MemoryRepository
from sessiond.v1.live_pb2 import TurnProgress
from tests.faults.check import Law
from tests.simulation.bugs.bug import breaks, every, reference, turns
from tests.simulation.patching import Patch

PROMISE = "turns survive"


@breaks(PROMISE, Law.TOKEN_AFTER_END, needs=turns)
def show_tokens_after_the_end() -> Sequence[Patch]:
    """Show what is left of a turn when the event that ends it was shown."""

    def late(self: Audience) -> None:
        for attachment in self:
            frame = attachment._token() if attachment._backlog is None else b""
            if frame:
                self._later(0.0, partial(attachment._outbox.offer, frame))

    return [(Audience, "last_tokens", late)]


@breaks(PROMISE, Law.TOKEN_REPEAT, Law.TURN_TEXT, needs=turns)
def show_the_text_again() -> Sequence[Patch]:
    """Forget what a reader who comes back was told of the running turn."""

    def nothing(self: Attachment, turn_id: str, length: int) -> None:
        pass

    return [(Attachment, "has_text", nothing)]


@breaks(PROMISE, Law.TURN_TEXT, needs=turns)
def write_all_of_it_again() -> Sequence[Patch]:
    """Let a worker who comes back begin from the start, and take what it writes for new."""
    take_up = RunningTurn.take_up

    def from_the_start(self: RunningTurn, worker: Attachment) -> TurnProgress:
        progress = take_up(self, worker)
        progress.offset = 0
        return progress

    def add(self: TurnText, offset: int, text: str, *, limit: int) -> bool:
        self._append(text)
        return True

    return [(RunningTurn, "take_up", from_the_start), (TurnText, "write", add)]


@breaks(PROMISE, Law.DRAFT_ORPHAN, needs=every(turns, reference))
def keep_drafts() -> Sequence[Patch]:
    """Leave the drafts of a turn that has ended."""
    writes = MemoryRepository._writes

    def keeping(self: MemoryRepository, commit: Any) -> Any:
        written = writes(self, commit)
        return {k: v for k, v in written.items() if v is not None or k[0] != "draft"}

    return [(MemoryRepository, "_writes", keeping)]
