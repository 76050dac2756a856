"""What is asked of the feed: which changes, and after which place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

from services.store.feed_steps import Copied, Told
from services.store.tokens import seal, unseal
from sessiond.errors import InvalidArgument

_FACTS: Final = ("changes",)


class Place(NamedTuple):
    """Up to which revision everything was told, and a time that is no later than what follows."""

    revision: int
    time_ms: int


class Cursor(NamedTuple):
    """A place, and the history that its revision belongs to."""

    place: Place
    history_id: str


@dataclass(frozen=True, slots=True)
class FeedQuery:
    """What is asked for; an empty set lets everything through."""

    user_ids: frozenset[str] = frozenset()
    workflow_ids: frozenset[str] = frozenset()
    kinds: frozenset[str] = frozenset()

    def wants(self, told: Told | Copied) -> bool:
        """Return whether it is to be told. Deletions always are; a copy is not known before."""
        if isinstance(told, Copied) or not told.kind:
            return True
        return (
            (not self.user_ids or not self.user_ids.isdisjoint(told.user_ids))
            and (not self.workflow_ids or told.workflow_id in self.workflow_ids)
            and (not self.kinds or told.kind in self.kinds)
        )

    def wants_copy_of(self, user_id: str) -> bool:
        """Return whether anything of a copy that is a user's is to be told."""
        return not self.user_ids or user_id in self.user_ids


def sealed(cursor: Cursor) -> str:
    """Return the cursor as readers keep it."""
    return seal(_FACTS, (cursor.history_id, *cursor.place))


def opened(cursor: str) -> Cursor:
    """Return what a reader kept.

    Raises:
        InvalidArgument: it is none that a feed gave.
    """
    history_id, *facts = unseal(cursor, _FACTS, (str, int, int), field="cursor")
    numbers = [fact for fact in facts if isinstance(fact, int) and fact > 0]
    if len(numbers) != 2 or not isinstance(history_id, str):
        raise InvalidArgument.of("cursor", "must be one that this feed gave")
    return Cursor(Place(*numbers), history_id)
