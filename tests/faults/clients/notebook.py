"""What a client does with each operation: ask, ask again under the same id, note the last word.

asked --ok--> OK
  |  `--refused for good--> FAIL; after a try of unknown fate: UNKNOWN
  `--unknown, or to be repeated--> asked again, until the round gives up: UNKNOWN
"""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from sessiond.errors import CARRIED, SessiondError
from sessiond.session.access import Actor, Role
from tests.faults.history import READS, Entry, Journal, Kind, Operation, Outcome, actor_name

DOUBTFUL = frozenset({"OUTCOME_UNKNOWN", "DEADLINE_EXCEEDED", "INTERNAL"})
"""Failures after which a change may have been applied."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What an operation was answered: fields of `Operation`, and the output that was submitted."""

    seq: int = 0
    session: str = ""
    messages: tuple[tuple[int, str], ...] = ()
    listed: tuple[tuple[str, int], ...] = ()
    output: str = ""
    returned: int | None = None
    """When the first page came; None where there are no pages."""


class Broken(Exception):
    """A connection broke, or an answer came too late: nobody knows."""


@dataclass
class Book:
    """What the clients of a round share.

    Attributes:
        journal: takes every entry.
        chance: where clients choose.
        closing: set when nothing new is to be begun.
        given_up: set when nobody waits for answers any more.
        twice: whether a relay may deliver requests again, so that no refusal proves anything.
        oks: how many operations are well so far, and when each was.
    """

    journal: Journal
    chance: random.Random
    twice: bool = False
    closing: asyncio.Event = field(default_factory=asyncio.Event)
    given_up: asyncio.Event = field(default_factory=asyncio.Event)
    oks: list[tuple[str, int, int]] = field(default_factory=list)

    def add(self, entry: Entry) -> None:
        """Note something."""
        self.journal.add(entry)
        if isinstance(entry, Operation) and entry.outcome is Outcome.OK:
            self.oks.append((entry.session, entry.invoked, entry.returned))

    async def pause(self, seconds: float) -> None:
        """Wait about so long, or until nothing new is to be begun."""
        try:
            async with asyncio.timeout(seconds * self.chance.uniform(0.5, 1.5)):
                await self.closing.wait()
        except TimeoutError:
            pass


def now() -> int:
    """Return the time as histories have it."""
    return time.monotonic_ns()


def user(subject: str, role: Role = Role.USER) -> str:
    """Return the name of an actor who acts for itself."""
    return actor_name(Actor(subject, role))


class Voice:
    """One client's way to ask."""

    def __init__(self, book: Book, client: str, actor: str) -> None:
        self.book = book
        self.client = client
        self._actor = actor

    async def ask(
        self,
        kind: Kind,
        session: str,
        call: Callable[[str], Awaitable[Answer]],
        *,
        content: str = "",
        expected: int = 0,
        about: str = "",
        tail: int | None = None,
        user: str = "",
    ) -> Answer | None:
        """Ask until there is a last word, note it, and return the answer, if it is one."""
        op_id = "" if kind in READS else secrets.token_hex(8)
        invoked, failure = now(), ""
        doubt = self.book.twice and kind not in READS
        answer: Answer | None = None
        outcome = Outcome.UNKNOWN
        while True:
            try:
                answer = await call(op_id)
                outcome = Outcome.OK
                break
            except SessiondError as error:
                failure = error.reason
                doubt = doubt or failure in DOUBTFUL
                if not CARRIED[type(error)].retryable:
                    outcome = Outcome.UNKNOWN if doubt else Outcome.FAIL
                    break
            except Broken:
                failure, doubt = "OUTCOME_UNKNOWN", True
            if self.book.given_up.is_set():
                outcome = Outcome.UNKNOWN if doubt else Outcome.FAIL
                break
            await asyncio.sleep(self.book.chance.uniform(0.02, 0.2))
        told = answer or Answer()
        self.book.add(
            Operation(
                kind=kind,
                client=self.client,
                actor=self._actor,
                session=told.session or session,
                invoked=invoked,
                returned=told.returned or now(),
                outcome=outcome,
                op_id=op_id,
                failure="" if answer is not None else failure,
                seq=told.seq,
                content=content,
                expected=expected,
                about=about,
                messages=told.messages,
                tail=tail,
                user=user,
                listed=told.listed,
            )
        )
        return answer
