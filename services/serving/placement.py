"""Where a session belongs: rendezvous hashing over the living instances of Live.

Each pair of session and instance has a weight, and the heaviest instance has the session. All who
know the same instances name the same one, without asking anybody; an instance that joins takes an
equal share from each of the others, and one that leaves gives its share to them: nothing else
moves.

Placement only says who should own a session. Who does own it stands in its head.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Protocol, TypeVar

_WEIGHT_BYTES = 8


class Placeable(Protocol):
    """What sessions are placed on."""

    @property
    def id(self) -> bytes:
        """At most 64 bytes that nobody else has."""

    @property
    def draining(self) -> bool:
        """Whether it is about to leave."""


Place = TypeVar("Place", bound=Placeable)


def placed(session_id: str, instances: Iterable[Place]) -> Place | None:
    """Return the instance that should own a session; None when there is none that stays.

    The order of `instances` does not matter.
    """
    name = session_id.encode()
    return max(
        (each for each in instances if not each.draining),
        key=lambda each: (_weight(name, each.id), each.id),
        default=None,
    )


def _weight(name: bytes, instance: bytes) -> bytes:
    return hashlib.blake2b(name, key=instance, digest_size=_WEIGHT_BYTES).digest()
