"""Where each session of a stream is: in a room of ours, or with another Live that is forwarded to.

asked for --find--> here: confirm that it is, join, catch up, follow
             ^  |             |
             |  |             +--not any more--+
             |  +-> there: forward the attach --granted--> follow
             |               |
             +--moved, broken+
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import structlog

from services.live.attachment import Attachment
from services.live.catch_up import AttachmentEnded, CatchUp
from services.live.forwarding import Broken, Forward, Moved, Refused
from services.live.frames import goaway
from services.live.held import Held
from services.live.hops import Hops
from services.live.outbox import Outbox
from services.live.protocol import Conversation, Follow, Leave
from services.live.rooms import Rooms
from services.live.routing import Peer, Router
from services.live.store import StoreClient
from services.serving.context import Call
from sessiond.errors import Internal, NotAttached, SessiondError, Unauthenticated, Unavailable
from sessiond.session.access import Identity
from sessiond.v1.live_pb2 import ClientFrame

ATTACHES = 16
"""Attaches of one stream that are under way at once; the next one is read when one is done."""

ATTACH_SECONDS = 10.0
"""How long finding a session's owner may take before the client is told to come back.

One that is stopped says nothing until its registration ends, which is sooner.
"""

_log = structlog.get_logger(__name__)


class Here(NamedTuple):
    """The session is in a room of this process."""

    held: Held
    attachment: Attachment


Place = Here | Forward


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """What finding and following sessions takes; `advertised` is where clients reach this Live."""

    rooms: Rooms
    router: Router
    hops: Hops
    store: StoreClient
    advertised: str


@contextmanager
def _ending(attachment: Attachment) -> Iterator[None]:
    """End an attachment whose reader cannot be brought to the present, and say why."""
    try:
        yield
    except AttachmentEnded:
        pass
    except SessiondError as error:
        attachment.end(error)
    except Exception:
        _log.exception("catching up broke")
        attachment.end(Internal())


class Places:
    """The attachments of one stream; `on_ended` hears of each that a room of ours has ended."""

    def __init__(
        self,
        around: Whereabouts,
        conversation: Conversation,
        outbox: Outbox,
        *,
        caller: Callable[[], Call],
        on_ended: Callable[[], None],
        hops: int,
    ) -> None:
        self._around = around
        self._conversation = conversation
        self._outbox = outbox
        self._caller = caller
        self._on_ended = on_ended
        self._hops = hops
        self._places: dict[str, Place] = {}
        self._forwards: dict[str, Forward] = {}
        self._attaching: dict[str, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._attaches = asyncio.Semaphore(ATTACHES)
        self._closing: set[asyncio.Task[None]] = set()

    def get(self, session_id: str) -> Place | None:
        """Return where an attached session is; None when it is not attached any more."""
        return self._places.get(session_id)

    async def attach(self, asked: Follow) -> None:
        """Begin to attach a session; waits while too many attaches are under way."""
        await self._attaches.acquire()
        task = asyncio.create_task(self._attach(asked), name=f"attach {asked.session_id}")
        self._attaching[asked.session_id] = task
        self._tasks.add(task)
        task.add_done_callback(lambda done: self._done(asked.session_id, done))

    def detach(self, asked: Leave) -> None:
        """Follow a session no longer; the goaway is the last that is heard of it."""
        attaching = self._attaching.pop(asked.session_id, None)
        if attaching is not None:
            attaching.cancel()
        place = self._places.get(asked.session_id)
        self._forget(asked.session_id)
        if isinstance(place, Forward):
            place.detach(asked.session_id)
        elif place is not None:
            self._leave(place)
        gone = NotAttached("The session is detached.")
        self._outbox.offer(goaway(gone, session_id=asked.session_id))

    def check_readers(self) -> None:
        """End what the caller may no longer read; other Lives see to what they hold themselves."""
        for place in tuple(self._places.values()):
            if isinstance(place, Here):
                try:
                    place.held.room.check_reader(self._identity())
                except SessiondError as gone:
                    place.attachment.end(gone)

    async def everywhere(self, frame: ClientFrame) -> None:
        """Say something to every other Live that is forwarded to."""
        for forward in tuple(self._forwards.values()):
            await forward.say(frame)

    def farewell(self, reason: SessiondError) -> bytes:
        """Return the frames that send the reader away, and say for each session where to resume."""
        return b"".join(
            goaway(reason, session_id=session_id, cursor=place.attachment.cursor)
            for session_id, place in self._places.items()
            if isinstance(place, Here)
        )

    async def close(self) -> None:
        """Follow nothing any more, and leave no task behind."""
        for task in self._tasks:
            task.cancel()
        for place in self._places.values():
            if isinstance(place, Here):
                self._leave(place)
        self._places.clear()
        forwards, self._forwards = self._forwards, {}
        await asyncio.gather(
            *self._tasks,
            *(forward.close() for forward in forwards.values()),
            *self._closing,
            return_exceptions=True,
        )

    # --- attaching ---------------------------------------------------------------------------

    def _done(self, session_id: str, done: asyncio.Task[None]) -> None:
        self._attaches.release()
        self._tasks.discard(done)
        if self._attaching.get(session_id) is done:
            del self._attaching[session_id]

    async def _attach(self, asked: Follow) -> None:
        try:
            async with asyncio.timeout(ATTACH_SECONDS) as patience:
                await self._attach_somewhere(asked, patience)
        except TimeoutError:
            self._refuse(asked.session_id, Unavailable())
        except SessiondError as error:
            self._refuse(asked.session_id, error)
        except Exception:
            _log.exception("an attach broke")
            self._refuse(asked.session_id, Internal())

    def _refuse(self, session_id: str, error: SessiondError) -> None:
        """Tell the client that the session is not attached, and why."""
        place = self._places.get(session_id)
        if isinstance(place, Forward):
            place.detach(session_id)
        self._forget(session_id)
        self._outbox.offer(goaway(error, session_id=session_id))

    async def _attach_somewhere(self, asked: Follow, patience: asyncio.Timeout) -> None:
        since = asyncio.get_running_loop().time()
        search = self._around.router.search(asked.session_id, hops=self._hops)
        while True:
            place = await search.next()
            if not isinstance(place, Peer):
                if await self._around.rooms.confirm(asked.session_id, place, since=since):
                    await self._attach_here(asked, place, patience)
                    return
                continue
            answer = await self._forward_to(asked.session_id, place).attach(asked.frame.attach)
            match answer:
                case Moved(owner):
                    search.moved(owner)
                case Broken(refused):
                    await search.broke(place, refused=refused)
                case Refused():
                    self._forget(asked.session_id)
                    return
                case _:
                    return

    async def _attach_here(self, asked: Follow, held: Held, patience: asyncio.Timeout) -> None:
        """Follow a room of ours."""
        room = held.room
        room.check_reader(self._identity())
        attachment = Attachment(
            room,
            self._outbox,
            identity=self._identity,
            on_end=self._attachment_ended,
            on_rewound=lambda: self._show_again(catching_up, asked.tail),
        )
        around = self._around
        catching_up = CatchUp(attachment, self._outbox, around.store, around.advertised)
        held.users += 1
        self._places[asked.session_id] = Here(held, attachment)
        room.audience.join(attachment)
        self._conversation.granted(asked.session_id)
        patience.reschedule(None)  # from here on it is the reader who sets the pace
        with _ending(attachment):
            await catching_up.run(asked.cursor, asked.tail)

    def _show_again(self, catching_up: CatchUp, tail: int) -> None:
        """Bring a reader back to the present, whose session has gone back."""

        async def show() -> None:
            with _ending(catching_up.attachment):
                await catching_up.again(tail)

        task = asyncio.create_task(show(), name=f"again {catching_up.attachment.session_id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _forward_to(self, session_id: str, peer: Peer) -> Forward:
        forward = self._forwards.get(peer.address)
        if forward is None or forward.broken:
            forward = Forward(
                peer.channel,
                self._around.hops.onward(self._caller(), self._hops),
                self._outbox,
                gone=peer.gone,
                on_granted=self._conversation.granted,
                on_ended=self._forget,
                on_broken=lambda broken: self._forward_broke(peer.address, broken),
            )
            self._forwards[peer.address] = forward
        self._places[session_id] = forward
        return forward

    def _forward_broke(self, address: str, forward: Forward) -> None:
        if self._forwards.get(address) is forward:
            del self._forwards[address]
        closing = asyncio.create_task(forward.close(), name="forward-close")
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)

    # --- ends --------------------------------------------------------------------------------

    def _attachment_ended(self, attachment: Attachment) -> None:
        place = self._places.get(attachment.session_id)
        if isinstance(place, Here) and place.attachment is attachment:
            self._let_go(place.held)
            self._forget(attachment.session_id)
            self._on_ended()

    def _leave(self, place: Here) -> None:
        if not place.attachment.ended:
            place.attachment.detach()
            self._let_go(place.held)

    def _let_go(self, held: Held) -> None:
        held.users -= 1
        held.used_at = asyncio.get_running_loop().time()

    def _forget(self, session_id: str) -> None:
        self._places.pop(session_id, None)
        self._conversation.ended(session_id)

    def _identity(self) -> Identity:
        identity = self._caller().identity
        if identity is None:
            raise Unauthenticated
        return identity
