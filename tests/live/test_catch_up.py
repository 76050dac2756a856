"""Coming to the present on rooms in hand: no gap and no repeat, whatever happens meanwhile."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import pytest

from services.live.attachment import Attachment
from services.live.catch_up import RESTARTS, AttachmentEnded, CatchUp
from services.live.frames import encoded
from services.live.outbox import CAPACITY, Outbox
from services.live.room import Room
from services.live.window import WINDOW_RECORDS
from sessiond.errors import SlowReader
from sessiond.session.access import Identity, Role
from sessiond.session.changes import AppendMessage, BeginTurn, RewindSession
from sessiond.session.rewinding import fill, fold
from sessiond.store.codec import decode_record, encode_record
from sessiond.v1.live_pb2 import Pong, ServerFrame
from tests.live.readers import made
from tests.live.rooms import ALICE, House, asked, commit

AGENT = Identity("w", Role.AGENT, agents=frozenset({"writer"}))


@dataclass
class Log:
    """All records of a room's session, as Store gives them."""

    room: Room
    kept: list[bytes] = field(default_factory=list)
    read: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._keep()

    def append(self, content: str) -> None:
        made(self.room, AppendMessage(content), f"op{len(self.kept)}")
        self._keep()

    def rewind(self, to_seq: int) -> None:
        records = [decode_record(record) for record in self.kept]
        request = asked(RewindSession(to_seq), f"op{len(self.kept)}")
        request.past = fill(fold(None, records[:to_seq]), records)
        self.room.submit(request)
        commit(self.room)
        self._keep()

    def begin_turn(self, worker: Comer, text: str) -> None:
        turn = self.room.take_up(made(self.room, BeginTurn(), "b1", AGENT), worker.attachment)
        self._keep()
        self.room.write(worker.attachment, turn.turn_id, 0, text)

    def _keep(self) -> None:
        record = self.room.window.record(self.room.session.seq)
        assert record is not None
        self.kept.append(encode_record(record))

    async def records(
        self, session_id: str, first_seq: int, last_seq: int, *, enough: int
    ) -> list[bytes]:
        found: list[bytes] = []
        for record in self.kept[first_seq - 1 : last_seq]:
            found.append(record)
            if sum(map(len, found)) >= enough:
                break
        self.read.append(sum(map(len, found)))
        return found


@dataclass
class Comer:
    """A reader that catches up with a room, and reads when it is told to."""

    room: Room
    log: Log
    shown: list[ServerFrame] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.again: list[asyncio.Task[None]] = []
        self.outbox = Outbox(self._unexpected)
        self.attachment = Attachment(
            self.room,
            self.outbox,
            identity=lambda: ALICE,
            on_end=lambda _: None,
            on_rewound=self._rewound,
        )
        self.room.audience.join(self.attachment)

    def _rewound(self) -> None:
        store: Any = self.log
        catching_up = CatchUp(self.attachment, self.outbox, store, "")
        self.again.append(asyncio.create_task(catching_up.again(50)))

    def _unexpected(self) -> None:
        raise AssertionError("it is not slow")

    def fill(self, left: int) -> None:
        """Let so much wait that only `left` bytes more may."""
        head = len(encoded(ServerFrame(pong=Pong(payload="x" * 100_000)))) - 100_000
        size = CAPACITY // 2 - left - head
        self.outbox.offer(encoded(ServerFrame(pong=Pong(payload="x" * size))))

    def come(self, cursor: str | None, tail: int = 50) -> asyncio.Task[None]:
        store: Any = self.log
        catching_up = CatchUp(self.attachment, self.outbox, store, "")
        return asyncio.create_task(catching_up.run(cursor, tail))

    async def read(self) -> None:
        self.outbox.offer(b"")
        frames = ServerFrame.FromString(await self.outbox.take()).batch
        self.shown.extend(frame for frame in frames if not frame.HasField("pong"))

    async def read_while(self, coming: asyncio.Task[None]) -> None:
        while not coming.done():
            await self.read()
            await asyncio.sleep(0)
        await coming
        for _ in range(10):
            await self.read()

    def heard(self) -> list[tuple[str, Any]]:
        kinds = [frame.WhichOneof("frame") or "" for frame in self.shown]
        return [(kind, getattr(frame, kind)) for kind, frame in zip(kinds, self.shown, strict=True)]


