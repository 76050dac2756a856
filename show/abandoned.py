"""A turn whose worker is killed: it ends by itself, with the text that there is."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from sessiond.session.events import Record
from show import script
from show.audience import Watcher
from show.ending import end_of, wrong_with
from show.outcome import Outcome
from show.pace import until
from show.stage import Stage

AFTER, BY = 10.0, 13.0
"""Between so many seconds after its worker's stream broke it has to end."""

_SEEN_SECONDS = 10.0


async def abandon(
    stage: Stage,
    session_id: str,
    watchers: Sequence[Watcher],
    *,
    worker_token: str,
    tokens: int,
    per_second: float,
) -> tuple[str, float]:
    """Let a worker of its own begin a turn and kill it; return the turn's id, and when.

    Raises:
        RuntimeError: nobody saw so many tokens of it.
    """
    known = {turn_id for watcher in watchers for turn_id in watcher.shown}
    enough = len(script.script(tokens))
    worker = await stage.worker(worker_token, session_id, per_second)

    def turns() -> list[str]:
        return [
            turn_id
            for watcher in watchers
            for turn_id, shown in watcher.shown.items()
            if turn_id not in known and len(shown.text) >= enough
        ]

    await until(lambda: bool(turns()) or not worker.running, _SEEN_SECONDS)
    if not turns():
        raise RuntimeError("the second turn was not seen: " + " ".join(worker.last_lines(3)))
    turn_id = turns()[0]
    killed = asyncio.get_running_loop().time()
    await worker.kill()
    return turn_id, killed


def judge(
    outcome: Outcome,
    records: Sequence[Record],
    watchers: Sequence[Watcher],
    turn_id: str,
    killed: float,
) -> None:
    """Put figures and complaints about an abandoned turn into the outcome."""
    ended = end_of(turn_id, records)
    if ended is None:
        outcome.complain(["the abandoned turn did not end"])
        return
    text = ended.content
    outcome.complain(f"stored: {each}" for each in script.begun(text))
    outcome.complain(wrong_with(watchers, turn_id, text, "interrupted"))
    seen = [shown.ended - killed for each in watchers if (shown := each.shown.get(turn_id))]
    if not seen:
        return
    outcome.tell(
        interrupted_characters=len(text),
        interrupted_after_s=[round(min(seen), 2), round(max(seen), 2)],
    )
    if not AFTER <= min(seen) <= max(seen) <= BY:
        outcome.complain(
            [
                f"the turn was interrupted {min(seen):.2f} to {max(seen):.2f} s after its worker "
                f"was killed, not {AFTER:g} to {BY:g} s"
            ]
        )
