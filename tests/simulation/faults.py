"""Doing harm to the parts of a world, and mending it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from tests.simulation.etcd import NAME
from tests.simulation.history import History
from tests.simulation.parts import Live, Part, Store
from tests.simulation.schedule import LIVES, STORES, Fault
from tests.simulation.world import World

Pairs = set[tuple[str, str]]


class Harm:
    """All parts of a world, and what is wrong with them at the moment."""

    def __init__(self, world: World, history: History) -> None:
        self.parts: dict[str, Part] = {}
        self._world = world
        self._history = history
        self._tasks: list[asyncio.Task[Any]] = []
        self._mending: dict[Callable[[], object], None] = {}
        for name in (*STORES, *LIVES):
            self._start(name)

    def plan(self, faults: Iterable[Fault]) -> None:
        """Let these happen when their time comes."""
        for fault in faults:
            self._tasks.append(asyncio.create_task(self._do(fault), name=fault.kind))

    async def mend(self) -> None:
        """Wait for what is still to happen, and put everything right, whatever it is."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for undo in tuple(self._mending):
            self._undo(undo)
        for name, part in tuple(self.parts.items()):
            if part.ended.is_set():
                self._start(name)

    # --- inside ----------------------------------------------------------------------------------

    def _start(self, name: str) -> None:
        part = Live(self._world, name, STORES) if name in LIVES or "live" in name else None
        self.parts[name] = part or Store(self._world, name)
        self.parts[name].start()

    async def _do(self, fault: Fault) -> None:
        await asyncio.sleep(fault.at)
        begun = self._begin(fault)
        if begun is None:
            return
        self._mending[begun] = None
        await asyncio.sleep(fault.seconds)
        self._undo(begun)

    def _undo(self, undo: Callable[[], object]) -> None:
        if undo in self._mending:
            del self._mending[undo]
            undo()

    def _begin(self, fault: Fault) -> Callable[[], object] | None:
        """Do the harm; return what ends it, None where it needs no end."""
        kind, what = fault.kind.partition(" ")[::2]
        world, etcd, network = self._world, self._world.etcd, self._world.network
        self._history.note(world.loop.time(), "FAULT", f"{fault.kind} for {fault.seconds:.1f} s")
        match kind:
            case "kill":
                return self._kill(self._choose(what, fault))
            case "crash":
                return self._crash()
            case "pause":
                return self._pause(self._choose(what, fault))
            case "part":
                return self._part(self._pairs(what, fault))
            case "reset":
                network.reset(self._choose("live", fault).name)
            case "ambiguous":
                etcd.ambiguity = 0.1 + 0.4 * (fault.chosen % 8) / 8
                return lambda: setattr(etcd, "ambiguity", 0.0)
            case "away":
                etcd.away = True
                return lambda: setattr(etcd, "away", False)
            case "behind":
                store = self._choose("store", fault).name
                etcd.fall_behind(store)
                return lambda: etcd.behind.pop(store, None)
            case "drain":
                return self._drain(self._choose("live", fault))
            case "join":
                if "live-4" not in self.parts:
                    self._start("live-4")
            case "compact":
                return self._compacting()
            case "revoke":
                revoked = asyncio.create_task(etcd.revoke(fault.chosen))
                self._tasks.append(revoked)
            case "slow":
                network.slow = 20.0
                return lambda: setattr(network, "slow", 1.0)
            case "lag":
                etcd.lag = 3.0
                return lambda: setattr(etcd, "lag", 0.05)
        return None

    def _choose(self, what: str, fault: Fault) -> Part:
        parts = [self.parts[name] for name in (LIVES if what == "live" else STORES)]
        if what == "live" and fault.chosen % 4:  # mostly one that owns something
            owners: list[Part] = [part for part in parts if isinstance(part, Live) and part.rooms]
            parts = owners or parts
        return parts[fault.chosen % len(parts)]

    def _note(self, text: str) -> None:
        self._history.note(self._world.loop.time(), "FAULT", text)

    def _kill(self, part: Part) -> Callable[[], object]:
        self._note(f"{part.name} is killed")
        part.kill()
        return lambda: self._start_again(part)

    def _start_again(self, part: Part) -> None:
        if self.parts[part.name] is part:
            self._note(f"{part.name} starts again")
            self._start(part.name)

    def _crash(self) -> Callable[[], object]:
        """Kill whoever commits next, before it hears of that; start it again when asked to."""
        ends: list[Callable[[], object]] = []

        def kill(instance: bytes) -> None:
            for part in tuple(self.parts.values()):
                known = (
                    part.registration.instance
                    if isinstance(part, Live) and part.registration
                    else None
                )
                if known is not None and known.id == instance and not part.ended.is_set():
                    ends.append(self._kill(part))

        self._world.etcd.on_commit = kill
        return lambda: [end() for end in ends]

    def _drain(self, part: Part) -> Callable[[], object]:
        self._note(f"{part.name} drains")
        part.stop()

        def again() -> None:
            if not part.ended.is_set():
                part.kill()
            self._start_again(part)

        return again

    def _pause(self, part: Part) -> Callable[[], object]:
        self._note(f"{part.name} stands still")
        loop = self._world.loop
        if part.process.frozen:
            return lambda: None
        loop.freeze(part.process)
        self._world.network.stopped(part.process)

        def go_on() -> None:
            if not part.ended.is_set():
                self._note(f"{part.name} goes on")
                loop.thaw(part.process)

        return go_on

    def _pairs(self, what: str, fault: Fault) -> Pairs:
        live = self._choose("live", fault).name
        match what:
            case "etcd":
                store = STORES[fault.chosen % 2]
                pairs = {(store, NAME), (NAME, store)}
            case "lives":
                pairs = {(live, other) for other in LIVES if other != live}
                pairs |= {(other, live) for live, other in pairs}
            case _:
                others = STORES if fault.chosen % 3 else STORES[:1]
                pairs = {(live, other) for other in others}
                if fault.chosen % 5:  # otherwise only one way is cut
                    pairs |= {(other, live) for other in others}
        return pairs

    def _part(self, pairs: Pairs) -> Callable[[], object]:
        self._note(f"cut: {sorted(pairs)}")
        self._world.network.part(pairs)
        return lambda: self._world.network.heal(pairs)

    def _compacting(self) -> Callable[[], object]:
        async def compact() -> None:
            while True:
                self._world.etcd.compact()
                await asyncio.sleep(0.05)

        task = asyncio.create_task(compact())
        return task.cancel
