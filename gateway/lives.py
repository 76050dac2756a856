"""Which Live a session's stream goes to, and the stream.

Any Live takes any session, and passes on what is not its own: to choose well only saves a hop. The
one that placement names comes first, and who comes back without luck goes round the others.
"""

from __future__ import annotations

from collections.abc import Sequence

import grpc

from gateway.live_stream import LiveStream
from services.serving.instances import Instances
from services.serving.placement import placed


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
        if self._instances is None or place >= len(ranked):
            return LiveStream(self._channels[place - len(ranked)], metadata)
        chosen = ranked[place]
        return LiveStream(
            self._instances.channel(chosen.address), metadata, self._instances.gone(chosen.id)
        )
