"""Turns on real streams: what was written becomes the message, whatever breaks in between."""

from __future__ import annotations

import asyncio
import random

import pytest

from sessiond import Client, Token, TurnCancelled, TurnOver
from sessiond.client import turn as turns
from sessiond.errors import (
    OutcomeUnknown,
    SessionNotFound,
    TurnActive,
    TurnNotFound,
    Unavailable,
)
from sessiond.session.events import Record, TurnEnded
from sessiond.session.state import TurnOutcome
from sessiond.v1 import event_pb2
from sessiond.v1.live_pb2 import Goaway, ServerFrame
from tests.client.conftest import opened
from tests.client.harm import harmed
from tests.client.live import Live
from tests.client.sessions import StoredSession

Sessions = dict[str, StoredSession]
INTERRUPTED = event_pb2.TURN_OUTCOME_INTERRUPTED


def ending(session: StoredSession) -> tuple[event_pb2.TurnOutcome.ValueType, str]:
    ended = session.events[-1].turn_ended
    return ended.outcome, ended.message.content


async def test_leaving_the_block_ends_the_turn_with_all_that_was_written(
    client: Client, sessions: Sessions
) -> None:
    async with client.attach("s") as session:
        async with session.turn() as turn:
            await turn.write("Hello, ")
            await turn.write("")
            await turn.write("wörld 𝄞!")
            assert turn.text == "Hello, wörld 𝄞!"
        assert turn.seq == session.state.seq == 3
        assert not turn.cancelled
    assert ending(sessions["s"]) == (event_pb2.TURN_OUTCOME_COMPLETED, "Hello, wörld 𝄞!")


async def test_a_turn_without_text_ends_without_a_message(
    client: Client, sessions: Sessions
) -> None:
    async with client.attach("s") as session:
        async with session.turn():
            pass
        assert len(session.messages) == 0
    assert ending(sessions["s"]) == (event_pb2.TURN_OUTCOME_COMPLETED, "")


async def test_an_exception_ends_the_turn_as_failed(client: Client, sessions: Sessions) -> None:
    async with client.attach("s") as session:
        with pytest.raises(ZeroDivisionError):
            async with session.turn() as turn:
                await turn.write("so far")
                raise ZeroDivisionError
        assert session.turns == {}
    assert ending(sessions["s"]) == (event_pb2.TURN_OUTCOME_FAILED, "so far")


async def test_a_cancelled_task_ends_its_turn_as_failed(client: Client, sessions: Sessions) -> None:
    written = asyncio.Event()

    async def work() -> None:
        async with client.attach("s") as session, session.turn() as turn:
            await turn.write("so far")
            await session.append("behind it")
            written.set()
            await asyncio.Event().wait()

    working = asyncio.create_task(work())
    await written.wait()
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
    await sessions["s"].reached(4)
    assert ending(sessions["s"]) == (event_pb2.TURN_OUTCOME_FAILED, "so far")


async def test_a_turn_that_somebody_cancels_is_over(client: Client, sessions: Sessions) -> None:
    async with client.attach("s") as worker, client.attach("s") as reader:
        with pytest.raises(TurnCancelled):
            async with worker.turn() as turn:
                await turn.write("never ")
                await reader.cancel(turn.id)
                await turn.wait_over()
                await turn.write("ending")
        assert turn.cancelled
    assert sessions["s"].head == 3


async def test_a_turn_cancelled_after_the_last_word_is_told_on_leaving(
    client: Client, sessions: Sessions
) -> None:
    async with client.attach("s") as worker:
        with pytest.raises(TurnCancelled):
            async with worker.turn() as turn:
                await turn.write("all of it")
                await worker.cancel()
                await turn.wait_over()


async def test_an_end_that_crossed_with_a_cancellation_tells_of_that(
    client: Client, sessions: Sessions
) -> None:
    async with client.attach("s") as worker:
        with pytest.raises(TurnCancelled):
            async with worker.turn() as turn:
                await turn.write("all of it")
                sessions["s"].refuse["end_turn"] = [TurnNotFound()]
                sessions["s"].end_turn(event_pb2.TURN_OUTCOME_CANCELLED)
        assert turn.seq == 0


