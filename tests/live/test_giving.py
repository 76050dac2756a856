"""Whether lists have room: what is decided while Store counts, counts."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from services.live.giving import check_takers
from sessiond.errors import SessionNotFound, TooManyShared
from sessiond.session.access import MemberRole
from sessiond.session.changes import ShareSession
from sessiond.session.limits import DEFAULT_LIMITS
from sessiond.session.sharing import Gain


class Parts:
    """A room, and a Store in which lists are full; `meanwhile` happens while it counts."""

    def __init__(self, meanwhile: Callable[[Parts], None]) -> None:
        self.gains: Gain | SessionNotFound = Gain(member="bob")
        self.meanwhile = meanwhile
        self.room = self

    def check(self, *asked: Any) -> Any:
        """Answer for the room, which would make the change."""
        return True

    def gain(self, asked: Any) -> Gain:
        """Answer for the room."""
        if isinstance(self.gains, SessionNotFound):
            raise self.gains
        return self.gains

    async def count(self, user_id: str, *, shared: bool = False) -> int:
        """Answer for Store."""
        self.meanwhile(self)
        return DEFAULT_LIMITS.shared_per_user


class Sure:
    """Rooms that are sure of what they hold."""

    async def check(self, held: Any, check: Callable[[], None]) -> None:
        """Do so at once."""
        check()


async def take(meanwhile: Callable[[Parts], None]) -> None:
    parts = Parts(meanwhile)
    asked = SimpleNamespace(change=ShareSession("bob", MemberRole.VIEWER))
    for_all = cast(Any, parts)
    await check_takers(for_all, cast(Any, Sure()), for_all, cast(Any, asked), DEFAULT_LIMITS)


async def test_a_full_list_takes_no_more() -> None:
    with pytest.raises(TooManyShared):
        await take(lambda _: None)


@pytest.mark.parametrize("now", [Gain(), Gain(member="carol"), SessionNotFound()])
async def test_what_the_room_says_meanwhile_is_left_to_it(now: Gain | SessionNotFound) -> None:
    """Bob became a member, or the change is refused: a full list is no answer to that."""

    def meanwhile(parts: Parts) -> None:
        parts.gains = now

    await take(meanwhile)
