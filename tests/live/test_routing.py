"""Finding the owner: who is asked, in which order, and what comes of their answers."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from services.live.routing import Peer, Router
from services.serving.instances import Instance
from services.serving.placement import placed
from sessiond.errors import Draining, SessionMoved, SessionNotFound, Unavailable

HERE = "127.0.0.1:1"
A, B, C = "127.0.0.1:10", "127.0.0.1:11", "127.0.0.1:12"


@dataclass
class StandInRooms:
    """Rooms that hold what a test says, and enter as it says."""

    holding: set[str] = field(default_factory=set)
    outcomes: list[Any] = field(default_factory=list)
    entered: list[str] = field(default_factory=list)

    async def left(self, session_id: str) -> None:
        pass

    def held(self, session_id: str) -> Any:
        return f"room of {session_id}" if session_id in self.holding else None

    async def acquire(self, session_id: str) -> Any:
        self.entered.append(session_id)
        outcome = self.outcomes.pop(0) if self.outcomes else f"room of {session_id}"
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


@dataclass
class StandInInstances:
    """The living instances, and what Store says of those that are reported."""

    living: tuple[Instance, ...] = ()
    ends: bool = True
    reported: list[bytes] = field(default_factory=list)
    futures: dict[bytes, asyncio.Future[None]] = field(default_factory=dict)

    def at(self, address: str) -> Instance | None:
        return next((each for each in self.living if each.address == address), None)

    def channel(self, address: str) -> Any:
        return f"channel to {address}"

    def gone(self, instance: bytes) -> asyncio.Future[None]:
        return self.futures.setdefault(instance, asyncio.get_running_loop().create_future())

    async def unreachable(self, instance: bytes) -> bool:
        self.reported.append(instance)
        if self.ends:
            self.living = tuple(each for each in self.living if each.id != instance)
        return self.ends


@dataclass
class StandInStore:
    """A Store that reads heads."""

    owner: str = ""
    read: int = 0
    failure: Exception | None = None

    async def read_owner(self, session_id: str) -> str:
        self.read += 1
        if self.failure is not None:
            raise self.failure
        return self.owner


@dataclass
class StandInRegistration:
    """Whether this process drains."""

    draining: bool = False


@dataclass
class Scene:
    """A router and what it stands on."""

    instances: StandInInstances
    rooms: StandInRooms = field(default_factory=StandInRooms)
    store: StandInStore = field(default_factory=StandInStore)
    registration: StandInRegistration = field(default_factory=StandInRegistration)

    def __post_init__(self) -> None:
        self.router = Router(
            cast("Any", self.rooms),
            cast("Any", self.registration),
            cast("Any", self.instances),
            cast("Any", self.store),
            own_address=HERE,
        )

    async def found(self, session_id: str, *, hops: int = 0) -> Any:
        """Return where a session is found at once."""
        return await self.router.search(session_id, hops=hops).next()

    def placed_at(self, address: str) -> str:
        """Return a session whose place is there."""
        found = (f"s{n}" for n in range(1000))
        return next(each for each in found if self._place(each) == address)

    def _place(self, session_id: str) -> str:
        place = placed(session_id, self.instances.living)
        return place.address if place is not None else ""

    async def asked(self, search: Any) -> str:
        """Return the address of who is to be asked next."""
        found: Any = await search.next()
        assert isinstance(found, Peer), found
        channel: Any = found.channel
        assert channel == f"channel to {found.address}"
        return found.address


def instance(address: str, *, draining: bool = False) -> Instance:
    return Instance(address.encode().rjust(16, b"."), address, draining)


def scene(*addresses: str) -> Scene:
    return Scene(StandInInstances(tuple(instance(each) for each in addresses)))


async def test_what_is_held_here_is_found_here() -> None:
    """Wherever it is placed."""
    there = scene(HERE, A)
    session_id = there.placed_at(A)
    there.rooms.holding.add(session_id)
    assert await there.found(session_id) == f"room of {session_id}"
    assert there.rooms.entered == []


async def test_a_session_is_looked_for_where_it_is_placed() -> None:
    """Placed here it is entered; placed elsewhere, that instance is asked, and nothing entered."""
    there = scene(HERE, A, B)
    mine = there.placed_at(HERE)
    assert await there.found(mine) == f"room of {mine}"
    for address in (A, B):
        assert await there.asked(there.router.search(there.placed_at(address))) == address
    assert there.rooms.entered == [mine]


async def test_where_nobody_is_known_everything_is_entered_here() -> None:
    """A Live that has not heard of any instance yet serves all the same."""
    there = scene()
    assert await there.found("s") == "room of s"


async def test_a_call_that_was_passed_on_is_entered_here_wherever_it_is_placed() -> None:
    """Another's knowledge may be newer than ours; two that disagree do not pass it on for ever."""
    there = scene(HERE, A)
    session_id = there.placed_at(A)
    there.rooms.outcomes = [f"room of {session_id}", SessionMoved(A)]
    assert await there.found(session_id, hops=1) == f"room of {session_id}"
    with pytest.raises(SessionMoved) as moved:
        await there.found(session_id, hops=1)
    assert moved.value.owner_address == A


async def test_the_owner_whom_store_names_is_asked_and_remembered() -> None:
    """Placed here, owned there: the next call goes there at once."""
    there = scene(HERE, A, B)
    session_id = there.placed_at(HERE)
    there.rooms.outcomes = [SessionMoved(B)]
    assert await there.asked(there.router.search(session_id)) == B
    assert await there.asked(there.router.search(session_id)) == B
    assert there.rooms.entered == [session_id]
    # Once nobody lives there any more, it is worth nothing.
    there.instances.living = (instance(HERE), instance(A))
    session_id = there.placed_at(HERE)
    assert await there.found(session_id) == f"room of {session_id}"