async def test_a_turn_that_cannot_begin_raises_why(client: Client, sessions: Sessions) -> None:
    async with client.attach("s") as session:
        sessions["s"].refuse["begin_turn"] = [TurnActive()]
        with pytest.raises(TurnActive):
            async with session.turn():
                raise AssertionError
        sessions["s"].refuse["begin_turn"] = [Unavailable()]
        async with session.turn():
            assert session.state.turn is not None


@pytest.mark.parametrize("how", ["cut", "goaway", "move", "stop"])
async def test_a_turn_goes_on_after_an_interruption(
    live: Live, sessions: Sessions, how: str
) -> None:
    """Whatever was not stored is said again, from the offset that the new owner tells."""
    async with opened(live) as client, client.attach("s") as session:
        async with session.turn() as turn:
            await turn.write("one ")
            await session.append("behind it")
            kept = sessions["s"].turn
            assert kept is not None
            assert kept.text == "one "
            kept.stored = 2
            match how:
                case "cut":
                    live.newest.cut()
                    kept.text = kept.text[:2]
                case "goaway":
                    live.newest.goaway("DRAINING")
                    kept.text = kept.text[:2]
                case "move":
                    sessions["s"].move()
                case "stop":
                    await live.stop()
                    kept.text = kept.text[:2]
                    await live.start()
            await turn.write("two ")
            await session.append("again behind it")
            await turn.write("three")
        assert ending(sessions["s"]) == (event_pb2.TURN_OUTCOME_COMPLETED, "one two three")


async def test_the_end_of_a_turn_survives_an_interruption(live: Live, sessions: Sessions) -> None:
    async with opened(live) as client, client.attach("s") as session:
        async with session.turn() as turn:
            await turn.write("text")
            live.newest.cut()
        assert turn.seq == 3
    assert ending(sessions["s"]) == (event_pb2.TURN_OUTCOME_COMPLETED, "text")


async def test_a_turn_that_was_interrupted_meanwhile_is_over(
    live: Live, sessions: Sessions
) -> None:
    async with opened(live) as client, client.attach("s") as session:
        with pytest.raises(TurnOver) as caught:
            async with session.turn() as turn:
                await turn.write("text")
                await session.append("behind it")
                live.newest.cut()
                sessions["s"].end_turn(INTERRUPTED)
                await turn.wait_over()
                await turn.write("more")
        assert caught.value.outcome is TurnOutcome.INTERRUPTED
        assert session.messages[-1].content == "text"


async def test_text_that_is_not_taken_makes_the_worker_begin_again(
    client: Client, sessions: Sessions, live: Live
) -> None:
    async with client.attach("s") as session:
        async with session.turn() as turn:
            await turn.write("one ")
            await session.append("behind it")
            kept = sessions["s"].turn
            assert kept is not None
            kept.text = ""
            refused = ServerFrame()
            refused.reply.session_id = "s"
            refused.reply.op_id = turn.op_id
            refused.reply.error.code = "TURN_NOT_FOUND"
            live.newest.say(refused)
            await live.newest.hears("begin_turn", 2)
            await turn.write("two")
        assert ending(sessions["s"]) == (event_pb2.TURN_OUTCOME_COMPLETED, "one two")


async def test_text_that_is_never_taken_fails_the_turn(
    client: Client, sessions: Sessions, live: Live
) -> None:
    async with client.attach("s") as session:
        with pytest.raises(TurnNotFound):
            async with session.turn() as turn:
                sessions["s"].refuse["begin_turn"] = [TurnNotFound()]
                refused = ServerFrame()
                refused.reply.session_id = "s"
                refused.reply.op_id = turn.op_id
                refused.reply.error.code = "TURN_NOT_FOUND"
                live.newest.say(refused)
                await turn.wait_over()
                await turn.write("more")