def follows(heard: list[tuple[str, Any]], seq: int) -> int:
    """Return where a reader ends that began at a seq; every event is the next one."""
    for kind, told in heard:
        if kind == "event":
            assert told.seq == seq + 1, "a gap"
            seq = told.seq
        elif kind == "snapshot" and told.last:
            seq = told.seq
    return seq


async def test_a_reader_that_is_overtaken_at_the_very_end_misses_nothing() -> None:
    """Also when there is no room just then to say that it has caught up: so many bytes or fewer."""
    for left in count(step=4):
        room = House().room()
        log = Log(room)
        comer = Comer(room, log)
        comer.fill(left)
        coming = comer.come(room.cursor(1))
        await asyncio.sleep(0)
        if coming.done():
            break
        for _ in range(3):
            log.append("x" * 400_000)
        await comer.read_while(coming)
        log.append("then")
        await comer.read()
        assert follows(comer.heard(), 1) == 5


async def test_a_reader_whose_snapshot_is_void_gets_the_running_text_again() -> None:
    """What it was told of it before is void with the rest."""
    room = House().room()
    log = Log(room)
    comer, worker = Comer(room, log), Comer(room, log)
    log.begin_turn(worker, "Hello")
    comer.fill(left=1)
    coming = comer.come(room.cursor(2))
    await asyncio.sleep(0)
    for _ in range(3):
        log.append("x" * 400_000)
    await comer.read_while(coming)
    kinds = [kind for kind, _ in comer.heard()]
    assert comer.heard()[0][1].turns[0].text == "Hello"
    after = dict(comer.heard()[kinds.index("reset") :])
    assert (after["token"].offset, after["token"].text) == (0, "Hello")


async def test_what_is_shown_of_the_past_is_read_as_it_is_shown() -> None:
    """Who asks for everything and reads nothing costs about a page, not the session."""
    room = House().room()
    log = Log(room)
    for _ in range(60):
        log.append("x" * 400_000)
    for cursor in (room.cursor(1), None):
        log.read.clear()
        comer = Comer(room, log)
        coming = comer.come(cursor, tail=60)
        for _ in range(200):
            await asyncio.sleep(0)
        held = [size for size in log.read if size]
        assert max(held) < 1_500_000
        if cursor is not None:
            assert sum(held) < 3_000_000
        await comer.read_while(coming)
        if cursor is None:
            parts = [told for kind, told in comer.heard() if kind == "snapshot"]
            assert [part.last for part in parts] == [False] * (len(parts) - 1) + [True]
            assert [m.seq for part in parts for m in part.messages.messages] == [*range(2, 62)]
        else:
            assert follows(comer.heard(), 1) == 61
        comer.attachment.detach()


async def test_a_snapshot_is_whole_though_its_messages_leave_the_room_meanwhile() -> None:
    """Those that came after its state do not take the place of its own."""
    room = House().room()
    log = Log(room)
    log.append("first")
    comer = Comer(room, log)
    comer.fill(left=1)
    coming = comer.come(None, tail=1)
    await asyncio.sleep(0)
    for _ in range(WINDOW_RECORDS + 1):
        log.append("later")
    assert room.window.start > 3
    await comer.read_while(coming)
    parts = [told for kind, told in comer.heard() if kind == "snapshot"]
    assert [m.content for part in parts for m in part.messages.messages] == ["first"]
    assert follows(comer.heard(), 0) == room.session.seq


async def test_a_reader_that_is_overtaken_again_and_again_is_slow() -> None:
    """It would never come to the present; by its cursor it may try again."""
    room = House().room()
    log = Log(room)
    comer = Comer(room, log)
    for _ in range(3):
        log.append("x" * 400_000)
    coming = comer.come(None, tail=3)  # more than there is room for: it waits in every snapshot
    while not coming.done():
        for _ in range(20):
            await asyncio.sleep(0)
        for _ in range(2):
            if not comer.attachment.overtaken:
                log.append("x" * 400_000)
        await comer.read()
    with pytest.raises(SlowReader):
        await coming
    kinds = [kind for kind, _ in comer.heard()]
    assert kinds.count("reset") == RESTARTS
    assert "caught_up" not in kinds


