"""A store of a few lines in which every operation takes effect at one moment, or never."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from tests.faults.final import (
    Final,
    StoredDraft,
    StoredEntry,
    StoredHead,
    StoredRecord,
    StoredSession,
)
from tests.faults.history import READS, EventKind, Kind, Operation, Outcome, digest

MESSAGES = (EventKind.MESSAGE, EventKind.ENDED)
SIMPLE = {
    Kind.CREATE: EventKind.CREATED,
    Kind.APPEND: EventKind.MESSAGE,
    Kind.UPDATE: EventKind.UPDATED,
}


@dataclass
class Turn:
    """A running turn: what its worker wrote, and how much its owner has."""

    id: str
    text: str = ""


@dataclass
class Chat:
    """One session as it is stored; before its first record it is not there."""

    id: str
    user: str
    records: list[StoredRecord] = field(default_factory=list)
    epoch: int = 0
    paused: bool = False
    pending: str = ""
    turn: Turn | None = None
    deleted: str = ""
    """Under which operation id; "" while it is not."""

    @property
    def seq(self) -> int:
        """Where the log ends."""
        return len(self.records)

    @property
    def there(self) -> bool:
        """Whether it was created, and not deleted."""
        return bool(self.records) and not self.deleted

    def messages(self, tail: int | None) -> tuple[tuple[int, str], ...]:
        """Return the newest messages, as reads hold them."""
        held = [(r.seq, r.content) for r in self.records if r.event in MESSAGES and r.content]
        return tuple(held if tail is None else held[-tail:] if tail else ())


@dataclass(frozen=True)
class Asked:
    """An operation under way; what `content` and `about` mean is said in `Operation`."""

    client: str
    actor: str
    kind: Kind
    chat: Chat
    invoked: int
    op_id: str
    content: str = ""
    about: str = ""
    tail: int | None = None


class Store:
    """All sessions. `named` gives names that are new."""

    def __init__(self, named: Callable[[str], str]) -> None:
        self.chats: list[Chat] = []
        self._named = named

    def final(self) -> Final:
        """Return what is stored now."""
        there = [chat for chat in self.chats if chat.there]
        return Final(
            sessions={
                chat.id: StoredSession(
                    StoredHead(f"log of {chat.id}", chat.seq, chat.epoch, "", chat.user),
                    list(chat.records),
                )
                for chat in there
            },
            entries=[StoredEntry(chat.user, chat.id, chat.seq) for chat in there],
            tombstones=frozenset(chat.id for chat in self.chats if chat.deleted),
            drafts=[
                StoredDraft(chat.id, chat.turn.id, 0, chat.turn.text)
                for chat in there
                if chat.turn is not None and chat.turn.text
            ],
        )

    def do(self, asked: Asked) -> Operation:
        """Let an operation take effect now; return what is answered, as of no time yet."""
        chat = asked.chat
        if asked.kind is Kind.LIST:
            there = [each for each in self.chats if each.user == asked.actor and each.there]
            return said(asked, listed=tuple((each.id, each.seq) for each in there))
        if asked.kind is Kind.DELETE and asked.op_id == chat.deleted:
            return said(asked)
        if chat.deleted or (not chat.records and asked.kind is not Kind.CREATE):
            return said(asked, failure="SESSION_NOT_FOUND")
        if asked.kind in READS:
            seq = chat.seq if asked.kind is Kind.GET else 0
            return said(asked, seq=seq, messages=chat.messages(asked.tail))
        if asked.kind is Kind.DELETE:
            chat.deleted = asked.op_id
            return said(asked)
        stored = (record.seq for record in chat.records if record.op_id == asked.op_id)
        seq = next(stored, 0)
        return said(asked, seq=seq) if seq else self._change(asked, chat)

    def _change(self, asked: Asked, chat: Chat) -> Operation:
        text, completed, about = "", False, asked.about
        match asked.kind:
            case Kind.CREATE | Kind.APPEND | Kind.UPDATE:
                event = SIMPLE[asked.kind]
            case Kind.SUBMIT if not chat.pending:
                event, about = EventKind.SUBMITTED, self._named("output")
                chat.pending = about
            case Kind.EDIT if chat.pending:
                event, about = EventKind.EDITED, chat.pending
            case Kind.DECIDE if about and about == chat.pending:
                event, chat.pending = EventKind.DECIDED, ""
            case Kind.DECIDE if any(
                r.event is EventKind.DECIDED and r.about == about for r in chat.records
            ):
                return said(asked, seq=chat.seq)
            case Kind.PAUSE | Kind.RESUME:
                wanted = asked.kind is Kind.PAUSE
                if chat.paused == wanted:
                    return said(asked, seq=chat.seq)
                chat.paused = wanted
                event = EventKind.PAUSED if wanted else EventKind.RESUMED
            case Kind.BEGIN if chat.turn is None:
                event, about = EventKind.BEGUN, self._named("turn")
                chat.turn = Turn(about)
            case Kind.END | Kind.CANCEL if chat.turn is not None and chat.turn.id == about:
                text, completed = chat.turn.text, asked.kind is Kind.END
                if completed and digest(text) != asked.content:
                    return said(asked, failure="INVALID_ARGUMENT")
                event, chat.turn = EventKind.ENDED, None
            case _:
                return said(asked, failure="REFUSED")
        content = digest(text) if event is EventKind.ENDED else asked.content
        chat.records.append(
            StoredRecord(
                seq=chat.seq + 1,
                epoch=chat.epoch,
                instance=f"instance-{chat.epoch}" if chat.seq else "",
                commit_id=self._named("commit"),
                time_ms=chat.seq,
                actor=asked.actor,
                op_id=asked.op_id,
                hash="",
                event=event,
                content=content,
                about=about,
                text=text,
                completed=completed,
            )
        )
        return said(asked, seq=chat.seq)


def said(
    asked: Asked,
    *,
    seq: int = 0,
    failure: str = "",
    messages: tuple[tuple[int, str], ...] = (),
    listed: tuple[tuple[str, int], ...] = (),
) -> Operation:
    """Return an operation that has been answered; when, is to be filled in."""
    return Operation(
        kind=asked.kind,
        client=asked.client,
        actor=asked.actor,
        session="" if asked.kind is Kind.LIST else asked.chat.id,
        invoked=asked.invoked,
        returned=0,
        outcome=Outcome.FAIL if failure else Outcome.OK,
        op_id="" if asked.kind in READS else asked.op_id,
        failure=failure,
        seq=seq,
        content=asked.content,
        about=asked.about,
        messages=messages,
        tail=asked.tail,
        user=asked.actor if asked.kind in (Kind.LIST, Kind.CREATE) else "",
        listed=listed,
    )
