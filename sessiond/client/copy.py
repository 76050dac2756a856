"""A client's copy of a session: a snapshot, and every event after it, folded by the rules.

attached -> snapshot parts -> whole -> event -> event -> ...
                 ^                       |
                 +--------- reset -------+   the old state stays until the new one is whole
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sessiond import wire
from sessiond.client.updates import (
    Presence,
    Reset,
    RunningTurn,
    Token,
    Update,
    presence_from_wire,
)
from sessiond.event_wire import event_from_wire, output_from_wire, state_from_wire
from sessiond.session.apply import apply, message_of
from sessiond.session.events import Record, TurnBegun, TurnEnded
from sessiond.session.standing import Rewound
from sessiond.session.state import Message, Output, Session
from sessiond.v1 import event_pb2, live_pb2
from sessiond.v1.live_pb2 import ServerFrame


@dataclass(slots=True)
class _Loading:
    """A snapshot of which not all parts are there."""

    session: Session
    user_inputs: str = "{}"
    outputs: dict[str, Output] = field(default_factory=dict)
    messages: list[Message] = field(default_factory=list)

    def whole(self) -> Session:
        return self.session._replace(user_inputs=self.user_inputs, outputs=self.outputs)


class Copy:
    """One session's state, its newest messages, running turns and who is here."""

    def __init__(self) -> None:
        self.session: Session | None = None
        self.presence = Presence()
        self._messages: list[Message] = []
        self._turns: dict[str, RunningTurn] = {}
        self._loading: _Loading | None = None
        self._reset_reason = ""

    @property
    def messages(self) -> Sequence[Message]:
        """The messages from the snapshot's first one on, oldest first; it grows in place."""
        return self._messages

    @property
    def turns(self) -> Mapping[str, RunningTurn]:
        """The running turns by id."""
        return self._turns

    def take(self, frame: ServerFrame) -> Update | None:
        """Take a frame that a link handed on, no event, and return what a reader sees of it."""
        match frame.WhichOneof("frame"):
            case "token":
                return self._token(frame.token)
            case "presence":
                self.presence = presence_from_wire(frame.presence)
                return self.presence
            case "snapshot":
                return self._snapshot(frame.snapshot)
            case "attached":
                self._turns = {
                    turn.turn_id: RunningTurn(
                        turn.turn_id,
                        turn.agent_id if turn.HasField("agent_id") else None,
                        turn.text,
                    )
                    for turn in frame.attached.turns
                }
            case "reset":
                self._reset_reason = frame.reset.reason
        return None

    def take_event(self, event: event_pb2.Event) -> Record:
        """Take an event, and return it as a reader sees it.

        One that is in the state already, because a reader asked for it again, changes nothing. Nor
        does a rewind: the old state stays until the snapshot that follows it is whole.
        """
        record = event_from_wire(event)
        if self.session is None or record.seq <= self.session.seq:
            return record
        if isinstance(record.event, Rewound):
            return record  # of what is there again, only the snapshot that follows tells everything
        self.session = apply(self.session, record)
        message = message_of(record)
        if message is not None:
            self._messages.append(message)
        happened = record.event
        if isinstance(happened, TurnBegun):
            turn = self._turns.setdefault(happened.turn_id, RunningTurn(happened.turn_id))
            turn.agent_id = happened.agent_id
        elif isinstance(happened, TurnEnded):
            self._turns.pop(happened.turn_id, None)
        return record

    def _token(self, token: live_pb2.Token) -> Token:
        # It can come before the event that begins its turn.
        turn = self._turns.setdefault(token.turn_id, RunningTurn(token.turn_id))
        turn.write(token.text)
        return Token(token.turn_id, token.offset, token.text)

    def _snapshot(self, part: live_pb2.Snapshot) -> Reset | None:
        kind = part.WhichOneof("part")
        if kind == "state":
            self._loading = _Loading(state_from_wire(part.state))
        loading = self._loading
        if loading is None:
            raise ValueError("a snapshot begins with its state")
        if kind == "user_inputs":
            loading.user_inputs = part.user_inputs.text
        elif kind == "output":
            output_id = part.output.output_id
            loading.outputs[output_id] = output_from_wire(output_id, part.output.output)
        elif kind == "messages":
            loading.messages.extend(map(wire.message_from_wire, part.messages.messages))
        return self._loaded(loading) if part.last else None

    def _loaded(self, loading: _Loading) -> Reset | None:
        first = self.session is None
        self.session = session = loading.whole()
        self._messages = loading.messages
        self._loading = None
        running = session.turn
        turns = self._turns if running is not None else {}
        self._turns = (
            {}
            if running is None
            else {running.id: turns.get(running.id, RunningTurn(running.id, running.agent_id))}
        )
        reason, self._reset_reason = self._reset_reason, ""
        return None if first else Reset(reason, session.seq)
