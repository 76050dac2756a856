"""Those who watch turns: what each was shown while it was written, and what it holds at the end."""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Protocol

from sessiond import Client, Presence, Reset, SessiondError, Token
from sessiond.client.updates import Update
from sessiond.session.events import TurnEnded
from show.browser import Browser
from show.fold import Json
from show.script import token


@dataclass(slots=True)
class Shown:
    """One turn as one watcher was shown it, over all its connections.

    Attributes:
        text: the tokens one after the other, without what came again.
        arrived: when each length was reached, by the clock of the event loop: (length, moment).
        gaps: how often a token left a hole behind what was there.
        contradictions: how often a token said something else than what was there.
        message: the text of the event that ended it; None before that.
        outcome: how it ended.
        ended: when that was seen.
    """

    text: str = ""
    arrived: list[tuple[int, float]] = field(default_factory=list)
    gaps: int = 0
    contradictions: int = 0
    message: str | None = None
    outcome: str = ""
    ended: float = 0.0

    def begin(self, text: str) -> None:
        """Take the text so far, as one who joins is told it."""
        self.take(0, text)

    def take(self, offset: int, text: str) -> None:
        """Take a token: what is there already is left as it is."""
        have = len(self.text)
        if offset > have:
            self.gaps += 1
        elif self.text[offset : offset + len(text)] != text[: have - offset]:
            self.contradictions += 1
        elif offset + len(text) > have:
            self.text += text[have - offset :]
            self.arrived.append((len(self.text), _now()))

    def end(self, outcome: str, message: str) -> None:
        """Take the event that ends it."""
        self.outcome, self.message, self.ended = outcome, message, _now()


class Watcher(Protocol):
    """Somebody who watches a session's turns.

    Attributes:
        name: who.
        shown: by the turn's id.
    """

    name: str
    shown: dict[str, Shown]

    @property
    def failed(self) -> str:
        """Why it can watch no longer; "" while it can."""

    async def open(self) -> None:
        """Join, or come back."""

    async def close(self) -> None:
        """Disconnect."""


class LibraryWatcher:
    """Watches with the client library; comes back as a new reader, who is told the text so far."""

    def __init__(self, name: str, client: Client, session_id: str) -> None:
        self.name = name
        self.shown: dict[str, Shown] = {}
        self._failed = ""
        self._client = client
        self._session_id = session_id
        self._resources = AsyncExitStack()
        self._reading: asyncio.Task[None] | None = None

    @property
    def failed(self) -> str:
        """Why it can watch no longer; "" while it can."""
        return self._failed

    async def open(self) -> None:
        """Join, or come back."""
        attaching = self._client.attach(self._session_id)
        session = await self._resources.enter_async_context(attaching)
        updates = session.updates()
        for turn_id, turn in session.turns.items():
            self._of(turn_id).begin(turn.text)
        self._reading = asyncio.create_task(self._read(updates))

    async def close(self) -> None:
        """Leave."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        await self._resources.aclose()

    async def _read(self, updates: AsyncIterator[Update]) -> None:
        try:
            async for update in updates:
                if isinstance(update, Token):
                    self._of(update.turn_id).take(update.offset, update.text)
                elif isinstance(update, Reset):
                    self._failed = f"it was reset: {update.reason}"
                elif not isinstance(update, Presence) and isinstance(update.event, TurnEnded):
                    ended = update.event
                    self._of(ended.turn_id).end(ended.outcome, ended.content)
        except SessiondError as failure:
            self._failed = failure.reason

    def _of(self, turn_id: str) -> Shown:
        return self.shown.setdefault(turn_id, Shown())


class BrowserWatcher:
    """Watches over the gateway's WebSocket; it comes back by its cursor."""

    def __init__(
        self,
        name: str,
        address: str,
        token: str,
        session_id: str,
        *,
        load: Callable[[str], Awaitable[Json]],
    ) -> None:
        self.name = name
        self.shown: dict[str, Shown] = {}
        self._browser = Browser(name, address, token, session_id, load=load, heard=self._hear)

    @property
    def failed(self) -> str:
        """Why it can watch no longer; "" while it can."""
        view = self._browser.view
        return view.ended or ("it was reset" if view.resets else "")

    @property
    def reconnects(self) -> int:
        """How often it had to connect again, beside its own coming and going."""
        return self._browser.view.reconnects

    async def open(self) -> None:
        """Join, or come back by the cursor."""
        await self._browser.open()

    async def close(self) -> None:
        """Disconnect."""
        await self._browser.close()

    def _hear(self, kind: str, body: Json) -> None:
        if kind == "token":
            self._of(body["turnId"]).take(body["offset"], body["text"])
        elif kind == "attached":
            for turn in body["turns"]:
                self._of(turn["turnId"]).begin(turn["text"])
        elif kind == "event" and "turnEnded" in body:
            ended = body["turnEnded"]
            self._of(ended["turnId"]).end(
                ended["outcome"], ended.get("message", {}).get("content", "")
            )

    def _of(self, turn_id: str) -> Shown:
        return self.shown.setdefault(turn_id, Shown())


def complaints_about(watcher: Watcher, turn_id: str, *, text: str, outcome: str) -> Iterator[str]:
    """Yield what is wrong with what a watcher saw of a turn that ended so, with this text."""
    if watcher.failed:
        yield f"{watcher.name} can watch no longer: {watcher.failed}"
    shown = watcher.shown.get(turn_id)
    if shown is None or shown.message is None:
        yield f"{watcher.name} did not see the turn end"
        return
    if shown.outcome != outcome:
        yield f"{watcher.name} saw the turn end as {shown.outcome}"
    if shown.message != text:
        yield f"{watcher.name} holds another text than is stored"
    if shown.gaps:
        yield f"{watcher.name} was shown {shown.gaps} tokens behind a hole"
    if shown.contradictions:
        yield f"{watcher.name} was shown {shown.contradictions} tokens that contradict others"
    if not text.startswith(shown.text):
        yield f"{watcher.name} was shown tokens that are not in the text"


def _now() -> float:
    return asyncio.get_running_loop().time()


def delays(
    shown: Iterable[Shown], written: Sequence[float], fault: float, tokens: int
) -> tuple[list[float], list[float]]:
    """Return how many seconds each token took to each of those who were there all the time.

    The second list holds the tokens that were written between half a second before the fault and
    three seconds after it, the first one all others. Tokens that were seen only in the event that
    ended the turn are not counted.
    """
    lengths = list(accumulate(len(token(number)) for number in range(tokens)))
    usual: list[float] = []
    around: list[float] = []
    for each in shown:
        reached = [length for length, _ in each.arrived]
        for length, moment in zip(lengths, written, strict=True):
            place = bisect_left(reached, length)
            if place < len(reached):
                near = fault - 0.5 <= moment <= fault + 3.0
                (around if near else usual).append(each.arrived[place][1] - moment)
    return usual, around
