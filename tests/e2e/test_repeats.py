"""A change whose reply was lost is repeated, and done once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, NamedTuple

import grpc
import httpx
import pytest
import pytest_asyncio

from cluster.etcd_binary import EtcdBinary
from cluster.topology import Topology
from services.store.etcd.client import EtcdClient
from services.store.etcd.repository import EtcdRepository
from sessiond.errors import OutcomeUnknown
from sessiond.status import from_rpc_error
from sessiond.v1.live_pb2 import AppendMessageRequest
from tests.e2e.answers import good, problem
from tests.e2e.relayed import HOPS, Relayed, relayed_system
from tests.e2e.system import System, until
from tests.etcd.relay import Relay


class Change(NamedTuple):
    """One change of a session; `{id}` stands for its id."""

    verb: str
    path: str
    body: dict[str, Any] | None
    status: int

    async def make(self, client: httpx.AsyncClient, session_id: str, **more: Any) -> httpx.Response:
        """Make the change, under a key of its own unless `key` is another one or None."""
        headers = {}
        key = more.pop("key", f"key of {self.verb} {self.path}")
        if key is not None:
            headers["Idempotency-Key"] = key
        body = more.pop("body", self.body)
        if body is not None and "id" in body:
            body = {**body, "id": session_id}
        path = self.path.replace("{id}", session_id)
        return await client.request(self.verb, path, json=body, headers=headers)


# In this order each gives exactly one event, so the n-th has seq n.
CHANGES = [
    Change("POST", "/api/sessions", {"id": "{id}", "title": "Repeats"}, 201),
    Change("POST", "/api/chat/{id}/messages", {"content": "Hello"}, 201),
    Change("PATCH", "/api/sessions/{id}", {"metadata": {"a": "b"}}, 200),
    Change("POST", "/api/chat/{id}/outputs", {"content": "Plan", "outputId": "plan"}, 201),
    Change("PUT", "/api/chat/{id}/outputs/plan", {"content": "Better plan"}, 200),
    Change("PUT", "/api/sessions/{id}/pause", None, 200),
    Change("PUT", "/api/sessions/{id}/resume", None, 200),
    Change("PUT", "/api/chat/{id}/approve", {"feedback": "Good."}, 200),
]
DELETION = Change("DELETE", "/api/sessions/{id}", None, 204)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def relayed(
    etcd_binary: EtcdBinary, ports: Iterator[int], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Relayed]:
    """A system with a relay on each of its hops, and a Live that soon says what it knows."""
    topology = Topology.anywhere(ports, settings={"live": {"SESSIOND_ANSWER_SECONDS": "1"}})
    home = tmp_path_factory.mktemp("relayed")
    async with relayed_system(topology, home, etcd_binary) as started:
        yield started


@pytest.fixture
def dora(relayed: Relayed, name: Callable[[str], str]) -> httpx.AsyncClient:
    """A user of that system."""
    return relayed.system.api(name("dora"))


def check_original(answer: httpx.Response, change: Change, seq: int, session_id: str) -> Any:
    """Return what the answer says was made, after looking that it is the answer to that event."""
    body = good(answer, change.status)
    assert answer.headers["etag"] == f'"{seq}"'
    if change.path == "/api/sessions":
        assert answer.headers["location"] == f"/api/sessions/{session_id}"
    if "revision" in body:  # the session as it now is
        assert body["id"] == session_id
        assert body["revision"] >= seq
        return session_id
    assert body["seq"] == seq
    return body.get("outputId", body)


async def check_all_again(
    system: System, client: httpx.AsyncClient, session_id: str, made: list[Any]
) -> None:
    """Every change once more gives its original answer, and no record."""
    before = await system.records(session_id)
    for seq, change in enumerate(CHANGES, start=1):
        again = await change.make(client, session_id)
        assert check_original(again, change, seq, session_id) == made[seq - 1]
    assert await system.records(session_id) == before


async def test_a_client_that_lost_the_reply_gets_the_original_answer(
    relayed: Relayed, dora: httpx.AsyncClient, name: Callable[[str], str]
) -> None:
    """Every POST, PUT, PATCH and DELETE, at once, later, and after Live died or lost its place."""
    system, session_id = relayed.system, name("lost")
    async with Relay(system.cluster.address("gateway-1")) as relay:
        relay.budget = lambda: 0
        unlucky = system.api(name("dora"), at=relay.address)
        made = []
        for seq, change in enumerate(CHANGES, start=1):
            with pytest.raises(httpx.TransportError):
                await change.make(unlucky, session_id)
            assert len(await system.records(session_id)) == seq
            answer = await change.make(dora, session_id)
            made.append(check_original(answer, change, seq, session_id))
        assert len(await system.records(session_id)) == len(CHANGES)
        good(await dora.post(f"/api/chat/{session_id}/messages", json={"content": "On"}), 201)
        await check_all_again(system, dora, session_id, made)

        await system.cluster.kill("live-1")
        await system.cluster.start("live-1")
        await check_all_again(system, dora, session_id, made)

        await end_registration(system)
        await check_all_again(system, dora, session_id, made)

        with pytest.raises(httpx.TransportError):
            await DELETION.make(unlucky, session_id)
    stored = await system.stored(session_id)
    assert stored is not None
    assert stored[0].tombstone is not None
    good(await DELETION.make(dora, session_id), 204)
    await system.cluster.kill("live-1")
    await system.cluster.start("live-1")
    good(await DELETION.make(dora, session_id), 204)
    problem(await DELETION.make(dora, session_id, key="other"), 404, "SESSION_NOT_FOUND")
    problem(await DELETION.make(dora, session_id, key=None), 404, "SESSION_NOT_FOUND")
    admin = system.api("root", role="admin")
    problem(await DELETION.make(admin, session_id), 404, "SESSION_NOT_FOUND")


async def end_registration(system: System) -> None:
    """End the registration of the one Live, as if its lease had run out; wait for the next one."""
    before = await system.instance()
    async with (
        EtcdClient([system.cluster.address("etcd-1")]) as etcd,
        EtcdRepository(etcd) as repository,
    ):
        _, (registered,) = await repository.instances()
        assert registered.instance == before
        await repository.deregister(registered.instance, registered.lease)

    async def another() -> bool:
        return await system.instance() not in (b"", before)

    await until(another)


@pytest.mark.parametrize("with_key", [True, False])
@pytest.mark.parametrize("hop", HOPS)
async def test_a_reply_lost_between_our_parts_is_made_good_by_them(
    relayed: Relayed, dora: httpx.AsyncClient, name: Callable[[str], str], hop: str, with_key: bool
) -> None:
    """The caller hears of one success, and there is one record, with a key or without.

    Only a creation without a key cannot be repeated by the gateway, which then says so.
    """
    system, relay, session_id = relayed.system, relayed.hops[hop], name("hop")
    key: dict[str, Any] = {} if with_key else {"key": None}
    for seq, change in enumerate(CHANGES, start=1):
        lost = relay.lost
        creates = change.path == "/api/sessions"
        passes = hop == "store to etcd" or creates == (hop == "gateway to store")
        if passes:
            relay.lose(session_id)
        answer = await change.make(dora, session_id, **key)
        if creates and hop == "gateway to store" and not with_key:
            problem(answer, 503, "OUTCOME_UNKNOWN")
        else:
            check_original(answer, change, seq, session_id)
        assert relay.lost == lost + passes
        assert len(await system.records(session_id)) == seq
    if hop != "gateway to store":
        relay.lose(session_id)
    good(await DELETION.make(dora, session_id, **key), 204)
    problem(await dora.get(f"/api/sessions/{session_id}"), 404, "SESSION_NOT_FOUND")


@pytest.mark.parametrize("lost", ["commit", "outcome"])
async def test_what_live_does_not_know_it_calls_unknown(
    relayed: Relayed, dora: httpx.AsyncClient, name: Callable[[str], str], lost: str
) -> None:
    """Whether its commit is late or the outcome is: the key settles it, and it is stored once."""
    system, hop, session_id = relayed.system, relayed.hops["live to store"], name("unknown")
    for change in CHANGES[:2]:
        good(await change.make(dora, session_id), 201)
    content = name("is it there?")
    request = AppendMessageRequest(session_id=session_id, content=content, op_id=content)
    (hop.hold if lost == "commit" else hop.hold_reply)(content)
    with pytest.raises(grpc.aio.AioRpcError) as told:
        await system.live().AppendMessage(
            request, metadata=system.calling(name("dora")), timeout=10
        )
    assert isinstance(from_rpc_error(told.value, mutating=True), OutcomeUnknown)
    assert len(await system.records(session_id)) == (2 if lost == "commit" else 3)
    hop.release()
    path = f"/api/chat/{session_id}/messages"
    repeat: dict[str, Any] = {"json": {"content": content}, "headers": {"Idempotency-Key": content}}
    seqs = [good(await dora.post(path, **repeat), 201)["seq"] for _ in range(2)]
    assert seqs == [3, 3]
    assert len(await system.records(session_id)) == 3


async def test_a_key_used_for_another_change_is_refused(
    relayed: Relayed, dora: httpx.AsyncClient, name: Callable[[str], str]
) -> None:
    """422 whatever differs: the body, the route, or what is asked of it; and nothing is stored."""
    system, session_id = relayed.system, name("mismatch")
    for change in CHANGES:
        good(await change.make(dora, session_id), change.status)
    stored = await system.records(session_id)
    others = [
        {"id": "{id}", "title": "Another"},
        {"content": "Good-bye"},
        {"metadata": {"a": "c"}},
        {"content": "Plan", "outputId": "other"},
        {"content": "Worse plan"},
        None,
        None,
        {"feedback": "Good.", "decision": "rejected"},
    ]
    key_of_the_message = "key of {} {}".format(*CHANGES[1][:2])
    for change, other in zip(CHANGES, others, strict=True):
        if other is not None:
            answer = await change.make(dora, session_id, body=other)
            problem(answer, 422, "IDEMPOTENCY_MISMATCH")
        if change.path not in ("/api/sessions", CHANGES[1].path):
            answer = await change.make(dora, session_id, key=key_of_the_message)
            problem(answer, 422, "IDEMPOTENCY_MISMATCH")
    answer = await DELETION.make(dora, session_id, key=key_of_the_message)
    problem(answer, 422, "IDEMPOTENCY_MISMATCH")
    without_id: dict[str, Any] = {
        "json": {"title": "One"},
        "headers": {"Idempotency-Key": name("made")},
    }
    made = good(await dora.post("/api/sessions", **without_id), 201)
    assert good(await dora.post("/api/sessions", **without_id), 201) == made
    without_id["json"] = {"title": "Two"}
    problem(await dora.post("/api/sessions", **without_id), 422, "IDEMPOTENCY_MISMATCH")
    assert await system.records(session_id) == stored


async def test_another_actors_equal_key_is_a_change_of_its_own(
    relayed: Relayed, dora: httpx.AsyncClient, name: Callable[[str], str]
) -> None:
    """Keys are scoped by who makes the change, and for whom."""
    system, session_id, user = relayed.system, name("actors"), name("dora")
    good(await CHANGES[0].make(dora, session_id), 201)
    actors = [
        dora,
        system.api(user, role="admin"),
        system.api("backend", role="service", acting_for=user),
        system.api("worker", role="agent", sessions=[session_id]),
        system.api("worker", role="agent", agents=["gtm-consultant"]),
    ]
    seqs = [good(await CHANGES[1].make(actor, session_id), 201)["seq"] for actor in actors]
    assert seqs == [2, 3, 4, 5, 5]
    eve = system.api(name("eve"))
    key: dict[str, Any] = {"headers": {"Idempotency-Key": name("same")}, "json": {}}
    hers, mine = [good(await c.post("/api/sessions", **key), 201) for c in (eve, dora)]
    assert hers["id"] != mine["id"]
    assert (hers["userId"], mine["userId"]) == (name("eve"), user)
