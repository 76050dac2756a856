"""An agent that writes turns with the client library."""

from __future__ import annotations

import asyncio
import secrets
from itertools import count

from sessiond import Client, SessiondError, TurnOver
from sessiond.client.session import AttachedSession
from tests.faults.clients.notebook import Book, now
from tests.faults.history import Kind, Operation, Outcome, Written, digest

_numbers = count(1)


class Worker:
    """Writes one turn after the other in one session."""

    def __init__(
        self,
        book: Book,
        client: str,
        library: Client,
        *,
        actor: str,
        session: str,
        agent: str,
    ) -> None:
        self._book = book
        self._client = client
        self._actor = actor
        self._library = library
        self._session = session
        self._agent = agent

    async def run(self) -> None:
        """Write until nothing new is to be begun; the turn under way is ended."""
        while not self._book.closing.is_set():
            try:
                async with self._library.attach(self._session) as attached:
                    while not self._book.closing.is_set():
                        await self._turn(attached)
                        await self._book.pause(0.3)
            except (SessiondError, TurnOver):
                await self._book.pause(0.5)

    async def _turn(self, attached: AttachedSession) -> None:
        ids: list[str] = []

        def new_op_id() -> str:
            ids.append(secrets.token_hex(8))
            return ids[-1]

        attached.new_op_id = new_op_id  # the first one is the begin's, the next one the end's
        invoked = now()
        turn = attached.turn(self._agent)
        text = ""
        asked = Kind.BEGIN
        try:
            async with turn:
                running = attached.state.turn
                seq = running.seq if running is not None and running.id == turn.id else 0
                self._note(asked, invoked, Outcome.OK if seq else Outcome.UNKNOWN, ids[0], seq=seq)
                asked, invoked = Kind.END, now()
                for _ in range(20):
                    piece = f"{self._client} {next(_numbers)} "
                    written = Written(self._client, self._session, now(), turn.id, len(text), piece)
                    self._book.add(written)
                    await turn.write(piece)
                    text += piece
                    await asyncio.sleep(0.03)
                invoked = now()
        except (SessiondError, TurnOver) as error:
            # The library repeats by itself: a refusal may follow a try of unknown fate.
            if asked is Kind.BEGIN or len(ids) > 1:
                self._note(asked, invoked, Outcome.UNKNOWN, ids[-1], failure=type(error).__name__)
            raise
        self._note(
            asked, invoked, Outcome.OK, ids[-1], seq=turn.seq, content=digest(text), about=turn.id
        )

    def _note(
        self,
        kind: Kind,
        invoked: int,
        outcome: Outcome,
        op_id: str,
        *,
        seq: int = 0,
        content: str = "",
        about: str = "",
        failure: str = "",
    ) -> None:
        self._book.add(
            Operation(
                kind=kind,
                client=self._client,
                actor=self._actor,
                session=self._session,
                invoked=invoked,
                returned=now(),
                outcome=outcome,
                op_id=op_id,
                seq=seq,
                content=content,
                about=about,
                failure=failure,
            )
        )
