"""Finding the owner of a session: this process, or another instance that is to be asked.

    held here? --yes--> here
        |
        no --was passed on to us--> enter it: here, or moved to the owner whom Store names
        |
        +--an owner is known, or named by who was asked--> that one; if it is us, enter it
        +--placed on another--> that one
        +--placed on us--> enter it: here, or the owner whom Store names

Whoever is asked and is not the owner names the owner, as far as it knows. After three such answers
the head is read through consensus: somebody's knowledge is old.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import NamedTuple

import grpc

from services.live.acquisition import Deleted
from services.live.held import Held
from services.live.registration import Registration
from services.live.rooms import Rooms
from services.live.store import StoreClient
from services.serving.instances import Instance, Instances
from services.serving.placement import placed
from sessiond.errors import DeadlineExceeded, Draining, SessionMoved, SessionNotFound, Unavailable

FOLLOWED = 3
"""How many named owners are asked, one after the other, before the head is read."""

REMEMBERED = 10_000
"""Owners that are remembered where sessions are not placed; the oldest is forgotten first."""

FIRST_PAUSE_SECONDS = 0.02
LONGEST_PAUSE_SECONDS = 0.5


class Peer(NamedTuple):
    """Another instance, which owns a session or should.

    `gone` is done when it is known to live no longer: then nothing that it was asked will be
    answered. It is everybody's; None where Store has not told of an instance at that address.
    """

    address: str
    channel: grpc.aio.Channel
    instance: bytes
    gone: asyncio.Future[None] | None


class Router:
    """Knows where sessions are, as far as this process can know."""

    def __init__(
        self,
        rooms: Rooms,
        registration: Registration,
        instances: Instances,
        store: StoreClient,
        *,
        own_address: str,
    ) -> None:
        self.rooms = rooms
        self.instances = instances
        self.store = store
        self._registration = registration
        self._own_address = own_address
        self._owners: OrderedDict[str, str] = OrderedDict()

    def search(self, session_id: str, *, hops: int = 0) -> Search:
        """Return a search for the session's owner; `hops` says how often the call was passed on."""
        return Search(self, session_id, hops)

    @property
    def draining(self) -> bool:
        """Whether this process takes no more sessions."""
        return self._registration.draining

    def place(self, session_id: str) -> Instance | None:
        """Return the other instance that should own a session; None when this process should.

        While this process drains, None says that there is no other instance which stays.
        """
        others = [
            each
            for each in self.instances.living
            if each.address != self._own_address or not self.draining
        ]
        found = placed(session_id, others)
        return None if found is None or found.address == self._own_address else found

    def peer(self, address: str) -> Peer | None:
        """Return another instance by its address; None for this process, and for no address."""
        if not address or address == self._own_address:
            return None
        try:
            channel = self.instances.channel(address)
        except ValueError:
            return None
        instance = self.instances.at(address)
        if instance is None:
            return Peer(address, channel, b"", None)
        return Peer(address, channel, instance.id, self.instances.gone(instance.id))

    def is_here(self, address: str) -> bool:
        """Return whether this is where this process is reached."""
        return address == self._own_address

    def owner(self, session_id: str) -> str:
        """Return the address of the owner that was named last, if an instance lives there."""
        address = self._owners.get(session_id, "")
        if address and self.instances.at(address) is None:
            del self._owners[session_id]
            return ""
        return address

    def learn(self, session_id: str, address: str) -> None:
        """Remember who was named as the owner; "" forgets."""
        self._owners.pop(session_id, None)
        place = self.place(session_id)
        if address and (place is None or place.address != address):
            self._owners[session_id] = address
            if len(self._owners) > REMEMBERED:
                self._owners.popitem(last=False)


class Search:
    """One call's search: ask who `next` returns, say what came of it, and ask for the next.

    It goes on for as long as it is asked: who searches has a time limit of its own.
    """

    def __init__(self, router: Router, session_id: str, hops: int) -> None:
        self.deleted: Deleted | None = None
        """What is left of the session, where `next` raised `SessionNotFound` for a deleted one."""
        self._router = router
        self._session_id = session_id
        self._hops = hops
        self._named = router.owner(session_id)
        self._followed = 0
        self._failures = 0

    async def next(self) -> Held | Peer:
        """Return where the session is held, or who is to be asked.

        Raises:
            SessionMoved: the call was passed on to us, and another instance owns the session.
            SessionNotFound: there is no such session.
            Draining: this process takes no more sessions, and there is no other.
            Unavailable: Store does not answer.
        """
        router, session_id = self._router, self._session_id
        while True:
            await router.rooms.left(session_id)
            held = router.rooms.held(session_id)
            if held is not None:
                return held
            if self._hops:
                return await self._enter_for_another()
            if self._followed >= FOLLOWED:
                await self._ask_store()
            # A session that was given to us is ours to enter, wherever it is placed by now: nobody
            # else can have it while we live.
            ours = router.is_here(self._named)
            peer = None if ours else self._peer()
            if peer is not None:
                return peer
            if router.draining and not ours:
                raise Draining(retry_after=0.1)
            try:
                return await self._enter()
            except SessionMoved as moved:
                self.moved(moved.owner_address)

    def moved(self, owner: str) -> None:
        """Note that who was asked is not the owner, and whom it named; "" for nobody."""
        self._followed += 1
        self._named = owner
        self._router.learn(self._session_id, owner)

    async def broke(self, peer: Peer, *, refused: bool) -> None:
        """Note that a peer did not answer; return when it makes sense to go on.

        `refused` says that nobody listened there: Store is told, and has looked when this returns.
        """
        self._named = ""
        self._router.learn(self._session_id, "")
        if peer.gone is not None and peer.gone.done():
            return
        if refused and peer.instance and await self._router.instances.unreachable(peer.instance):
            return
        await self._pause()
        if refused and not peer.instance:
            self._followed = FOLLOWED  # whoever named that address knows less than we do

    def _peer(self) -> Peer | None:
        """Return the instance that was named, or where the session is placed."""
        router = self._router
        peer = router.peer(self._named)
        if peer is None and (place := router.place(self._session_id)) is not None:
            peer = router.peer(place.address)
        return peer

    async def _enter(self) -> Held:
        try:
            return await self._router.rooms.acquire(self._session_id)
        except Deleted as deleted:
            self.deleted = deleted
            raise SessionNotFound from None

    async def _enter_for_another(self) -> Held:
        try:
            return await self._enter()
        except SessionMoved as moved:
            if moved.owner_address:
                raise
            place = self._router.place(self._session_id)
            raise SessionMoved(place.address if place is not None else "") from None

    async def _ask_store(self) -> None:
        await self._pause()
        self._followed = 0
        try:
            self._named = await self._router.store.read_owner(self._session_id)
        except DeadlineExceeded:
            raise Unavailable from None
        self._router.learn(self._session_id, self._named)

    async def _pause(self) -> None:
        """Wait longer each time, and the first time not at all."""
        if self._failures:
            pause = FIRST_PAUSE_SECONDS * 2 ** min(self._failures - 1, 8)
            await asyncio.sleep(min(pause, LONGEST_PAUSE_SECONDS))
        self._failures += 1
