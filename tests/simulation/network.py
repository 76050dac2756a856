"""Hosts and the connections between them, in virtual time.

    dialled --accepted--> open --reset, or silent for too long--> broken
       |
       +--nobody listens--> refused
       +--cut, or stopped--> given up

What one side sends arrives in order, each message after a delay of its own. While a way is cut,
messages wait; when a connection breaks they are lost.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from tests.simulation.loop import Process, VirtualLoop

DIAL_SECONDS = 2.0
"""How long one attempt to connect takes where nobody answers."""

SILENCE_SECONDS = (5.0, 12.0)
"""After how long without a sign of life a side gives a connection up."""


class Listener(Protocol):
    """A server, as the network sees it."""

    process: Process


class Way:
    """One direction of a connection."""

    def __init__(self, network: Network, source: str, target: str, process: Process) -> None:
        self.closed = False
        self._network = network
        self._loop = network.loop
        self._names = (source, target)
        self._context = process.context
        self._arrives_at = 0.0
        self._sent: deque[tuple[Callable[..., None], tuple[Any, ...]]] = deque()
        self._held = 0

    def send(self, deliver: Callable[..., None], *what: Any) -> None:
        """Let this be called at the other side, after all that was sent before."""
        if self.closed:
            return
        when = self._loop.time() + self._network.delay(*self._names)
        self._arrives_at = when = max(when, self._arrives_at)
        self._sent.append((deliver, what))
        self._loop.call_at(when, self._arrive, context=self._context)

    def go_on(self) -> None:
        """Let arrive what was held up."""
        held, self._held = self._held, 0
        for _ in range(held):
            self._loop.call_soon(self._arrive, context=self._context)

    def _arrive(self) -> None:
        # What is held up here may come after what a process that stands still has yet to take: so
        # an arrival says only that there is one more to deliver, and the first sent is the first.
        if self.closed:
            return
        if self._names in self._network.cut:
            self._held += 1
            self._network.held[self] = None
        else:
            deliver, what = self._sent.popleft()
            deliver(*what)


class Connection:
    """Two ways between a client's process and a server; `on_broken` of each side hears its end."""

    def __init__(self, network: Network, client: Process, listener: Listener) -> None:
        server = listener.process
        self.client, self.listener = client, listener
        self.there = Way(network, client.name, server.name, server)
        self.back = Way(network, server.name, client.name, client)
        self.on_broken: dict[Callable[[], None], Process] = {}
        self._network = network

    @property
    def names(self) -> frozenset[str]:
        """Whom it connects."""
        return frozenset((self.client.name, self.listener.process.name))

    def break_(self, *, lose: bool = True) -> None:
        """End it: each side that lives notices, a moment later. What is on its way may be lost."""
        self._network.connections.pop(self, None)
        loop = self._network.loop
        told, self.on_broken = self.on_broken, {}
        lose = lose or any(self.names >= set(way) for way in self._network.cut)
        for tell, process in told.items():
            way = self.back if process is self.client else self.there
            delay = self._network.delay(*sorted(self.names))
            if lose:
                loop.call_later(delay, tell, context=process.context)
            else:
                way.send(tell)
        if lose:
            self.there.closed = self.back.closed = True


class Network:
    """Who listens where, which ways are cut, and how long messages take."""

    def __init__(self, loop: VirtualLoop, chance: random.Random) -> None:
        self.loop = loop
        self.cut: set[tuple[str, str]] = set()
        self.held: dict[Way, None] = {}
        self.listeners: dict[str, Listener] = {}
        self.connections: dict[Connection, None] = {}
        self.slow: float = 1.0
        self._chance = chance

    def delay(self, source: str, target: str) -> float:
        """Return how long a message takes: mostly little, now and then very much longer."""
        drawn = self._chance.random()
        if drawn < 0.02:
            return self.slow * (0.005 + 2.0 * drawn)
        return self.slow * (0.0001 + 0.0009 * drawn)

    def listens(self, address: str) -> bool:
        """Return whether a process is there, standing still or not."""
        return address in self.listeners

    def dial(
        self, client: Process, address: str, connected: Callable[[Connection | None], None]
    ) -> None:
        """Connect; `connected` hears of the connection, or None, in the client's context."""
        loop = self.loop
        listener = self.listeners.get(address)
        if listener is None:
            delay = 2 * self.delay(client.name, address)
            loop.call_later(delay, connected, None, context=client.context)
            return
        ways = ((client.name, listener.process.name), (listener.process.name, client.name))
        if listener.process.frozen or not self.cut.isdisjoint(ways):
            loop.call_later(DIAL_SECONDS, connected, None, context=client.context)
            return
        connection = Connection(self, client, listener)
        self.connections[connection] = None
        delay = 2 * self.delay(client.name, address)
        loop.call_later(delay, connected, connection, context=client.context)

    # --- faults ----------------------------------------------------------------------------------

    def reset(self, name: str, other: str | None = None) -> None:
        """Break all connections of a process, or those to another one."""
        for connection in tuple(self.connections):
            if name in connection.names and (other is None or other in connection.names):
                connection.break_()

    def part(self, pairs: set[tuple[str, str]]) -> None:
        """Cut these ways; connections that stay silent for too long break."""
        self.cut |= pairs
        for name, other in sorted(pairs):
            self._watch(name, other, partial(self.cut.__contains__, (name, other)))

    def heal(self, pairs: set[tuple[str, str]]) -> None:
        """Open these ways again: what waited goes on."""
        self.cut -= pairs
        held, self.held = self.held, {}
        for way in held:  # also of connections that ended meanwhile: what was said last is that
            way.go_on()

    def stopped(self, process: Process) -> None:
        """Let those who wait for a process that stands still give up after a while."""
        self._watch(process.name, None, lambda: process.frozen)

    def vanish(self, process: Process) -> None:
        """Take away a process that was killed: what it had sent may still arrive."""
        for address, listener in tuple(self.listeners.items()):
            if listener.process is process:
                del self.listeners[address]
        for connection in tuple(self.connections):
            if process in (connection.client, connection.listener.process):
                connection.break_(lose=self._chance.random() < 0.5)

    def _watch(self, name: str, other: str | None, silent: Callable[[], bool]) -> None:
        def look(connection: Connection) -> None:
            if connection in self.connections and silent():
                connection.break_()

        for connection in tuple(self.connections):
            if name in connection.names and (other is None or other in connection.names):
                self.loop.call_later(self._chance.uniform(*SILENCE_SECONDS), look, connection)
