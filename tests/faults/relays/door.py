"""A TCP relay before one port of a part: it passes bytes on, and harms them when it is told to.

    open --the part refuses--> shut --the part listens again--> open
      |
      +-- each connection: dialled on, and pumped both ways, through the trouble of its road

A road is all that one caller has with the part: `live-1` may be cut off from `store-1` while all
others go there. As long as nobody listens behind the door, the door refuses, too: who cannot tell
a dead process from a stopped one could not see a relay between them.
"""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Self

from tests.faults.relays.road import Road, reset
from tests.faults.relays.troubles import NONE, Trouble, Way

_PROBE_SECONDS = 0.03
_BACKLOG = 128

Address = tuple[str, int]


def _address(text: str) -> Address:
    host, _, port = text.rpartition(":")
    return host, int(port)


class Door:
    """Stands before a part; an async context manager.

    Attributes:
        target: where connections are passed on to; those that stand are left where they are.
        connections: how many came so far.
        carried: bytes that came so far, both ways, by caller.
        harmed: those of them that came into trouble; one who was refused counts as a byte.
    """

    def __init__(
        self,
        name: str,
        part: str,
        *,
        port: int = 0,
        caller_of: Callable[[int, int], str] = lambda port, to: "client",
    ) -> None:
        """Stand before the host:port `part`, at a port, by default at any; `caller_of` names who
        dials from a port.
        """
        self.name = name
        self.target = part
        self.connections = 0
        self.carried: Counter[str] = Counter()
        self.harmed: Counter[str] = Counter()
        self._part = _address(part)
        self._port = port
        self._caller_of = caller_of
        self._listener: socket.socket | None = None
        self._roads: set[Road] = set()
        self._pumps: set[asyncio.Task[None]] = set()
        self._callers_in: set[asyncio.Task[None]] = set()
        self._troubles: dict[str, Trouble] = {}
        self._everybody = NONE
        self._broke = asyncio.Event()
        self._watching: asyncio.Task[None] | None = None

    @property
    def address(self) -> str:
        """Where callers connect."""
        return f"127.0.0.1:{self._port}"

    @property
    def callers(self) -> frozenset[str]:
        """Who is connected."""
        return frozenset(road.caller for road in self._roads)

    @property
    def listens(self) -> bool:
        """Whether somebody who dials is let in."""
        return self._listener is not None

    async def __aenter__(self) -> Self:
        self._open()
        self._watching = asyncio.create_task(self._watch(), name=f"door {self.name}")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
        self._shut()
        self.cut()
        ending = (*self._callers_in, *self._pumps)
        for task in ending:
            task.cancel()
        await asyncio.gather(*ending, return_exceptions=True)
        await asyncio.sleep(0)  # what was reset just now is gone in the next pass of the loop

    # --- harm --------------------------------------------------------------------------------

    def befall(self, trouble: Trouble, callers: Collection[str] = ()) -> None:
        """Bring trouble over the roads of these callers, by default of all, those to come too."""
        if callers:
            self._troubles |= dict.fromkeys(callers, trouble)
        else:
            self._everybody = trouble
            self._troubles.clear()
        for road in tuple(self._roads):
            if not callers or road.caller in callers:
                road.befall(trouble)
        self._broke.set()

    def heal(self, callers: Collection[str] = ()) -> None:
        """Let everything of these callers pass, by default of all, and what was held."""
        was_half_open = [
            road
            for road in self._roads
            if road.trouble.half_open and (not callers or road.caller in callers)
        ]
        self.befall(NONE, callers)
        for road in was_half_open:
            road.reset()

    def cut(self, callers: Collection[str] = ()) -> None:
        """Reset the connections of these callers, by default of all; they may come again."""
        for road in tuple(self._roads):
            if not callers or road.caller in callers:
                road.reset()

    # --- listening ---------------------------------------------------------------------------

    def _open(self) -> None:
        # Not by asyncio's server: that loses a connection which comes just as it is closed.
        self._listener = socket.create_server(("127.0.0.1", self._port), backlog=_BACKLOG)
        self._listener.setblocking(False)
        self._port = self._listener.getsockname()[1]
        asyncio.get_running_loop().add_reader(self._listener, self._accept, self._listener)

    def _shut(self) -> None:
        if self._listener is not None:
            asyncio.get_running_loop().remove_reader(self._listener)
            self._listener.close()
            self._listener = None

    def _accept(self, listener: socket.socket) -> None:
        try:
            caller, _ = listener.accept()
        except OSError:  # it has gone again
            return
        ends: list[asyncio.StreamWriter] = []
        carrier = asyncio.create_task(self._let_in(caller, ends))
        self._callers_in.add(carrier)
        carrier.add_done_callback(partial(self._let_out, caller, ends))

    def _let_out(
        self,
        caller: socket.socket,
        ends: Sequence[asyncio.StreamWriter],
        carrier: asyncio.Task[None],
    ) -> None:
        """End both connections with whatever ended their carrier."""
        self._callers_in.discard(carrier)
        if not ends:  # it ended before it began
            caller.close()
        for end in ends:
            if not end.is_closing():
                reset(end)

    async def _watch(self) -> None:
        """Refuse while the part does, or while nobody is to come."""
        while True:
            await self._broke.wait()
            self._broke.clear()
            while self._everybody.refused or not await self._listened_behind():
                self._shut()
                with suppress(TimeoutError):
                    async with asyncio.timeout(_PROBE_SECONDS):
                        await self._broke.wait()
                        self._broke.clear()
            if self._listener is None:
                self._open()

    async def _listened_behind(self) -> bool:
        loop = asyncio.get_running_loop()
        with socket.socket() as probe:
            probe.setblocking(False)
            try:
                async with asyncio.timeout(1.0):
                    await loop.sock_connect(probe, self._part)
            except TimeoutError:  # a stopped process, and as many as wait for it already
                return True
            except OSError:
                return False
        return True

    # --- connections -------------------------------------------------------------------------

    def _trouble_of(self, caller: str) -> Trouble:
        return self._troubles.get(caller, self._everybody)

    async def _let_in(self, accepted: socket.socket, ends: list[asyncio.StreamWriter]) -> None:
        reader, writer = await asyncio.open_connection(sock=accepted)
        ends.append(writer)
        self.connections += 1
        caller = self._caller_of(
            writer.get_extra_info("peername")[1], writer.get_extra_info("sockname")[1]
        )
        if self._trouble_of(caller).refused:
            self.harmed[caller] += 1
            reset(writer)
            return
        try:
            far_reader, far = await asyncio.open_connection(*_address(self.target))
        except OSError:
            self._broke.set()
            reset(writer)
            return
        ends.append(far)
        road = Road(caller, writer, far, carried=self.carried, harmed=self.harmed)
        self._roads.add(road)
        trouble = self._trouble_of(caller)
        if trouble is not NONE:
            road.befall(trouble)
        pumps = [
            asyncio.create_task(road.pump(reader, far, Way.IN)),
            asyncio.create_task(road.pump(far_reader, writer, Way.OUT)),
        ]
        self._pumps.update(pumps)
        await asyncio.wait(pumps)
        self._pumps.difference_update(pumps)
        self._roads.discard(road)
        self._broke.set()
