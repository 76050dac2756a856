"""Which replica is asked, how often, and what an unsettled call is told as."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import httpx
import pytest

from gateway.app import LIVE
from gateway.upstream import Replicas
from sessiond.errors import (
    IdTaken,
    Internal,
    OutcomeUnknown,
    RateLimited,
    SessiondError,
    SessionMoved,
    Unavailable,
)
from sessiond.v1 import live_pb2, session_pb2, store_pb2
from tests.gateway.conftest import client_of, opened, settings
from tests.gateway.parts import Part, broken, failing

PATH = f"/{LIVE.full_name}/PauseSession"
ASK = live_pb2.PauseSessionRequest(session_id="s1", op_id="op")
DONE = live_pb2.PauseSessionResponse(seq=5)


class Naps:
    """Sleeps that take no time, and are remembered."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


@asynccontextmanager
async def replicas(*parts: Part, naps: Naps, seconds: float = 5.0) -> AsyncIterator[Replicas]:
    """A service of these parts."""
    channels = [grpc.aio.insecure_channel(str(part.address)) for part in parts]
    try:
        yield Replicas(channels, seconds=seconds, sleep=naps, jitter=lambda: 1.0)
    finally:
        for channel in channels:
            await channel.close()


async def pause(service: Replicas, *, changes: bool = True, repeatable: bool = True) -> object:
    """Call once."""
    call = service.rpc(PATH, live_pb2.PauseSessionResponse, changes=changes)
    return await call(ASK, (), repeatable=repeatable)


async def test_the_first_address_is_asked_while_it_answers() -> None:
    """Failover is ordered: nobody asks the second without a reason."""
    async with Part() as one, Part() as two, replicas(one, two, naps=Naps()) as service:
        for _ in range(3):
            await pause(service)
        assert (len(one.asked), len(two.asked)) == (3, 0)


async def test_who_answered_last_is_asked_first() -> None:
    """After a failover the service does not go back to what failed."""
    async with Part() as one, Part() as two, replicas(one, two, naps=Naps()) as service:
        await one.stop()
        await pause(service)
        await one.start()
        await pause(service)
        assert (len(one.asked), len(two.asked)) == (0, 2)


@pytest.mark.parametrize("failure", [SessionMoved(), Unavailable(), OutcomeUnknown()])
async def test_a_change_goes_on_to_the_next_replica_with_its_operation_id(
    failure: SessiondError,
) -> None:
    """It carries an id, so whoever gets it twice does it once."""
    async with Part() as one, Part() as two, replicas(one, two, naps=Naps()) as service:
        one.answers["PauseSession"] = failing(failure)
        two.answers["PauseSession"] = lambda _: DONE
        assert await pause(service) == DONE
        assert {asked.request.op_id for asked in one.asked + two.asked} == {"op"}


async def test_a_short_gap_is_bridged_by_pauses_that_grow() -> None:
    """A hand-over or a restart costs a little time and no error."""
    naps = Naps()
    async with Part() as one, replicas(one, naps=naps) as service:
        one.answers["PauseSession"] = failing(SessionMoved(), times=4, then=lambda _: DONE)
        assert await pause(service) == DONE
    assert naps.seconds == [0.05, 0.1, 0.2, 0.4]


async def test_a_dropped_connection_leaves_a_change_in_doubt() -> None:
    """Nobody can say whether it was stored, and nobody pretends to."""
    async with Part() as one, replicas(one, naps=Naps()) as service:
        one.answers["PauseSession"] = broken
        with pytest.raises(OutcomeUnknown):
            await pause(service)


async def test_what_cannot_be_repeated_is_asked_again_only_if_it_was_not_made() -> None:
    """Without an operation id, doubt ends the call; a refused connection does not raise any."""
    async with Part() as one, Part() as two, replicas(one, two, naps=Naps()) as service:
        one.answers["PauseSession"] = broken
        with pytest.raises(OutcomeUnknown):
            await pause(service, repeatable=False)
        assert (len(one.asked), len(two.asked)) == (1, 0)
        await one.stop()
        await pause(service, repeatable=False)
        assert len(two.asked) == 1


async def test_a_dropped_connection_leaves_a_read_unavailable() -> None:
    """A read changed nothing either way."""
    async with Part() as one, replicas(one, naps=Naps()) as service:
        one.answers["PauseSession"] = broken
        with pytest.raises(Unavailable):
            await pause(service, changes=False)


@pytest.mark.parametrize("later", [SessionMoved(), Unavailable(), RateLimited()])
async def test_doubt_outlives_a_later_refusal(later: SessiondError) -> None:
    """`Not applied` speaks of the attempt that it answers, not of the one before."""
    async with Part() as one, replicas(one, naps=Naps()) as service:
        one.answers["PauseSession"] = failing(OutcomeUnknown(), times=1, then=failing(later))
        with pytest.raises(OutcomeUnknown):
            await pause(service)


