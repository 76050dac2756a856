"""Random rounds of a tiny store in which everything is as it should be.

A world has one clock, which ticks with each thing that happens. Every operation is asked for, takes
effect or does not, and is answered, at moments that others' moments come between. So clients are
concurrent, and what is told of them is legal by construction.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from random import Random

from tests.faults.check_store import Asked, Chat, Store, Turn, said
from tests.faults.final import Final
from tests.faults.history import (
    READS,
    Attached,
    CaughtUp,
    Entry,
    Goaway,
    Kind,
    Operation,
    Outcome,
    Shown,
    Snapshot,
    Token,
    Written,
    digest,
)

WEIGHTS = {Kind.CREATE: 0.0, Kind.DELETE: 0.3, Kind.APPEND: 8.0}
WEIGHTS |= dict.fromkeys((Kind.REWIND, Kind.SHARE, Kind.UNSHARE, Kind.TRANSFER, Kind.FORK), 0.0)
"""How often clients ask for what; 2 for all others. What goes back or goes on is told in tales."""


@dataclass
class Doing:
    """What one client does: an operation, its answer once it took effect, and what it missed."""

    asked: Asked
    answer: Operation | None = None
    tried: bool = False
    doubtful: bool = False


@dataclass
class Reader:
    """One stream's attachment to a session: how far it has come, in the log and in turns."""

    client: str
    stream: int
    chat: Chat
    last: int
    lengths: dict[str, int] = field(default_factory=dict)


