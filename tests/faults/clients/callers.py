"""Clients that ask one thing after the other, over one road or another."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import Protocol

from tests.faults.clients.notebook import Answer, Voice
from tests.faults.history import Kind, digest

SECONDS = 3.0
"""How long one try may take."""

TAIL = 20
"""How many messages a read asks for."""

PAGE = 30
"""How many messages or sessions are on a page."""


class Road(Protocol):
    """A way to ask, each method once; the answers are those of `Voice.ask`'s calls."""

    async def create(self, session: str, op_id: str, workflow: str) -> Answer: ...
    async def append(self, session: str, op_id: str, text: str, expected: int) -> Answer: ...
    async def update(self, session: str, op_id: str, title: str) -> Answer: ...
    async def submit(self, session: str, op_id: str, text: str) -> Answer: ...
    async def edit(self, session: str, op_id: str, output: str, text: str) -> Answer: ...
    async def decide(self, session: str, op_id: str, output: str, word: str) -> Answer: ...
    async def pause(self, session: str, op_id: str) -> Answer: ...
    async def resume(self, session: str, op_id: str) -> Answer: ...
    async def delete(self, session: str, op_id: str) -> Answer: ...
    async def get(self, session: str) -> Answer: ...
    async def pages(self, session: str) -> Answer: ...
    async def listing(self, user: str) -> Answer: ...


WORKFLOW = "master-workflow-v2"
_numbers = count(1)


class Caller:
    """Does one thing after the other in some sessions, until nothing new is to be begun."""

    def __init__(self, voice: Voice, road: Road, sessions: Sequence[str], user: str) -> None:
        self._voice = voice
        self._road = road
        self._sessions = sessions
        self._user = user
        self._made: list[str] = []
        self._outputs: dict[str, str] = {}

    async def run(self, pause: float) -> None:
        """Go on until the book closes; every operation under way gets its last word."""
        book = self._voice.book
        while not book.closing.is_set():
            await self.one(book.chance.choice(list(self._sessions)), book.chance.random())
            await book.pause(pause)

    async def append(self, session: str, expected: int = 0) -> Answer | None:
        """Append a message that says what no other one does; at a revision, unless that is 0."""
        text = f"{self._voice.client} {next(_numbers)}"
        road = self._road
        return await self._voice.ask(
            Kind.APPEND,
            session,
            lambda op: road.append(session, op, text, expected),
            content=digest(text),
            expected=expected,
        )

    async def create(self, session: str, workflow: str = WORKFLOW) -> Answer | None:
        """Create a session of this id."""
        road = self._road
        return await self._voice.ask(
            Kind.CREATE, session, lambda op: road.create(session, op, workflow), user=self._user
        )

    async def touch(self, session: str) -> Answer | None:
        """Change a session in a way that it takes whatever its status is."""
        title = f"touched {next(_numbers)}"
        road = self._road
        return await self._voice.ask(
            Kind.UPDATE,
            session,
            lambda op: road.update(session, op, title),
            content=digest(title),
        )

    async def one(self, session: str, chosen: float) -> None:
        """Do what a number from 0 to 1 chooses."""
        ask, road = self._voice.ask, self._road
        if chosen < 0.55:
            await self.append(session)
        elif chosen < 0.66:
            found = await ask(Kind.GET, session, lambda _: road.get(session), tail=TAIL)
            if found is not None and chosen < 0.6:
                await self.append(session, found.seq)
        elif chosen < 0.7:
            await ask(Kind.PAGES, session, lambda _: road.pages(session))
        elif chosen < 0.76:
            await ask(Kind.LIST, "", lambda _: road.listing(self._user), user=self._user)
        elif chosen < 0.81:
            await self.touch(session)
        elif chosen < 0.92:
            await self._output(session)
        elif chosen < 0.95:
            await ask(Kind.PAUSE, session, lambda op: road.pause(session, op))
            await ask(Kind.RESUME, session, lambda op: road.resume(session, op))
        elif chosen < 0.98 or not self._made:
            made = f"{self._voice.client}-{next(_numbers)}"
            if await self.create(made) is not None:
                self._made.append(made)
                await self.append(made)
        else:
            made = self._made.pop(0)
            await ask(Kind.DELETE, made, lambda op: road.delete(made, op))
            await ask(Kind.GET, made, lambda _: road.get(made), tail=TAIL)

    async def _output(self, session: str) -> None:
        """Submit an output and perhaps edit it at once, or decide one, by its id or not."""
        ask, road, chance = self._voice.ask, self._road, self._voice.book.chance
        if chance.random() < 0.5:
            text = f"output {next(_numbers)}"
            submitted = await ask(
                Kind.SUBMIT,
                session,
                lambda op: road.submit(session, op, text),
                content=digest(text),
            )
            if submitted is None:
                return
            self._outputs[session] = output = submitted.output
            if chance.random() < 0.5:
                edited = f"output {next(_numbers)}"
                await ask(
                    Kind.EDIT,
                    session,
                    lambda op: road.edit(session, op, output, edited),
                    content=digest(edited),
                    about=output,
                )
            return
        named = chance.choice(("", self._outputs.get(session, "")))
        word = chance.choice(("approved", "approved", "rejected"))
        await ask(
            Kind.DECIDE,
            session,
            lambda op: road.decide(session, op, named, word),
            content=digest(word),
            about=named,
        )
