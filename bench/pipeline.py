"""The bare pipeline: client, bare Live, bare Store, etcd, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle
from secrets import token_hex

from bench.floors.etcd import Raw
from bench.floors.serving import method
from bench.floors.shape import Shape
from bench.frames import SESSION_ID_BYTES, Author, texts
from bench.measuring import Sample, Timing
from bench.product import Lost
from bench.streams import Lane, Road, append_over, spread
from bench.system import System

LIVE, STORE = "bare live", "bare store"


class Pipeline:
    """The two processes, and appends through them."""

    def __init__(self, system: System, raw: Raw, *, content_bytes: int) -> None:
        self._raw = raw
        self.road = Road(system.channel(LIVE), method("Connect"), attached=False)
        self._texts = cycle(texts(content_bytes))

    @classmethod
    async def started(
        cls, system: System, raw: Raw, shape: Shape, *, content_bytes: int
    ) -> Pipeline:
        """Start both processes; they end with the system."""
        told = system.home / "shape.json"
        shape.write(told)
        etcd = system.cluster.address("etcd-1")
        store = await system.program(STORE, "bench.floors.bare_store", etcd, str(told))
        sizes = (str(shape.frame), str(len(shape.acknowledging(b"-" * SESSION_ID_BYTES))))
        await system.program(LIVE, "bench.floors.bare_live", store, *sizes)
        return cls(system, raw, content_bytes=content_bytes)

    async def appends(self, sessions: int, streams: int, timing: Timing) -> Sample:
        """Append in new sessions, spread over so many streams; look whether all of it is stored."""
        lanes = await self.lanes(sessions, streams)
        sample = await append_over(self.road, lanes, timing)
        await self.check(lanes)
        return sample

    async def lanes(self, sessions: int, streams: int) -> list[Lane]:
        """Make so many sessions."""
        made = []
        for size in spread(sessions, streams):
            ids = [token_hex(SESSION_ID_BYTES // 2) for _ in range(size)]
            await self._raw.sessions(ids)
            made.append(Lane((), [Author(each, next(self._texts)) for each in ids]))
        return made

    async def check(self, lanes: Sequence[Lane]) -> None:
        """Compare what is stored of these sessions with what was acknowledged.

        Raises:
            Lost: there is more or less.
        """
        authors = [author for lane in lanes for author in lane.authors]
        stored = await self._raw.records([author.session_id for author in authors])
        acknowledged = sum(author.acknowledged for author in authors)
        if stored != acknowledged:
            raise Lost(f"{acknowledged} appends were acknowledged and {stored} are stored")