class World:
    """A store, its clients and its readers, moved by chance one step at a time."""

    def __init__(self, chance: Random, *, clients: int = 4, sessions: int = 4) -> None:
        self.history: list[Entry] = []
        self._chance = chance
        self._now = 0
        self._names = 0
        self._sessions = sessions
        self._store = Store(self._named)
        self._users = [f"user-{place % 2}" for place in range(clients)]
        self._doing: list[Doing | None] = [None] * clients
        self._late: list[Asked] = []
        self._readers: list[Reader] = []
        self._cursors: dict[tuple[str, str], int] = {}

    def run(self, steps: int) -> tuple[list[Entry], Final]:
        """Take so many steps, let all that was asked be answered; give the history and its end."""
        for _ in range(steps):
            self._step()
        for place in range(len(self._doing)):
            while self._doing[place] is not None:
                self._move(place)
        for reader in self._readers:
            self._show(reader, reader.chat.seq)
        return self.history, self._store.final()

    def _step(self) -> None:
        what = self._chance.random()
        if what < 0.6:
            self._move(self._chance.randrange(len(self._doing)))
        elif what < 0.7:
            self._attach()
        elif what < 0.95 and self._readers:
            self._read(self._chance.choice(self._readers))
        elif what < 0.97 and self._late:
            # What nobody waits for any more may still happen.
            self._store.do(self._late.pop())
        elif self._store.chats:
            chat = self._chance.choice(self._store.chats)
            chat.epoch += chat.there  # a takeover

    def _tick(self) -> int:
        self._now += 1
        return self._now

    def _named(self, what: str) -> str:
        self._names += 1
        return f"{what}-{self._names}"

    # --- clients -------------------------------------------------------------------------------

    def _move(self, place: int) -> None:
        """Let a client ask, or its operation take effect, or its answer come or not come."""
        doing = self._doing[place]
        if doing is None:
            self._doing[place] = self._ask(f"client-{place}", self._users[place])
            return
        asked = doing.asked
        if not doing.tried:
            doing.tried = True
            if self._chance.random() < 0.9:
                doing.answer = self._store.do(asked)
            elif asked.kind not in READS:
                self._late.append(asked)
        elif doing.answer is not None and self._chance.random() < 0.9:
            self._doing[place] = None
            self._tell(doing, doing.answer)
        elif self._chance.random() < 0.5:
            doing.tried, doing.answer, doing.doubtful = False, None, True
        else:
            self._doing[place] = None
            answer = said(asked)
            self.history.append(replace(answer, returned=self._tick(), outcome=Outcome.UNKNOWN))

    def _tell(self, doing: Doing, answer: Operation) -> None:
        """A refusal after a try without an answer says nothing of that try."""
        if doing.doubtful and answer.outcome is Outcome.FAIL and answer.kind not in READS:
            answer = replace(answer, outcome=Outcome.UNKNOWN)
        self.history.append(replace(answer, returned=self._tick()))

    def _ask(self, client: str, user: str) -> Doing | None:
        chats = self._store.chats
        mine = [chat for chat in chats if chat.user == user]
        if not mine or (len(chats) < self._sessions and self._chance.random() < 0.1):
            chats.append(Chat(self._named("session"), user))
            op_id = self._named("op")
            return Doing(Asked(client, user, Kind.CREATE, chats[-1], self._tick(), op_id))
        chat = self._chance.choice(mine)
        (kind,) = self._chance.choices(list(Kind), [WEIGHTS.get(kind, 2.0) for kind in Kind])
        if kind is Kind.BEGIN and chat.turn is not None:
            self._write(client, chat, chat.turn)  # rather than begin another one
            return None
        op_id, content, about, tail = self._named("op"), "", "", None
        if kind in (Kind.APPEND, Kind.UPDATE, Kind.SUBMIT, Kind.EDIT):
            content = digest(op_id)
        elif kind is Kind.DECIDE:
            about = chat.pending or self._named("output")
            content = digest("approved")
        elif kind in (Kind.GET, Kind.PAGES):
            tail = self._chance.choice([None, 2])
        elif kind in (Kind.END, Kind.CANCEL) and chat.turn is not None:
            about = chat.turn.id
            content = digest(chat.turn.text) if kind is Kind.END else ""
        return Doing(Asked(client, user, kind, chat, self._tick(), op_id, content, about, tail))

    def _write(self, client: str, chat: Chat, turn: Turn) -> None:
        text = self._named("text ")
        self.history.append(Written(client, chat.id, self._tick(), turn.id, len(turn.text), text))
        turn.text += text

    # --- readers -------------------------------------------------------------------------------

    def _attach(self) -> None:
        there = [chat for chat in self._store.chats if chat.there]
        if not there:
            return
        chat = self._chance.choice(there)
        client, stream = f"reader-{self._chance.randrange(3)}", self._tick()
        cursor = self._cursors.get((client, chat.id), 0)
        recovered = cursor > 0 and self._chance.random() < 0.7
        turns = () if chat.turn is None else ((chat.turn.id, chat.turn.text),)
        log_id = f"log of {chat.id}"
        log = log_id if cursor else ""
        asked, at = self._tick(), self._tick()
        self.history.append(
            Attached(
                client, stream, chat.id, asked, at, recovered, log_id, chat.seq, log, cursor, turns
            )
        )
        reader = Reader(client, stream, chat, cursor)
        reader.lengths = {turn: len(text) for turn, text in turns}
        if not recovered:
            reader.last = chat.seq
            tail = self._chance.choice([1, 50])
            held = chat.messages(tail)
            self.history.append(
                Snapshot(client, stream, chat.id, self._tick(), log_id, chat.seq, held, tail)
            )
        self._readers.append(reader)

    def _read(self, reader: Reader) -> None:
        chat = reader.chat
        if self._chance.random() < 0.1:
            self._readers.remove(reader)
            self._cursors[reader.client, chat.id] = reader.last
            self.history.append(
                Goaway(reader.client, reader.stream, chat.id, self._tick(), "SESSION_MOVED")
            )
        elif reader.last < chat.seq:
            self._show(reader, self._chance.randint(reader.last, chat.seq))
        elif chat.turn is not None and not chat.deleted:
            have = reader.lengths.get(chat.turn.id, 0)
            text = chat.turn.text[have : have + self._chance.randint(1, 9)]
            self.history.append(
                Token(reader.client, reader.stream, chat.id, self._tick(), chat.turn.id, have, text)
            )
            reader.lengths[chat.turn.id] = have + len(text)

    def _show(self, reader: Reader, upto: int) -> None:
        where = reader.client, reader.stream, reader.chat.id
        for record in reader.chat.records[reader.last : upto]:
            at, op_id = self._tick(), record.op_id
            self.history.append(
                Shown(*where, at, record.seq, op_id, record.event, record.content, record.about)
            )
        reader.last = upto
        if upto == reader.chat.seq:
            self.history.append(CaughtUp(*where, self._tick(), upto))
