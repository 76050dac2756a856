"""The examples do what they say, on real parts."""

from __future__ import annotations

import asyncio
import json
import secrets
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from cluster.etcd_binary import EtcdBinary
from cluster.topology import Topology
from sessiond import AttachedSession, Client
from sessiond.session.events import (
    MessageAppended,
    OutputDecided,
    OutputSubmitted,
    SessionCreated,
    TurnBegun,
    TurnEnded,
)
from sessiond.session.state import Decision, OutputStatus, Sender, Session, Status, TurnOutcome
from tests.e2e.system import System, plain_environ, running

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 60
DEMO = {"demo": "true"}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def system(
    etcd_binary: EtcdBinary, ports: Iterator[int], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[System]:
    """One of each part, and two agents."""
    home = tmp_path_factory.mktemp("examples")
    topology = Topology.anywhere(ports, agents=2, settings=pace("0"))
    async with running(topology, home, etcd_binary) as started:
        yield started


def pace(seconds: str) -> dict[str, dict[str, str]]:
    return {"agent": {"AGENT_WORD_SECONDS": seconds}}


def client_of(system: System, user: str = "alice") -> Client:
    return Client(
        live=system.cluster.addresses("live"),
        store=system.cluster.addresses("store"),
        token=system.keys.user_token(user),
    )


async def until(session: AttachedSession, is_so: Callable[[Session], bool]) -> Session:
    """Wait until a session stands like this."""
    events = session.events()
    async with asyncio.timeout(PATIENCE):
        while not is_so(session.state):
            await anext(events)
    return session.state


def answered(session: Session) -> bool:
    return session.turn is None and not session.awaited_agent


def words_of_agents(session: AttachedSession) -> list[str]:
    return [each.content for each in session.messages if each.sender is Sender.AGENT]


async def run(*words: str, environ: dict[str, str]) -> str:
    """Run an example to its end; it must not complain."""
    process = await asyncio.create_subprocess_exec(
        *words,
        cwd=ROOT,
        env={**plain_environ(), **environ},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(PATIENCE):
        out, complaints = await process.communicate()
    assert (process.returncode, complaints.decode()) == (0, "")
    return out.decode()


async def test_the_agent_works_through_a_workflow(system: System) -> None:
    """At each step one draft and one answer; a rejected draft is followed by another one."""
    async with client_of(system) as client:
        created = await client.create(metadata=DEMO, user_inputs={"market": "EU"})
        async with client.attach(created.id) as session:
            state = await until(
                session, lambda state: bool(state.pending_output) and answered(state)
            )
            await session.approve(feedback="shorter", decision=Decision.REJECTED)
            for _ in state.workflow.steps:
                state = await until(
                    session, lambda state: bool(state.pending_output) and answered(state)
                )
                assert state.pending_output is not None
                assert state.pending_output.body.agent_id == state.current_agent
                await session.approve()
            state = await until(session, lambda state: state.status is Status.COMPLETED)
    statuses = Counter(output.status for output in state.outputs.values())
    assert statuses == {OutputStatus.APPROVED: 8, OutputStatus.REJECTED: 1}
    records = await system.records(created.id)
    kinds = [type(record.event) for record in records]
    step = [TurnBegun, OutputSubmitted, TurnEnded, OutputDecided]
    assert kinds == [SessionCreated, *step * 9]
    drafts = [each.event.output for each in records if isinstance(each.event, OutputSubmitted)]
    assert drafts[0].content == 'Draft 1 for foundation_gtm. I went by this: {"market": "EU"}'
    assert drafts[1].content.startswith("Draft 2 for foundation_gtm.")
    assert drafts[1].content.endswith("; shorter")


async def test_two_agents_answer_each_message_once(system: System) -> None:
    """Both work, in many sessions at once, and no message gets two turns, or none."""
    twice = f"twice-{secrets.token_hex(4)}"
    names = [f"{twice}-{number}" for number in range(16)]

    async def talk(client: Client, name: str) -> None:
        await client.create(id=name, workflow_id="chat", metadata=DEMO)
        async with client.attach(name) as session:
            for number in range(3):
                await session.append(f"message {number}")
                await until(session, answered)
                assert words_of_agents(session)[-1].strip().endswith(f"this: message {number}")

    async with client_of(system) as client, asyncio.TaskGroup() as talking:
        for name in names:
            talking.create_task(talk(client, name))
    for name in names:
        kinds = [type(record.event) for record in await system.records(name)]
        assert kinds == [SessionCreated, *[MessageAppended, TurnBegun, TurnEnded] * 3]
    for agent in ("agent-1", "agent-2"):
        assert twice in system.log(agent)


async def test_the_agent_leaves_other_sessions_alone(system: System) -> None:
    """Only what is marked is for it; what is marked later is too, from the next message on."""
    async with client_of(system) as client:
        ours, theirs = [
            await client.create(workflow_id="chat", metadata=metadata)
            for metadata in (DEMO, {"demo": "yes"})
        ]
        await client.append(theirs.id, "Hello")
        await client.append(ours.id, "Hello")
        async with client.attach(ours.id) as session:
            await until(session, answered)
        assert (await client.get(theirs.id)).revision == 2
        marked = await client.create(workflow_id="chat")
        await client.update(marked.id, metadata=DEMO)
        await client.append(marked.id, "Hello")
        async with client.attach(marked.id) as session:
            await until(session, answered)


async def test_a_session_that_is_deleted_or_cancelled_does_no_harm(
    etcd_binary: EtcdBinary, ports: Iterator[int], tmp_path: Path
) -> None:
    """Cancelled before a word, the agent says so; the next session is answered all the same."""
    topology = Topology.anywhere(ports, agents=1, settings=pace("0.1"))
    async with running(topology, tmp_path, etcd_binary) as system, client_of(system) as client:
        gone = await client.create(metadata=DEMO)
        async with client.attach(gone.id) as session:
            await until(session, lambda state: state.turn is not None)
            await client.delete(gone.id)
        stopped = await client.create(metadata=DEMO)
        async with client.attach(stopped.id) as session:
            await until(session, lambda state: state.turn is not None)
            await session.cancel()
            state = await until(session, answered)
            assert (words_of_agents(session), state.outputs) == (["I have stopped."], {})
        fine = await client.create(workflow_id="chat", metadata=DEMO)
        async with client.attach(fine.id) as session:
            await session.append("Hello")
            await until(session, answered)
            assert "Hello" in words_of_agents(session)[0]
        assert "Traceback" not in system.log("agent-1")


async def test_the_agent_survives_a_restart_of_every_part(
    etcd_binary: EtcdBinary, ports: Iterator[int], tmp_path: Path
) -> None:
    """Each part is restarted in the middle of an answer, and each message is answered once."""
    topology = Topology.anywhere(ports, agents=1, settings=pace("0.05"))
    async with running(topology, tmp_path, etcd_binary) as system, client_of(system) as client:
        created = await client.create(workflow_id="chat", metadata=DEMO)
        parts = ["live-1", "store-1", "etcd-1", "agent-1"]
        async with client.attach(created.id) as session:
            for part in parts:
                await session.append(f"during {part}")
                await until(session, lambda state: state.turn is not None)
                await system.cluster.restart(part)
                await until(session, answered)
                assert words_of_agents(session)[-1].strip().endswith(f"during {part}")
            await session.append("after")
            await until(session, answered)
        records = await system.records(created.id)
        kinds = [type(record.event) for record in records]
        assert kinds == [SessionCreated, *[MessageAppended, TurnBegun, TurnEnded] * 5]
        outcomes = {each.event.outcome for each in records if isinstance(each.event, TurnEnded)}
        assert outcomes == {TurnOutcome.COMPLETED}


async def test_an_agent_that_is_killed_before_its_first_word_is_replaced(
    etcd_binary: EtcdBinary, ports: Iterator[int], tmp_path: Path
) -> None:
    """Its turn is interrupted without a word; the next worker does all of it."""
    topology = Topology.anywhere(ports, agents=1, settings=pace("0.05"))
    async with running(topology, tmp_path, etcd_binary) as system, client_of(system) as client:
        created = await client.create(metadata=DEMO)
        async with client.attach(created.id) as session:
            await until(session, lambda state: state.turn is not None)
            await system.cluster.kill("agent-1")
            await system.cluster.start("agent-1")
            await until(session, lambda state: bool(state.pending_output) and answered(state))
        events = [record.event for record in await system.records(created.id)]
        first, second = [event for event in events if isinstance(event, TurnEnded)]
        assert (first.outcome, first.message_id) == (TurnOutcome.INTERRUPTED, "")
        assert second.outcome is TurnOutcome.COMPLETED
        assert sum(isinstance(event, OutputSubmitted) for event in events) == 1


async def test_the_shortest_client_prints_the_answer(system: System) -> None:
    """As it is written, and it ends with it."""
    environ = {
        "SESSIOND_LIVE": system.cluster.address("live-1"),
        "SESSIOND_STORE": system.cluster.address("store-1"),
        "SESSIOND_TOKEN": system.keys.user_token("alice"),
    }
    said = await run(sys.executable, "-m", "examples.chat_client", "Where to?", environ=environ)
    assert said.split()[-2:] == ["Where", "to?"]


async def test_the_rest_example_shows_every_route_and_the_events(system: System) -> None:
    """Each answer is JSON, the events tell the same story, and the session is gone in the end."""
    user = f"curl-{secrets.token_hex(4)}"
    environ = {
        "SESSIOND_URL": f"http://{system.cluster.address('gateway-1')}",
        "TOKEN": system.keys.user_token(user),
        "USER_ID": user,
    }
    said = await run("sh", "examples/rest.sh", environ=environ)
    created, listed, message, output, approved, loaded, gone, *events = said.splitlines()
    name = json.loads(created)["id"]
    assert [each["id"] for each in json.loads(listed)["sessions"]] == [name]
    assert json.loads(message)["content"] == "Where do we start?"
    assert json.loads(output)["output"]["status"] == "pending"
    assert json.loads(approved)["currentAgent"] == "persona-strategist"
    assert json.loads(loaded) == json.loads(approved)
    assert gone == ""
    told = "\n".join(events)
    for kind in ("messageAppended", "outputSubmitted", "outputDecided"):
        assert kind in told
    async with client_of(system, user) as client:
        assert [each async for each in client.list()] == []
