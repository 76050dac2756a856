"""Many writers at once: nothing is lost, nothing is doubled, and the list tells the truth."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

import httpx

from services.store.etcd.client import EtcdClient
from services.store.etcd.repository import EtcdRepository
from sessiond.session.events import MessageAppended
from sessiond.v1.live_pb2 import AppendMessageRequest
from tests.e2e.answers import good, problem
from tests.e2e.system import System

WRITERS = 50
MESSAGES = 4


async def test_fifty_writers_of_one_session_lose_nothing(
    system: System, alice: httpx.AsyncClient, name: Callable[[str], str]
) -> None:
    """Half over REST, half over gRPC: each message has its own seq, and they are 1..N."""
    session = good(await alice.post("/api/sessions", json={"workflowId": "chat"}), 201)
    live, metadata = system.live(), system.calling(name("alice"))

    async def over_rest(content: str) -> int:
        answer = await alice.post(f"/api/chat/{session['id']}/messages", json={"content": content})
        return int(good(answer, 201)["seq"])

    async def over_grpc(content: str) -> int:
        request = AppendMessageRequest(session_id=session["id"], content=content)
        answer: Any = await live.AppendMessage(request, metadata=metadata, timeout=30)
        return int(answer.seq)

    async def write(writer: int) -> dict[str, int]:
        append = over_rest if writer % 2 else over_grpc
        return {
            (content := f"{writer}: message {number}"): await append(content)
            for number in range(MESSAGES)
        }

    acknowledged: dict[str, int] = {}
    for told in await asyncio.gather(*map(write, range(WRITERS))):
        assert sorted(told.values()) == list(told.values())  # each writer's own are in its order
        acknowledged |= told
    last = WRITERS * MESSAGES + 1
    assert sorted(acknowledged.values()) == list(range(2, last + 1))
    records = await system.records(session["id"])
    stored = {r.event.content: r.seq for r in records if isinstance(r.event, MessageAppended)}
    assert stored == acknowledged
    loaded = good(await alice.get(f"/api/sessions/{session['id']}"))
    assert loaded["revision"] == last
    assert {m["content"]: m["seq"] for m in loaded["conversationHistory"]} == acknowledged
    (summary,) = good(await alice.get(f"/api/users/{name('alice')}/sessions"))["sessions"]
    assert (summary["messageCount"], summary["revision"]) == (WRITERS * MESSAGES, last)


async def test_creates_and_deletes_at_once_leave_a_true_list(
    system: System, alice: httpx.AsyncClient, name: Callable[[str], str]
) -> None:
    """Fifty at once, some racing for one id: the list holds exactly what can be loaded."""
    user, chance = name("alice"), random.Random(7)
    ids = [f"{name('race')}-{number}" for number in range(WRITERS * 2 // 3)]
    told: dict[str, list[int]] = {session_id: [] for session_id in ids}

    async def come_and_go(number: int) -> None:
        session_id = ids[number % len(ids)]
        created = await alice.post("/api/sessions", json={"id": session_id, "workflowId": "chat"})
        if created.status_code == 409:
            problem(created, 409, "ID_TAKEN")
        else:
            good(created, 201)
        said = await alice.post(f"/api/chat/{session_id}/messages", json={"content": session_id})
        if said.status_code == 404:
            problem(said, 404, "SESSION_NOT_FOUND")
        else:
            good(said, 201)
        if chance.random() < 0.5:
            deleted = await alice.delete(f"/api/sessions/{session_id}")
            told[session_id].append(deleted.status_code)
            assert deleted.status_code in (204, 404)

    async def look() -> None:
        for _ in range(20):
            page = good(await alice.get(f"/api/users/{user}/sessions"))
            found = [each["id"] for each in page["sessions"]]
            assert len(set(found)) == len(found)

    await asyncio.gather(look(), *map(come_and_go, range(WRITERS)))
    page = good(await alice.get(f"/api/users/{user}/sessions?pageSize=1000"))
    listed = {each["id"]: each["revision"] for each in page["sessions"]}
    loaded = {}
    for session_id in ids:
        answer = await alice.get(f"/api/sessions/{session_id}")
        if answer.status_code == 200:
            loaded[session_id] = good(answer)["revision"]
        else:
            problem(answer, 404, "SESSION_NOT_FOUND")
    assert listed == loaded
    # Whoever was told of a deletion was told so once, and the session is gone.
    assert all(codes.count(204) <= 1 for codes in told.values())
    gone = {session_id for session_id, codes in told.items() if 204 in codes}
    assert gone.isdisjoint(loaded)
    assert gone | loaded.keys() == set(ids)
    async with (
        EtcdClient([system.cluster.address("etcd-1")]) as etcd,
        EtcdRepository(etcd) as repository,
    ):
        assert await repository.count(user) == len(loaded)
