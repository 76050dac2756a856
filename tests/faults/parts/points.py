"""The points at which a part can be made to die: functions of the real part, wrapped from outside.

Each point lies between two steps of which the second must be made good by somebody else.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

Reached = Callable[[str], None]

POINTS = {
    "live": (
        "after commit before acknowledgement",
        "before fan-out",
        "after acquire before load",
        "after hand-over before telling",
        "during a draft flush",
    ),
    "store": ("after transaction before outcome",),
    "gateway": (),
}
"""By the kind of part."""


def wrap(kind: str, reached: Reached) -> None:
    """Let the code of this part tell the points that it reaches."""
    if kind == "live":
        _wrap_live(reached)
    elif kind == "store":
        _wrap_store(reached)


def _wrap_live(reached: Reached) -> None:
    from services.live.acquisition import Acquirer
    from services.live.audience import Audience
    from services.live.forming import Formed
    from services.live.outcome import Verdict
    from services.live.room import Room
    from services.live.writing import Writing

    def settling(room: Room, verdict: Verdict) -> None:
        formed = room._in_flight
        drafts_alone = formed is not None and formed.draft is not None and not formed.records
        if drafts_alone and verdict is Verdict.COMMITTED:
            reached("during a draft flush")

    def acknowledging(formed: Formed) -> None:
        if formed.records:
            reached("after commit before acknowledgement")

    _before(Formed, "give", acknowledging)
    _before(Audience, "show", lambda *_: reached("before fan-out"))
    _before(Acquirer, "_load", lambda *_: reached("after acquire before load"))
    _after(Writing, "hand_over", lambda *_: reached("after hand-over before telling"))
    _before(Room, "settle", settling)


def _wrap_store(reached: Reached) -> None:
    from services.store.commit import Committer

    _after(Committer, "_outcomes", lambda *_: reached("after transaction before outcome"))


def _before(owner: type, name: str, act: Callable[..., None]) -> None:
    original = getattr(owner, name)

    @wraps(original)
    def wrapped(*given: Any, **named: Any) -> Any:
        act(*given, **named)
        return original(*given, **named)

    setattr(owner, name, wrapped)


def _after(owner: type, name: str, act: Callable[..., None]) -> None:
    """Act when an asynchronous function has done its work, and before its caller learns of it."""
    original = getattr(owner, name)

    @wraps(original)
    async def wrapped(*given: Any, **named: Any) -> Any:
        result = await original(*given, **named)
        act(*given, **named)
        return result

    setattr(owner, name, wrapped)
