"""`make show-authz`: every route, RPC and frame, asked by everybody, of sessions in every state.

What each is to be told stands in `authz_table`, written by hand. Nothing that is asked changes
anything, so that one session serves all that one caller asks; only who joins has another each time.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from cluster.etcd_binary import EtcdBinary
from sessiond import Client
from sessiond.errors import SessionNotFound
from sessiond.session.access import MemberRole
from show.authz_asking import Caller, Places, Setting
from show.authz_moving import keep_moving
from show.authz_table import ACTORS, FRAMES, MEMBERS, ROUTES, RPCS, STATES, Row, expected
from show.outcome import Outcome, ms
from show.stage import DATA, Stage, staged

SECONDS = 1.0
"""It ends when everything was asked."""

REVOKED = 20
IDLE_SECONDS = "0.3"
_REST_SECONDS = 20.0
_OWNER, _SOMEBODY = "owner-of-all", "nobody-at-all"

Surface = Mapping[str, Row]
SURFACES: Mapping[str, Surface] = {"routes": ROUTES, "rpcs": RPCS, "frames": FRAMES}


async def run(
    binary: EtcdBinary,
    outcome: Outcome,
    *,
    seconds: float,
    told: Callable[[str], None],
    data: Path = DATA,
    states: Sequence[str] = STATES,
    actors: Sequence[str] = ACTORS,
) -> None:
    """Ask everything, and fill the outcome."""
    settings = {"live": {"SESSIOND_IDLE_SECONDS": IDLE_SECONDS}}
    async with staged(outcome, binary, told=told, data=data, lives=2, settings=settings) as stage:
        matrix = Matrix(stage, outcome)
        began = time.monotonic()
        for state in states:
            told(f"everything is asked of {state} sessions, by {len(actors)} callers")
            async with asyncio.TaskGroup() as asking:
                for actor in actors:
                    asking.create_task(matrix.ask(actor, state))
        told(f"{REVOKED} members who follow a session are shut out of it")
        closed = [await matrix.shut_out(number) for number in range(REVOKED)]
        outcome.aim("closed_p99_ms", ms(closed, 99), 1000.0)
        outcome.tell(
            actors=len(actors),
            states=len(states),
            **{name: len(rows) for name, rows in SURFACES.items()},
            cells=matrix.cells,
            as_expected=matrix.cells - len(outcome.wrong),
            seconds=round(time.monotonic() - began, 1),
        )


class Matrix:
    """All cells: who asks what, of a session in which state."""

    def __init__(self, stage: Stage, outcome: Outcome) -> None:
        self.cells = 0
        self._stage = stage
        self._outcome = outcome
        self._numbers = iter(range(1_000_000))

    async def ask(self, actor: str, state: str) -> None:
        """Ask all that there is, as one caller, of one session."""
        async with AsyncExitStack() as resources:
            owner = await self._stage.client(self._stage.token(_OWNER))
            setting = await self._setting(owner, actor, state, resources)
            caller = Caller(self._places(), self._token(actor))
            resources.push_async_callback(caller.close)
            for surface, rows in SURFACES.items():
                for name, row in rows.items():
                    # Who joins is a member from then on, and so has another session each time.
                    joins = "join" in name.lower() and actor == "link holder"
                    if joins:
                        setting = await self._setting(owner, actor, state, resources)
                    if state == "idle" and row.of == "session":
                        await self._rested(setting.session)
                    found = await caller.ask(surface, name, row, setting)
                    self._judge(row, actor, state, f"{surface} {name}", found)
                    if joins:
                        setting = await self._setting(owner, actor, state, resources)

    async def shut_out(self, number: int) -> float:
        """Return after how many seconds a member's stream ends who is one no longer."""
        owner = await self._stage.client(self._stage.token(_OWNER))
        member = await self._stage.client(self._stage.token(f"member-{number}"))
        session = (await owner.create(workflow_id="chat")).id
        await owner.share(session, f"member-{number}", MemberRole.VIEWER)
        async with member.attach(session) as attached:
            began = time.monotonic()
            await owner.unshare(session, f"member-{number}")
            with suppress(SessionNotFound):
                async for _ in attached:
                    pass
        return time.monotonic() - began

    async def _setting(
        self, owner: Client, actor: str, state: str, resources: AsyncExitStack
    ) -> Setting:
        """Make a session that is in this state, and the caller what it is to it."""
        number = next(self._numbers)
        me = {"owner": _OWNER, "administrator": "root"}.get(actor, self._subject(actor))
        session = (await owner.create(workflow_id="chat", id=f"authz-{number}")).id
        if actor in MEMBERS:
            await owner.share(session, me, MemberRole(actor))
        elif actor == "former member":
            await owner.share(session, me, MemberRole.EDITOR)
            await owner.unshare(session, me)
        secret = "s" * 43
        if actor == "link holder":
            secret = (await owner.make_link(session, MemberRole.VIEWER)).secret
        if state == "deleted":
            await owner.delete(session)
        elif state == "held":
            await resources.enter_async_context(owner.attach(session))
        elif state == "moving":
            await resources.enter_async_context(self._moving(session))
        return Setting(session, me, _OWNER, _SOMEBODY, secret, self._new)

    def _new(self) -> str:
        return f"authz-{next(self._numbers)}-new"

    def _subject(self, actor: str) -> str:
        return actor.replace(" ", "-")

    def _token(self, actor: str) -> str:
        """Return the token of a caller; "" for none."""
        token = self._stage.token
        match actor:
            case "anonymous":
                return ""
            case "expired":
                return self._stage.expired_token(_OWNER)
            case "owner":
                return token(_OWNER)
            case "agent":
                return token("agent", role="agent", agents=["assistant"])
            case "service":
                return token("service", role="service")
            case "administrator":
                return token("root", role="admin")
            case _:
                return token(self._subject(actor))

    def _places(self) -> Places:
        stage = self._stage
        return Places(
            gateway=stage.cluster.address("gateway-1"),
            store=stage.channel("store-1"),
            lives=[stage.channel(name) for name in stage.names("live")],
        )

    async def _rested(self, session: str) -> None:
        """Wait until no Live holds the session."""
        async with asyncio.timeout(_REST_SECONDS):
            while True:
                if not await self._stage.stored.owner_address(session):
                    return
                await asyncio.sleep(0.05)

    @asynccontextmanager
    async def _moving(self, session: str) -> AsyncIterator[None]:
        moving = asyncio.create_task(keep_moving(self._stage, session))
        try:
            yield
        finally:
            moving.cancel()
            await asyncio.gather(moving, return_exceptions=True)

    def _judge(self, row: Row, actor: str, state: str, what: str, found: Any) -> None:
        self.cells += 1
        wanted = expected(row, actor, state)
        if found != wanted:
            told = f"{what}, by {actor}, {state}: {found} instead of {wanted}"
            self._outcome.complain([told])
