"""What waits for one connection: in order, within its bound, and the rest only when it is asked."""

from __future__ import annotations

import asyncio

from services.live.frames import encoded
from services.live.outbox import WRITE_BYTES, Outbox
from sessiond.v1.live_pb2 import Pong, ServerFrame


class Counted:
    """A source that shows how often it was asked."""

    def __init__(self, *latest: bytes) -> None:
        self.sent_seq = 0
        self.latest = list(latest)

    def sample(self) -> list[bytes]:
        shown, self.latest = self.latest, []
        return shown


def unexpected() -> None:
    raise AssertionError("it is not full")


def pong(payload: str) -> bytes:
    return encoded(ServerFrame(pong=Pong(payload=payload)))


async def test_frames_that_wait_together_are_one_message() -> None:
    """Joined bytes are a batch of all of them, in order, without being encoded again."""
    outbox = Outbox(unexpected)
    for word in ("a", "b", "c"):
        outbox.offer(pong(word))
    message = ServerFrame.FromString(await outbox.take())
    assert [frame.pong.payload for frame in message.batch] == ["a", "b", "c"]


async def test_take_waits_for_something() -> None:
    """Nothing is written when there is nothing."""
    outbox = Outbox(unexpected)
    taking = asyncio.create_task(outbox.take())
    await asyncio.sleep(0)
    assert not taking.done()
    outbox.offer(b"x")
    assert await taking == b"x"


async def test_a_source_is_asked_when_there_is_room_to_write() -> None:
    """What has a latest state waits nowhere: it is asked once, after what stood in the queue."""
    outbox = Outbox(unexpected)
    source = Counted(b"new")
    outbox.mark(source)
    outbox.mark(source)
    outbox.offer(b"event", source, seq=3)
    assert await outbox.take() == b"eventnew"
    assert source.sent_seq == 3


async def test_a_long_queue_goes_before_the_latest_state() -> None:
    """Tokens and presence are merged while a reader is behind with what is durable."""
    outbox = Outbox(unexpected, capacity=4 * WRITE_BYTES)
    source = Counted(b"new")
    outbox.mark(source)
    outbox.offer(b"a" * WRITE_BYTES)
    outbox.offer(b"b")
    assert await outbox.take() == b"a" * WRITE_BYTES
    assert source.latest == [b"new"]
    assert await outbox.take() == b"bnew"


async def test_a_source_that_has_nothing_to_show_is_no_message() -> None:
    """An empty message is the end of the stream, so nobody else may give one."""
    outbox = Outbox(unexpected)
    outbox.mark(Counted())
    taking = asyncio.create_task(outbox.take())
    await asyncio.sleep(0)
    assert not taking.done()
    outbox.end(b"bye")
    assert await taking == b"bye"


async def test_a_full_outbox_overflows_once_and_drops_what_waits_for_the_farewell() -> None:
    """The bound holds, and the reader learns why it is sent away."""
    overflows: list[int] = []

    def overflow() -> None:
        overflows.append(1)
        outbox.end(b"slow", at_once=True)

    outbox = Outbox(overflow, capacity=10)
    for _ in range(5):
        outbox.offer(b"12345")
    assert overflows == [1]
    assert await outbox.take() == b"slow"
    assert await outbox.take() == b""


async def test_a_single_frame_may_be_larger_than_the_bound() -> None:
    """A bound below the largest frame would send everybody away for ever."""
    outbox = Outbox(unexpected, capacity=10)
    outbox.offer(b"x" * 50)
    assert await outbox.take() == b"x" * 50


async def test_room_comes_with_half_of_the_queue_free() -> None:
    """Who fills the queue with what is not urgent leaves room for what happens meanwhile."""
    outbox = Outbox(unexpected, capacity=10)
    outbox.offer(b"123456")
    waiting = asyncio.create_task(outbox.room())
    await asyncio.sleep(0)
    assert not waiting.done()
    await outbox.take()
    await waiting


async def test_what_waits_is_written_before_an_orderly_end() -> None:
    """An end that is nobody's fault loses nothing."""
    outbox = Outbox(unexpected)
    outbox.offer(b"event")
    outbox.end(b"bye")
    outbox.offer(b"too late")
    assert await outbox.take() == b"eventbye"
    assert await outbox.take() == b""


async def test_sources_that_never_have_anything_cost_nothing() -> None:
    """However often they are asked: who repeats itself for hours must not end anybody's stream."""
    outbox = Outbox(unexpected)
    source = Counted()
    taking = asyncio.create_task(outbox.take())
    for _ in range(2000):
        outbox.mark(source)
        await asyncio.sleep(0)
    outbox.offer(b"x")
    assert await taking == b"x"


async def test_who_takes_nothing_while_others_wait_for_room_is_slow() -> None:
    """A reader that has stopped reading holds nobody, and what it was to get, for ever."""
    overflows: list[int] = []

    def overflow() -> None:
        overflows.append(1)
        outbox.end(at_once=True)

    outbox = Outbox(overflow, capacity=10, patience=0.01)
    outbox.offer(b"12345678")
    await asyncio.gather(outbox.room(), outbox.room(3))
    assert overflows == [1]
