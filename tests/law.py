"""The law of snapshots: an old snapshot and the events since are a new snapshot.

Readers attach once, when the session is new, and follow it by its events. After each change they
must hold what a fresh load gives, whoever gives it: messages too, and the running turn's place.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from sessiond import wire
from sessiond.client.client import Client
from sessiond.client.session import AttachedSession
from sessiond.client.turn import TurnCancelled
from sessiond.session.state import Decision
from sessiond.v1.session_pb2 import Session

PATIENCE = 20.0
AGENT = "writer"

Load = Callable[[], Awaitable[Session]]
"""Loads the session anew, with all its messages."""


def shown(session: AttachedSession) -> Session:
    """Return what a reader holds, as callers see sessions."""
    return wire.session_to_wire(session.state, session.messages)


@dataclass
class Law:
    """A session that two change, each of whom hears of what the other does by events alone."""

    owner: AttachedSession
    agent: AttachedSession
    loads: Sequence[Load]

    async def holds(self) -> None:
        """Compare what both hold with fresh loads."""
        async with asyncio.timeout(PATIENCE):
            for load in self.loads:
                loaded = await load()
                for session in (self.owner, self.agent):
                    events = session.events()
                    while session.state.seq < loaded.revision:
                        await anext(events)
                    # As text, so that a failure says what differs.
                    assert str(shown(session)) == str(loaded)

    async def after(self, change: Awaitable[object]) -> None:
        """Make a change, and compare."""
        await change
        await self.holds()


@asynccontextmanager
async def looked_at(
    owner: Client, agent: Client, session_id: str, *loads: Load
) -> AsyncIterator[Law]:
    """Attach everybody; a fresh attach is one of the loads."""

    async def attached_anew() -> Session:
        async with owner.attach(session_id, tail=1000) as fresh:
            return shown(fresh)

    async with (
        owner.attach(session_id, tail=1000) as by_owner,
        agent.attach(session_id, tail=1000) as by_agent,
    ):
        yield Law(by_owner, by_agent, [attached_anew, *loads])


async def every_kind_of_change(law: Law) -> None:
    """Make every change that there is, and hold the law around each.

    The session follows a workflow of two steps, whose first agent is `writer`.
    """
    owner, agent = law.owner, law.agent
    await law.holds()
    await law.after(owner.append("Please write a plan."))
    await law.after(owner.update(title="The plan"))
    await law.after(owner.update(metadata={"team": "red", "old": "x"}))
    await law.after(owner.update(metadata={"old": None}))
    await law.after(owner.update(user_inputs={"market": "EU", "budget": 12000}))
    async with agent.turn() as turn:
        await law.holds()
        await turn.write("A plan, ")
        await turn.write("in two parts.")
    await law.holds()
    await law.after(agent.submit_output("Part one", output_id="o1"))
    await law.after(owner.edit_output("o1", content="Part one, edited"))
    await law.after(owner.approve("o1", decision=Decision.REJECTED, feedback="Again"))
    await law.after(owner.pause())
    await law.after(owner.append("A word meanwhile"))
    await law.after(owner.resume())
    with pytest.raises(TurnCancelled):
        async with agent.turn() as turn:
            await turn.write("Half an ans")
            await law.holds()  # so that its owner has seen which turn runs
            await law.after(owner.cancel())
    await law.holds()
    await law.after(agent.submit_output("Part two", output_id="o2", quality_score=0.5))
    await law.after(owner.approve("o2"))
    revision = owner.state.seq
    await law.after(owner.rewind(revision - 1))
    await law.after(owner.approve("o2"))
    await law.after(owner.rewind(3))
    await law.after(owner.append("Another way"))
    await law.after(owner.rewind(revision))
    await law.after(owner.append("And on"))
