"""Which Live a session's streams and calls go to.

Any Live takes any session, and passes on what is not its own: to choose well only saves a hop. The
one that placement names comes first, and who comes back without luck goes round the others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

import grpc

from gateway.live_stream import LiveStream
from services.serving.instances import Instance, Instances
from services.serving.placement import placed


class Way(NamedTuple):
    """A way to a Live. `gone` is done once that is known to be dead; None: nobody would tell."""

    channel: grpc.aio.Channel
    gone: asyncio.Future[None] | None = None


class Lives:
    """All Lives that there are: those that Store names, else those of the settings.

    The channels are the caller's to close.
    """

    def __init__(
        self, channels: Sequence[grpc.aio.Channel], instances: Instances | None = None
    ) -> None:
        self._channels = channels
        self._instances = instances

    def stream(
        self,
        session_id: str,
        metadata: tuple[tuple[str, str], ...],
        *,
        failures: int = 0,
        owner: str = "",
    ) -> LiveStream:
        """Return a stream that has not been entered yet.

        `failures` counts those in a row that came to nothing; `owner` is where the session was said
        to be, "" where that is not known.
        """
        living = () if self._instances is None else self._instances.living
        best = placed(session_id, living)
        ranked = sorted(
            living, key=lambda each: (each.address != owner, each is not best, each.draining)
        )
        place = failures % (len(ranked) + len(self._channels))
        if place < len(ranked):
            return LiveStream(*self._way(ranked[place]), metadata)
        return LiveStream(self._channels[place - len(ranked)], None, metadata)

    def nearest(self, session_id: str) -> Way | None:
        """Return the way to the Live that placement names; None where Store has named none yet."""
        best = None if self._instances is None else placed(session_id, self._instances.living)
        return None if best is None else self._way(best)

    def _way(self, instance: Instance) -> Way:
        assert self._instances is not None
        return Way(self._instances.channel(instance.address), self._instances.gone(instance.id))