async def test_three_named_owners_are_followed_and_then_the_head_is_read() -> None:
    """Whoever names an owner may be wrong; the head, read through consensus, is not."""
    there = scene(HERE, A, B, C)
    session_id = there.placed_at(A)
    there.store.owner = C
    search = there.router.search(session_id)
    asked = [await there.asked(search)]
    for named in (B, A, B):
        assert there.store.read == 0
        search.moved(named)
        asked.append(await there.asked(search))
    assert there.store.read == 1
    assert asked == [A, B, A, C]


async def test_an_owner_that_nobody_names_is_looked_for_by_placement() -> None:
    """`moved` without an owner: a session that has none may be entered where it is placed."""
    there = scene(HERE, A)
    session_id = there.placed_at(HERE)
    there.rooms.outcomes = [SessionMoved(A)]
    search = there.router.search(session_id)
    assert await there.asked(search) == A
    search.moved("")
    found: Any = await search.next()
    assert found == f"room of {session_id}"


async def test_a_place_that_refuses_is_reported_and_the_next_one_is_asked() -> None:
    """Store ends its registration, and the session has another place."""
    there = scene(HERE, A, B)
    session_id = there.placed_at(A)
    search = there.router.search(session_id)
    peer = await search.next()
    assert isinstance(peer, Peer)
    await search.broke(peer, refused=True)
    assert there.instances.reported == [instance(A).id]
    found = await search.next()
    assert not isinstance(found, Peer) or found.address == B


async def test_a_connection_that_broke_is_tried_again_before_anybody_is_reported() -> None:
    """A call that was under way when its connection broke does not prove that nobody is there."""
    there = scene(HERE, A)
    session_id = there.placed_at(A)
    search = there.router.search(session_id)
    peer = await search.next()
    assert isinstance(peer, Peer)
    await search.broke(peer, refused=False)
    assert there.instances.reported == []
    assert await there.asked(search) == A


async def test_an_instance_that_is_gone_is_not_reported_again() -> None:
    """The watch was faster."""
    there = scene(HERE, A)
    search = there.router.search(there.placed_at(A))
    peer = await search.next()
    assert isinstance(peer, Peer)
    assert peer.gone is not None
    peer.gone.set_result(None)
    await search.broke(peer, refused=True)
    assert there.instances.reported == []


async def test_nobody_at_a_named_address_makes_the_head_be_read() -> None:
    """Whoever named an address where no instance is known to live knows less than the head."""
    there = scene(HERE, A)
    session_id = there.placed_at(A)
    there.store.owner = A
    search = there.router.search(session_id)
    search.moved(C)
    peer = await search.next()
    assert isinstance(peer, Peer)
    assert (peer.address, peer.instance, peer.gone) == (C, b"", None)
    await search.broke(peer, refused=True)
    assert await there.asked(search) == A
    assert there.store.read == 1


async def test_a_draining_live_passes_on_and_enters_nothing() -> None:
    """What is placed here goes to the place among the others; what came from another, too."""
    there = scene(HERE, A, B)
    session_id = there.placed_at(HERE)
    others = placed(session_id, [instance(A), instance(B)])
    assert others is not None
    there.registration.draining = True
    assert await there.asked(there.router.search(session_id)) == others.address
    assert there.rooms.entered == []
    there.rooms.outcomes = [SessionMoved()]
    with pytest.raises(SessionMoved) as moved:
        await there.found(session_id, hops=1)
    assert moved.value.owner_address == others.address


async def test_a_draining_live_that_is_alone_says_so() -> None:
    """Nothing was done, and the caller may come back to whoever starts next."""
    there = scene(HERE)
    there.registration.draining = True
    with pytest.raises(Draining):
        await there.found("s")
    there.rooms.outcomes = [SessionMoved()]
    with pytest.raises(SessionMoved) as moved:
        await there.found("s", hops=1)
    assert moved.value.owner_address == ""


async def test_instances_that_drain_are_not_asked() -> None:
    """Unless they are named as owners."""
    there = Scene(StandInInstances((instance(HERE), instance(A, draining=True))))
    for n in range(20):
        assert await there.found(f"s{n}") == f"room of s{n}"
    search = there.router.search("s")
    search.moved(A)
    assert await there.asked(search) == A


async def test_failures_of_the_search_reach_the_caller() -> None:
    """There is no such session; Store does not answer."""
    there = scene(HERE)
    for failure in (SessionNotFound(), Unavailable()):
        there.rooms.outcomes = [failure]
        with pytest.raises(type(failure)):
            await there.found("s")


async def test_a_session_that_was_given_to_us_is_entered_wherever_it_is_placed() -> None:
    """Placement has changed since; its place cannot have it, and says that it is ours."""
    there = scene(HERE, A)
    session_id = there.placed_at(A)
    search = there.router.search(session_id)
    assert await there.asked(search) == A
    search.moved(HERE)
    found: Any = await search.next()
    assert found == f"room of {session_id}"


async def test_a_session_that_is_ours_by_an_old_word_alone_is_looked_for_on() -> None:
    """Whoever named us knew less than Store, which names another owner."""
    there = scene(HERE, A, B)
    search = there.router.search(there.placed_at(A))
    there.rooms.outcomes = [SessionMoved(B)]
    search.moved(HERE)
    assert await there.asked(search) == B
