"""WebSockets on real processes: what a browser sees is what is stored, whoever dies behind it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx
import pytest
import pytest_asyncio

from cluster.etcd_binary import EtcdBinary
from cluster.topology import Topology
from tests.e2e.answers import good
from tests.e2e.places import placed_on, places, where
from tests.e2e.system import System, running
from tests.gateway.sockets import Browser, append, browsing

LIVES = ("live-1", "live-2", "live-3")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def replicas(
    etcd_binary: EtcdBinary, ports: Iterator[int], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[System]:
    """Three Lives, two Stores and a gateway; whoever stops one starts it again."""
    topology = Topology.anywhere(ports, stores=2, lives=3)
    async with running(topology, tmp_path_factory.mktemp("sockets"), etcd_binary) as started:
        yield started


@asynccontextmanager
async def attached(
    system: System, user: str, session_id: str, *, claims: Any = None, **hello: Any
) -> AsyncIterator[Browser]:
    """A browser that has seen the present."""
    token = system.keys.user_token(user, **(claims or {}))
    async with browsing(system.cluster.address("gateway-1"), session_id) as browser:
        await browser.say({"hello": {"token": token, **hello}})
        await browser.hears("caughtUp")
        yield browser


async def created(api: httpx.AsyncClient, session_id: str, **body: Any) -> str:
    """Make a session and return its id."""
    asked = {"id": session_id, "workflowId": "chat"} | body
    return str(good(await api.post("/api/sessions", json=asked), 201)["id"])


async def test_every_tab_sees_what_rest_sees(
    system: System, alice: httpx.AsyncClient, name: Callable[[str], str]
) -> None:
    """A change from a WebSocket and one from REST: one sequence, shown alike everywhere."""
    session_id = await created(alice, name("tabs"))
    async with (
        attached(system, name("alice"), session_id) as one,
        attached(system, name("alice"), session_id) as other,
    ):
        metadata = {"big": 2**60, "deep": [{}]}
        await one.say({"append": {"opId": "1", "content": "from a tab", "metadata": metadata}})
        assert (await one.hears("reply"))["seq"] == 2
        rest = await alice.post(f"/api/chat/{session_id}/messages", json={"content": "from REST"})
        assert good(rest, 201)["seq"] == 3
        for tab in (one, other):
            await tab.hears("event", 2)
            assert tab.heard.seqs == [2, 3]
        loaded = good(await alice.get(f"/api/sessions/{session_id}"))
        shown = [event["messageAppended"]["message"] for event in other.heard.of("event")]
        assert shown == loaded["conversationHistory"]
        await one.say({"presence": {"typing": True}})
        await other.until(
            lambda heard: any(
                member["typing"] for each in heard.of("presence") for member in each["members"]
            )
        )
    async with attached(system, name("alice"), session_id) as late:
        parts: dict[str, Any] = {}
        for part in late.heard.of("snapshot"):
            parts |= part
        assert parts["state"]["session"]["title"] == loaded["title"]
        assert parts["state"]["session"]["revision"] == parts["seq"] == 3
        assert parts["messages"]["messages"] == loaded["conversationHistory"]
        assert "owner" not in late.heard.last("attached")


async def test_what_is_not_ones_own_looks_absent(
    system: System, alice: httpx.AsyncClient, name: Callable[[str], str]
) -> None:
    """The same close code for both, and nothing of it before."""
    session_id = await created(alice, name("secret"))
    for asked in (session_id, name("nowhere")):
        async with browsing(system.cluster.address("gateway-1"), asked) as browser:
            await browser.say({"hello": {"token": system.keys.user_token(name("bob"))}})
            assert await browser.closes() == (4504, "SESSION_NOT_FOUND")
            kinds = [next(iter(frame)) for frame in browser.heard.frames]
            assert kinds == ["welcome", "goaway"]


async def test_a_session_that_is_deleted_closes_its_sockets(
    system: System, alice: httpx.AsyncClient, name: Callable[[str], str]
) -> None:
    """For good: 4504."""
    session_id = await created(alice, name("doomed"))
    async with attached(system, name("alice"), session_id) as browser:
        good(await alice.delete(f"/api/sessions/{session_id}"), 204)
        assert await browser.closes() == (4504, "SESSION_NOT_FOUND")


async def test_refusals_of_live_name_fields_as_json_does(
    system: System, alice: httpx.AsyncClient, name: Callable[[str], str]
) -> None:
    """The rules say `op_id`; a browser wrote `opId`."""
    session_id = await created(alice, name("fields"))
    async with attached(system, name("alice"), session_id) as browser:
        await browser.say(
            {"append": {"opId": "é", "content": "x"}},
            {"update": {"opId": "u", "title": "x" * 201, "userInputs": {"a": 1}}},
            {"append": {"opId": "r", "content": "x", "expectedRevision": 9}},
        )
        await browser.hears("reply", 3)
        replies = {reply["opId"]: reply["error"] for reply in browser.heard.of("reply")}
        assert [each["field"] for each in replies["é"]["errors"]] == ["opId"]
        assert [each["field"] for each in replies["u"]["errors"]] == ["title"]
        assert (replies["r"]["code"], replies["r"]["revision"]) == ("STALE_REVISION", 1)


async def test_an_agent_writes_its_turn_to_a_browser(
    system: System, alice: httpx.AsyncClient, name: Callable[[str], str]
) -> None:
    """Tokens as they come, then the message that counts; the worker may be a WebSocket as well."""
    session_id = await created(alice, name("turn"))
    agent = {"role": "agent", "agents": ["assistant"]}
    async with (
        attached(system, name("alice"), session_id) as reader,
        attached(system, name("worker"), session_id, claims=agent) as worker,
    ):
        await worker.say({"beginTurn": {"opId": "turn"}})
        turn = (await worker.hears("reply"))["turn"]
        text = "".join(f"word-{n} " for n in range(50)) + "😀"
        for offset in range(0, len(text), 7):
            piece = {"turnId": turn["turnId"], "offset": offset, "text": text[offset : offset + 7]}
            await worker.say({"token": piece})
        await worker.say({"endTurn": {"opId": "e", "turnId": turn["turnId"], "length": len(text)}})
        ended = (await reader.hears("event", 2))["turnEnded"]
        assert (ended["outcome"], ended["message"]["content"]) == ("completed", text)
        seen = "".join(token["text"] for token in reader.heard.of("token"))
        assert seen
        assert text.startswith(seen)


class Typist:
    """One browser that says something again and again, and knows what was acknowledged."""

    def __init__(self, browser: Browser, session_id: str, label: str) -> None:
        self.browser = browser
        self.session_id = session_id
        self.label = label
        self.said = 0

    async def type(self, enough: asyncio.Event) -> None:
        """Append until it is enough, each once the one before has its reply."""
        while not enough.is_set():
            op_id = f"{self.label}-{self.said}"
            await self.browser.say(append(op_id, op_id))
            self.said += 1
            await self.browser.until(
                lambda heard, op_id=op_id: any(  # type: ignore[misc]
                    reply["opId"] == op_id for reply in heard.of("reply")
                )
            )

    async def acknowledged(self, count: int) -> None:
        """Wait for so many more replies; somebody else listens."""
        target = len(self.browser.heard.of("reply")) + count
        async with asyncio.timeout(60):
            while len(self.browser.heard.of("reply")) < target:  # noqa: ASYNC110
                await asyncio.sleep(0.01)


@asynccontextmanager
async def typing(
    system: System, api: httpx.AsyncClient, user: str, session_ids: list[str]
) -> AsyncIterator[list[Typist]]:
    """Two browsers in each session, each of which says what it likes while the block runs."""
    enough = asyncio.Event()
    async with AsyncExitStack() as stack:
        typists = []
        for session_id in session_ids:
            await created(api, session_id)
            for place in "ab":
                browser = await stack.enter_async_context(attached(system, user, session_id))
                typists.append(Typist(browser, session_id, place))
        async with asyncio.TaskGroup() as group:
            for typist in typists:
                group.create_task(typist.type(enough))
            await asyncio.gather(*(typist.acknowledged(3) for typist in typists))
            yield typists
            await asyncio.gather(*(typist.acknowledged(3) for typist in typists))
            enough.set()
        await judged(system, typists)


async def judged(system: System, typists: list[Typist]) -> None:
    """Every browser saw the one dense log, and each acknowledged message stands in it once."""
    for typist in typists:
        records = await system.records(typist.session_id)
        ops = [record.op_id for record in records]
        head = len(records)
        await typist.browser.until(lambda heard, head=head: heard.seqs[-1:] == [head])  # type: ignore[misc]
        heard = typist.browser.heard
        assert heard.seqs == list(range(2, len(records) + 1))
        assert [event["opId"] for event in heard.of("event")] == ops[1:]
        replies = [reply["opId"] for reply in heard.of("reply")]
        assert replies == [f"{typist.label}-{n}" for n in range(typist.said)]
        for reply in heard.of("reply"):
            assert "error" not in reply, reply
            assert ops[reply["seq"] - 1] == reply["opId"]
            assert ops.count(reply["opId"]) == 1
        for once in ("welcome", "attached", "caughtUp"):
            assert len(heard.of(once)) == 1
        assert heard.of("goaway") == []


@pytest.mark.parametrize("how", ["kill", "stop"])
async def test_sockets_outlive_a_live(
    replicas: System, name: Callable[[str], str], how: str
) -> None:
    """Killed or stopped in the middle of changes: no browser notices anything but a pause."""
    user = name("typist")
    api = replicas.api(user)
    among = await places(replicas, *LIVES)
    hit = placed_on("live-2", among, name(how), 2)
    spared = placed_on("live-1", among, name(how), 1)
    async with typing(replicas, api, user, hit + spared):
        await getattr(replicas.cluster, how)("live-2")
    await replicas.cluster.start("live-2")
    await replicas.cluster.ready("live-2")


async def test_sockets_outlive_a_live_that_hangs(
    replicas: System, name: Callable[[str], str]
) -> None:
    """It takes connections and says nothing, until its registration ends."""
    user = name("typist")
    api = replicas.api(user)
    (session_id,) = placed_on("live-3", await places(replicas, *LIVES), name("hang"))
    async with typing(replicas, api, user, [session_id]) as typists:
        replicas.cluster.suspend("live-3")
        try:
            await typists[0].acknowledged(3)
        finally:
            replicas.cluster.resume("live-3")


async def test_rest_goes_on_when_a_live_hangs(replicas: System, name: Callable[[str], str]) -> None:
    """A call under way there is made again at the next owner, once the hung one counts as dead."""
    api = replicas.api(name("carol"))
    among = await places(replicas, *LIVES)
    (session_id,) = placed_on("live-3", among, name("hung"))
    await created(api, session_id)
    say = f"/api/chat/{session_id}/messages"
    assert good(await api.post(say, json={"content": "one"}), 201)["seq"] == 2
    replicas.cluster.suspend("live-3")
    try:
        assert good(await api.post(say, json={"content": "two"}), 201)["seq"] == 3
    finally:
        replicas.cluster.resume("live-3")
    assert where(session_id, among) == "live-3"


async def test_a_gateway_that_stops_sends_browsers_away_and_leaves_in_peace(
    replicas: System, name: Callable[[str], str]
) -> None:
    """4008 with a cursor, by which the next gateway goes on; exit code 0, and no token logged."""
    user = name("dora")
    api = replicas.api(user)
    session_id = await created(api, name("stop"))
    async with attached(replicas, user, session_id) as browser:
        await browser.say(append("a", "said before"))
        await browser.hears("reply")
        await browser.hears("event")
        stopping = asyncio.create_task(replicas.cluster.stop("gateway-1"))
        assert await browser.closes() == (4008, "DRAINING")
        assert await asyncio.wait_for(stopping, 5) == 0
    cursor = browser.heard.last("goaway")["cursor"]
    log = replicas.log("gateway-1")
    assert '"event":"websocket"' in log
    assert '"level":"error"' not in log
    assert "eyJ" not in log
    await replicas.cluster.start("gateway-1")
    await replicas.cluster.ready("gateway-1")
    async with attached(replicas, user, session_id, cursor=cursor) as browser:
        assert browser.heard.last("attached")["recovered"]
        assert browser.heard.of("snapshot") == browser.heard.of("event") == []