async def test_a_begin_that_was_given_up_leaves_no_turn_behind(
    client: Client, sessions: Sessions, live: Live
) -> None:
    async with client.attach("s") as session:
        live.newest.reads.clear()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05), session.turn():
                raise AssertionError
        live.newest.reads.set()
        await sessions["s"].reached(3)
    assert ending(sessions["s"]) == (event_pb2.TURN_OUTCOME_FAILED, "")


async def test_a_failing_worker_does_not_wait_for_ever(
    live: Live, sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "FAILING_SECONDS", 0.05)
    async with opened(live) as client, client.attach("s") as session:
        with pytest.raises(ZeroDivisionError):
            async with session.turn() as turn:
                await turn.write("so far")
                await live.stop()
                raise ZeroDivisionError
        assert sessions["s"].head == 2


async def test_a_deleted_session_ends_its_turn(client: Client, sessions: Sessions) -> None:
    async with client.attach("s") as session:
        with pytest.raises(SessionNotFound):
            async with session.turn() as turn:
                goaway = Goaway(session_id="s", reason="SESSION_NOT_FOUND")
                sessions["s"].attachments[0].say(ServerFrame(goaway=goaway))
                await turn.wait_over()
                await turn.write("for nobody")


async def test_a_session_that_is_left_ends_its_turn(client: Client) -> None:
    async with client.attach("s") as session:
        turn = await session.turn().__aenter__()
    with pytest.raises(OutcomeUnknown):
        await turn.write("too late")


async def test_a_writer_waits_while_nothing_can_be_sent(
    client: Client, live: Live, sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "UNSENT", 100)
    async with client.attach("s") as session:
        async with session.turn() as turn:
            sessions["s"].refuse["attach"] = [Unavailable()] * 1000
            sessions["s"].move()
            await live.newest.hears("attach", 2)
            await turn.write("x" * 100)
            writing = asyncio.create_task(turn.write("y"))
            done, _ = await asyncio.wait([writing], timeout=0.02)
            assert not done
            sessions["s"].refuse["attach"].clear()
            await writing
        assert ending(sessions["s"])[1] == "x" * 100 + "y"


async def test_half_a_surrogate_pair_is_no_text(client: Client) -> None:
    async with client.attach("s") as session, session.turn() as turn:
        with pytest.raises(UnicodeEncodeError):
            await turn.write("\ud834")
        await turn.write("fine")


async def test_long_texts_travel_in_pieces(client: Client, sessions: Sessions) -> None:
    text = "é" * (3 * turns.PIECE + 1)
    async with client.attach("s") as session, session.turn() as turn:
        await turn.write(text)
    assert ending(sessions["s"])[1] == text


@pytest.mark.parametrize("seed", range(3))
async def test_whatever_breaks_every_token_comes_once(
    live: Live, other: Live, sessions: Sessions, seed: int
) -> None:
    """A turn of many tokens over breaking streams and dying owners: one text for everybody."""
    chance = random.Random(seed)
    words = [f"word{number} " for number in range(400)]
    text = "".join(words)

    async with (
        opened(live, other) as client,
        client.attach("s") as worker,
        client.attach("s") as reader,
    ):
        updates = reader.updates()

        async def read() -> str:
            have = ""
            async for update in updates:
                if isinstance(update, Token):
                    assert update.offset == len(have)
                    have += update.text
                    assert text.startswith(have)
                elif isinstance(update, Record) and isinstance(update.event, TurnEnded):
                    return update.event.content
            raise AssertionError

        reading = asyncio.create_task(read())
        async with harmed(chance, [live, other], [sessions["s"]]), worker.turn() as turn:
            for word in words:
                await turn.write(word)
                if chance.random() < 0.1:
                    await asyncio.sleep(0.002)
        assert await reading == text
    assert ending(sessions["s"]) == (event_pb2.TURN_OUTCOME_COMPLETED, text)