@pytest.mark.parametrize("failure", [IdTaken(), Internal(), RateLimited()])
async def test_an_answer_that_another_replica_would_give_too_is_not_asked_for_twice(
    failure: SessiondError,
) -> None:
    """Rules, limits and faults are told at once."""
    async with Part() as one, Part() as two, replicas(one, two, naps=Naps()) as service:
        one.answers["PauseSession"] = failing(failure)
        with pytest.raises(type(failure)):
            await pause(service)
        assert (len(one.asked), len(two.asked)) == (1, 0)


async def hang(_: object) -> live_pb2.PauseSessionResponse:
    """An answer that never comes."""
    await asyncio.Event().wait()
    raise AssertionError


@pytest.mark.parametrize(("changes", "told"), [(True, OutcomeUnknown), (False, Unavailable)])
@pytest.mark.parametrize("before", [None, Unavailable(), OutcomeUnknown()])
async def test_a_part_that_hangs_is_given_up_at_our_deadline(
    before: SessiondError | None, changes: bool, told: type[SessiondError]
) -> None:
    """The caller, who set none, is told in time: a change is unknown, a read unavailable."""
    async with Part() as one, replicas(one, naps=Naps(), seconds=0.3) as service:
        one.answers["PauseSession"] = failing(before, times=1, then=hang) if before else hang
        with pytest.raises(told):
            await pause(service, changes=changes)


async def test_a_part_that_hung_is_not_asked_first_again() -> None:
    """Otherwise each call would spend all its time on it."""
    async with Part() as one, Part() as two, replicas(one, two, naps=Naps(), seconds=0.5) as calls:
        one.answers["PauseSession"] = hang
        with pytest.raises(OutcomeUnknown):
            await pause(calls)
        assert await pause(calls) == live_pb2.PauseSessionResponse()
        assert (len(one.asked), len(two.asked)) == (1, 1)


async def test_a_gateway_with_nothing_behind_it_answers_503(keys: Path) -> None:
    """What was never sent changed nothing; the answer says when to come back; the process lives."""
    dead = Part()
    await dead.start()
    await dead.stop()
    async with (
        opened(settings(keys, [dead], [dead], upstream_seconds=0.3)) as (address, _),
        client_of(address) as http,
    ):
        read = await http.get("/api/sessions/s1")
        change = await http.delete("/api/sessions/s1")
        assert (read.status_code, read.json()["code"]) == (503, "UNAVAILABLE")
        assert (change.status_code, change.json()["code"]) == (503, "UNAVAILABLE")
        assert "Retry-After" in read.headers
        assert "Retry-After" in change.headers
        assert (await http.get("/healthz")).status_code == 200


async def test_who_gave_no_key_is_not_told_to_repeat_with_it(
    http: httpx.AsyncClient, live: Part
) -> None:
    """An unknown outcome says what this caller can do."""
    live.answers["PauseSession"] = failing(OutcomeUnknown())
    without = await http.put("/api/sessions/s1/pause")
    with_key = await http.put("/api/sessions/s1/pause", headers={"Idempotency-Key": "k"})
    assert "idempotency key" not in without.json()["detail"]
    assert "same idempotency key" in with_key.json()["detail"]


async def test_a_restarted_part_is_found_again(keys: Path) -> None:
    """An outage ends with the part's return, without a restart of the gateway."""
    async with (
        Part() as store,
        Part() as live,
        opened(settings(keys, [store], [live])) as (address, _),
        client_of(address) as http,
    ):
        assert (await http.put("/api/sessions/s1/pause")).status_code == 200
        await live.stop()
        change = asyncio.create_task(http.put("/api/sessions/s1/pause"))
        await live.start()
        assert (await change).status_code == 200


async def test_a_session_of_32_mib_comes_through(http: httpx.AsyncClient, store: Part) -> None:
    """The largest session is one answer."""
    session = session_pb2.Session(id="s1", status=session_pb2.SESSION_STATUS_ACTIVE, revision=64)
    for seq in range(64):
        session.conversation_history.add(
            content="x" * 512 * 1024,
            seq=seq,
            sender=session_pb2.SENDER_USER,
            type=session_pb2.MESSAGE_TYPE_TEXT,
        )
    store.answers["GetSession"] = lambda _: store_pb2.GetSessionResponse(session=session)
    answer = await http.get("/api/sessions/s1")
    assert answer.status_code == 200
    assert len(answer.content) > 32 * 2**20
