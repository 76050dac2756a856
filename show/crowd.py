"""Many clients: two in each session, one over gRPC and one over the gateway's WebSocket."""

from __future__ import annotations

import asyncio
import random
from functools import partial
from typing import Protocol

from show.attached import Attached
from show.browser import Browser
from show.judgement import Evidence
from show.ledger import Operation, View
from show.pace import at_once, keep_pace, moments, until
from show.stage import Stage

ANSWERED_SECONDS = 30.0
SHOWN_SECONDS = 10.0


class Follower(Protocol):
    """A client that follows a session and appends to it."""

    view: View

    async def open(self) -> None:
        """Attach; return when the present is reached."""

    async def close(self) -> None:
        """Leave."""

    def append(self, operation: Operation) -> None:
        """Begin an append; it is answered in the operation."""

    async def compare(self) -> None:
        """Note in the view how the folded state differs from a fresh load."""


class Crowd:
    """The clients, what they did, and what they saw. Each session has a user of its own."""

    def __init__(self, stage: Stage, chance: random.Random) -> None:
        self._stage = stage
        self._chance = chance
        self.operations: list[Operation] = []
        self.session_ids: list[str] = []
        self.clients: list[Follower] = []

    async def gather(self, sessions: int) -> None:
        """Create so many sessions, and attach both clients of each."""

        async def one(number: int) -> None:
            user = f"user-{number}"
            token = self._stage.token(user)
            client = await self._stage.client(token)
            session_id = (await client.create(workflow_id="chat")).id
            self.session_ids.append(session_id)
            load = partial(self._stage.load, token)
            address = self._stage.cluster.address("gateway-1")
            await self._join(Attached(f"grpc-{number}", client, session_id))
            await self._join(Browser(f"browser-{number}", address, token, session_id, load=load))

        await at_once(one, range(sessions))

    async def speak(self, *, per_second: float, seconds: float) -> list[float]:
        """Let every client append at its own beat; return how late each append was begun."""
        clock = asyncio.get_running_loop().time

        def act(client: Follower, planned: float) -> None:
            number = len(self.operations)
            operation = Operation(
                f"{client.view.client}-{number}", client.view.session_id, planned, sent=clock()
            )
            self.operations.append(operation)
            client.append(operation)

        plan = moments(self.clients, per_second=per_second, seconds=seconds, chance=self._chance)
        return await keep_pace(plan, act)

    async def settle(self) -> None:
        """Wait until everything is answered and shown, or for as long as that should take."""
        await until(lambda: all(each.answered for each in self.operations), ANSWERED_SECONDS)
        seqs = dict(zip(self.session_ids, await at_once(self._seq, self.session_ids), strict=True))
        await until(
            lambda: all(
                client.view.ended or client.view.seq >= seqs[client.view.session_id]
                for client in self.clients
            ),
            SHOWN_SECONDS,
        )

    async def evidence(self) -> list[Evidence]:
        """Compare every client's state with a fresh load, and gather all there is to judge."""
        await at_once(lambda client: client.compare(), self.clients)
        records = await at_once(self._stage.stored.records, self.session_ids)
        operations: dict[str, list[Operation]] = {each: [] for each in self.session_ids}
        for operation in self.operations:
            operations[operation.session_id].append(operation)
        views: dict[str, list[View]] = {each: [] for each in self.session_ids}
        for client in self.clients:
            views[client.view.session_id].append(client.view)
        return [
            Evidence(session_id, log, operations[session_id], views[session_id])
            for session_id, log in zip(self.session_ids, records, strict=True)
        ]

    async def _join(self, client: Follower) -> None:
        self._stage.push(client.close)
        await client.open()
        self.clients.append(client)

    async def _seq(self, session_id: str) -> int:
        return (await self._stage.stored.head(session_id)).seq