async def test_a_stream_that_has_ended_reads_no_more_of_the_past() -> None:
    """Nobody is shown it."""
    room = House().room()
    log = Log(room)
    for _ in range(40):
        log.append("x" * 400_000)
    comer = Comer(room, log)
    coming = comer.come(room.cursor(1))
    for _ in range(20):
        await asyncio.sleep(0)
    read = len(log.read)
    comer.outbox.end()
    with pytest.raises(AttachmentEnded):
        await coming
    assert len(log.read) == read


def said(heard: list[tuple[str, Any]]) -> list[str]:
    """Return the messages of the snapshots that were shown."""
    parts = [told for kind, told in heard if kind == "snapshot"]
    return [message.content for part in parts for message in part.messages.messages]


async def test_a_rewind_is_shown_and_then_the_session_anew() -> None:
    """Of what is there again only a snapshot tells everything; events go on after it."""
    room = House().room()
    log = Log(room)
    for content in ("one", "two", "three"):
        log.append(content)
    comer = Comer(room, log)
    await comer.read_while(comer.come(room.cursor(4)))
    comer.shown.clear()
    log.rewind(2)
    log.append("another")
    (again,) = comer.again
    await comer.read_while(again)
    log.append("way")
    await comer.read()
    kinds = [kind for kind, _ in comer.heard()]
    assert kinds[:2] == ["event", "reset"]
    assert kinds[-2:] == ["caught_up", "event"]
    heard = dict(comer.heard())
    assert (comer.heard()[0][1].seq, heard["reset"].reason) == (5, "REWOUND")
    assert comer.heard()[0][1].rewound.to_seq == 2
    assert said(comer.heard()) == ["one", "another"]
    assert follows(comer.heard(), 4) == 7


@pytest.mark.parametrize("cursor", [True, False])
async def test_a_rewind_while_somebody_comes_begins_that_again(cursor: bool) -> None:
    """Whether events or a snapshot were being shown: nothing of them is left."""
    room = House().room()
    log = Log(room)
    for _ in range(30):
        log.append("x" * 100_000)
    comer = Comer(room, log)
    coming = comer.come(room.cursor(1) if cursor else None, tail=30)
    for _ in range(5):
        await asyncio.sleep(0)
    assert not coming.done()
    log.rewind(2)
    log.append("then")
    await comer.read_while(coming)
    assert comer.again == []
    kinds = [kind for kind, _ in comer.heard()]
    assert kinds.count("reset") == 1
    after = comer.heard()[kinds.index("reset") :]
    assert after[0][1].reason == "REWOUND"
    assert [len(content) for content in said(after)] == [100_000, 4]
    assert follows(after, 0) == room.session.seq == 33


async def test_a_cursor_of_before_a_rewind_or_of_itself_gives_a_snapshot() -> None:
    """Who has the rewind alone may lack what it brought back; who has more has had that."""
    room = House().room()
    log = Log(room)
    log.append("one")
    log.append("two")
    log.rewind(2)
    log.append("three")
    for seq, reasons in ((3, ["REWOUND"]), (4, ["REWOUND"]), (5, [])):
        comer = Comer(room, log)
        await comer.read_while(comer.come(room.cursor(seq)))
        heard = comer.heard()
        assert [told.reason for kind, told in heard if kind == "reset"] == reasons
        assert said(heard) == (["one", "three"] if reasons else [])
        comer.attachment.detach()


async def test_what_was_undone_is_not_even_read() -> None:
    """A snapshot reads the pieces of the conversation, wherever they are."""
    room = House().room()
    log = Log(room)
    for number in range(3):
        log.append(f"{number}")
    for _ in range(WINDOW_RECORDS + 200):
        log.append("undone")
    log.rewind(3)
    log.append("then")
    log.read.clear()
    comer = Comer(room, log)
    await comer.read_while(comer.come(None))
    assert said(comer.heard()) == ["0", "1", "then"]
    assert sum(log.read) < 2_000
