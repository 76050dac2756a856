"""A person's program that works with the client library, which repeats by itself."""

from __future__ import annotations

import secrets
from itertools import count

from sessiond import Client, SessiondError
from sessiond.client.session import AttachedSession
from tests.faults.clients.notebook import Book, now
from tests.faults.history import Kind, Operation, Outcome, digest

_numbers = count(1)


class LibraryUser:
    """Appends to one session that it is attached to."""

    def __init__(
        self, book: Book, client: str, library: Client, *, actor: str, session: str
    ) -> None:
        self._book = book
        self._client = client
        self._library = library
        self._actor = actor
        self._session = session

    async def run(self, pause: float) -> None:
        """Append until nothing new is to be begun."""
        while not self._book.closing.is_set():
            try:
                async with self._library.attach(self._session) as attached:
                    while not self._book.closing.is_set():
                        await self._append(attached)
                        await self._book.pause(pause)
            except SessiondError:
                await self._book.pause(0.5)

    async def _append(self, attached: AttachedSession) -> None:
        text = f"{self._client} {next(_numbers)}"
        op_id, invoked, seq, failure = secrets.token_hex(8), now(), 0, ""
        try:
            seq = await attached.append(text, op_id=op_id)
        except SessiondError as error:
            failure = error.reason
            raise
        finally:
            # What the library tried before a refusal is not told: a refusal proves nothing here.
            self._book.add(
                Operation(
                    kind=Kind.APPEND,
                    client=self._client,
                    actor=self._actor,
                    session=self._session,
                    invoked=invoked,
                    returned=now(),
                    outcome=Outcome.OK if seq else Outcome.UNKNOWN,
                    op_id=op_id,
                    failure=failure,
                    seq=seq,
                    content=digest(text),
                )
            )
