"""Sessions as a Live keeps them, as small as the client's tests allow, and one stream's side of it.

Nothing here decides: every change is taken. What is real are seqs, cursors, operation ids, turns,
and how attachments begin and end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from sessiond.errors import CARRIED, SessiondError, SessionNotFound
from sessiond.v1 import event_pb2, live_pb2, session_pb2
from sessiond.v1.live_pb2 import ClientFrame, ServerFrame

LOG_ID = "00000000000000aa"
OWNER = event_pb2.Actor(subject="alice", role="user")
Say = Callable[[ServerFrame], None]


@dataclass(eq=False)
class RunningTurn:
    id: str
    op_id: str
    seq: int
    worker: Attachment
    text: str = ""
    stored: int = 0


@dataclass(eq=False)
class Attachment:
    """One session on one stream."""

    session: StoredSession
    say: Say
    leave: Callable[[], None]
    shown: int = 0


@dataclass(eq=False)
class StoredSession:
    """One session. A cursor before `oldest` is not served.

    `undone` are the seqs of messages that rewinds took away; none comes back.
    """

    id: str
    log_id: str = LOG_ID
    events: list[event_pb2.Event] = field(default_factory=list)
    answers: dict[str, live_pb2.Reply] = field(default_factory=dict)
    sinces: dict[str, set[int]] = field(default_factory=dict)
    attachments: list[Attachment] = field(default_factory=list)
    turn: RunningTurn | None = None
    oldest: int = 0
    undone: set[int] = field(default_factory=set)
    owner: str | None = None
    refuse: dict[str, list[SessiondError]] = field(default_factory=dict)
    presence: list[bool] = field(default_factory=list)

    _awaited: int = 0
    _come: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        created = event_pb2.SessionCreated(
            user_id="alice",
            workflow=event_pb2.Workflow(id="chat", name="Chat", agent="assistant"),
            user_inputs=session_pb2.JsonObject(text="{}"),
        )
        self.happen(event_pb2.Event(session_created=created))

    @property
    def head(self) -> int:
        return len(self.events)

    def happen(self, event: event_pb2.Event, op_id: str = "") -> int:
        """Give an event its seq, and show it to everyone."""
        event.session_id = self.id
        event.seq = self.head + 1
        event.time.FromMilliseconds(1_700_000_000_000 + event.seq)
        event.actor.CopyFrom(OWNER)
        event.op_id = op_id
        self.events.append(event)
        if self.head >= self._awaited:
            self._come.set()
        for attachment in self.attachments:
            attachment.say(ServerFrame(event=event))
        return event.seq

    async def reached(self, seq: int) -> None:
        """Wait until the session has come so far."""
        self._awaited = seq
        if self.head < seq:
            self._come.clear()
            await self._come.wait()

    def append(self, content: str, op_id: str = "") -> int:
        message = session_pb2.Message(
            id=f"m{self.head + 1}",
            session_id=self.id,
            sender=session_pb2.SENDER_USER,
            type=session_pb2.MESSAGE_TYPE_TEXT,
            content=content,
            seq=self.head + 1,
        )
        message.timestamp.FromMilliseconds(1_700_000_000_000 + self.head + 1)
        appended = event_pb2.MessageAppended(message=message)
        return self.happen(event_pb2.Event(message_appended=appended), op_id)

    def write(self, text: str) -> None:
        """Let the running turn's text grow, as every reader sees it."""
        assert self.turn is not None
        offset = len(self.turn.text)
        self.turn.text += text
        for attachment in self.attachments:
            attachment.say(
                ServerFrame(
                    token=live_pb2.Token(
                        session_id=self.id, turn_id=self.turn.id, offset=offset, text=text
                    )
                )
            )

    def end_turn(self, outcome: event_pb2.TurnOutcome.ValueType, op_id: str = "") -> int:
        turn, self.turn = self.turn, None
        assert turn is not None
        ended = event_pb2.TurnEnded(turn_id=turn.id, outcome=outcome)
        if turn.text:
            ended.message.id = f"m{self.head + 1}"
            ended.message.session_id = self.id
            ended.message.sender = session_pb2.SENDER_AGENT
            ended.message.agent_id = "assistant"
            ended.message.type = session_pb2.MESSAGE_TYPE_TEXT
            ended.message.content = turn.text
            ended.message.seq = self.head + 1
            ended.message.timestamp.FromMilliseconds(1_700_000_000_000 + self.head + 1)
        return self.happen(event_pb2.Event(turn_ended=ended), op_id)

    def rewind(self, to_seq: int, op_id: str = "") -> int:
        """Undo the messages after an event, and show everyone what is left, anew."""
        self.undone |= set(range(to_seq + 1, self.head + 1))
        rewound = event_pb2.Rewound(
            to_seq=to_seq, status=session_pb2.SESSION_STATUS_ACTIVE, inputs_seq=1
        )
        seq = self.happen(event_pb2.Event(rewound=rewound), op_id)
        self.oldest = seq + 1
        for attachment in self.attachments:
            reset = live_pb2.Reset(session_id=self.id, reason="REWOUND")
            attachment.say(ServerFrame(reset=reset))
            for part in self.snapshot(50):
                attachment.say(part)
            caught_up = live_pb2.CaughtUp(session_id=self.id, seq=seq)
            attachment.say(ServerFrame(caught_up=caught_up))
        return seq

    def move(self) -> None:
        """Let the owner die: what is not stored is gone, and everyone is told to come back."""
        if self.turn is not None:
            self.turn.text = self.turn.text[: self.turn.stored]
        for attachment in tuple(self.attachments):
            attachment.leave()
            attachment.say(
                ServerFrame(
                    goaway=live_pb2.Goaway(
                        session_id=self.id,
                        reason="SESSION_MOVED",
                        reconnect=True,
                        retry_after_ms=0,
                        owner=self.owner,
                    )
                )
            )

    def snapshot(self, tail: int) -> Iterable[ServerFrame]:
        def part() -> live_pb2.Snapshot:
            return live_pb2.Snapshot(session_id=self.id, log_id=self.log_id, seq=self.head)

        state = part()
        state.state.session.id = self.id
        state.state.session.user_id = "alice"
        state.state.session.workflow_id = "chat"
        state.state.session.status = session_pb2.SESSION_STATUS_ACTIVE
        state.state.session.current_agent = "assistant"
        state.state.session.revision = self.head
        state.state.session.created_at.FromMilliseconds(1_700_000_000_001)
        state.state.session.last_active.FromMilliseconds(1_700_000_000_000 + self.head)
        state.state.workflow.CopyFrom(self.events[0].session_created.workflow)
        messages = [
            event.turn_ended.message
            if event.HasField("turn_ended")
            else event.message_appended.message
            for event in self.events
            if event.HasField("message_appended") or event.turn_ended.HasField("message")
            if event.seq not in self.undone
        ]
        state.state.message_count = len(messages)
        if messages:
            state.state.last_message = messages[-1].content[:140]
        if self.turn is not None:
            state.state.turn.turn_id = self.turn.id
            state.state.turn.agent_id = "assistant"
            state.state.turn.seq = self.turn.seq
            state.state.turn.op_id = self.turn.op_id
            state.state.turn.actor.CopyFrom(OWNER)
        inputs = part()
        inputs.user_inputs.text = "{}"
        last = part()
        last.messages.messages.extend(messages[-tail:] if tail else [])
        last.last = True
        return [ServerFrame(snapshot=each) for each in (state, inputs, last)]


class Conversation:
    """One stream: what the server does with what it hears."""

    most_attached = 1000

    def __init__(self, sessions: dict[str, StoredSession], say: Say) -> None:
        self._sessions = sessions
        self._say = say
        self._attached: dict[str, Attachment] = {}

    def end(self) -> None:
        for attachment in tuple(self._attached.values()):
            attachment.leave()

    def hear(self, frame: ClientFrame) -> None:
        for each in frame.batch or (frame,):
            kind = each.WhichOneof("frame")
            if kind == "hello":
                limits = live_pb2.StreamLimits(
                    attached_sessions=self.most_attached, frame_bytes=1024 * 1024
                )
                self._say(ServerFrame(welcome=live_pb2.Welcome(limits=limits)))
            elif kind == "ping":
                self._say(ServerFrame(pong=live_pb2.Pong(payload=each.ping.payload)))
            elif kind == "attach":
                self._attach(each.attach)
            elif kind == "detach":
                attachment = self._attached.get(each.detach.session_id)
                if attachment is not None:
                    attachment.leave()
                    self._say(
                        ServerFrame(
                            goaway=live_pb2.Goaway(
                                session_id=each.detach.session_id, reason="NOT_ATTACHED"
                            )
                        )
                    )
            elif kind == "presence":
                self._sessions[each.presence.session_id].presence.append(each.presence.typing)
            elif kind == "token":
                self._token(each.token)
            elif kind is not None and kind != "close":
                self._change(each, kind)

    def _attach(self, attach: live_pb2.Attach) -> None:
        session = self._sessions.get(attach.session_id)
        refusals = [SessionNotFound()] if session is None else session.refuse.get("attach")
        if session is None or refusals:
            assert refusals
            reason = refusals.pop(0)
            goaway = live_pb2.Goaway(
                session_id=attach.session_id,
                reason=reason.reason,
                detail=reason.detail,
                reconnect=CARRIED[type(reason)].close < 4500,
            )
            self._say(ServerFrame(goaway=goaway))
            return

        def leave() -> None:
            session.attachments.remove(attachment)
            del self._attached[session.id]

        attachment = Attachment(session, self._say, leave)
        log_id, _, seq = attach.cursor.partition(".")
        recovered = (
            log_id == session.log_id
            and seq.isdecimal()
            and session.oldest <= int(seq) <= session.head
        )
        attached = live_pb2.Attached(
            session_id=session.id,
            recovered=recovered,
            log_id=session.log_id,
            head_seq=session.head,
            owner=session.owner,
        )
        if session.turn is not None:
            attached.turns.add(
                turn_id=session.turn.id,
                agent_id="assistant",
                seq=session.turn.seq,
                text=session.turn.text,
            )
        self._say(ServerFrame(attached=attached))
        if recovered:
            for event in session.events[int(seq) :]:
                self._say(ServerFrame(event=event))
        else:
            for part in session.snapshot(attach.tail if attach.HasField("tail") else 50):
                self._say(part)
        caught_up = live_pb2.CaughtUp(session_id=session.id, seq=session.head)
        self._say(ServerFrame(caught_up=caught_up))
        session.attachments.append(attachment)
        self._attached[session.id] = attachment

    def _token(self, token: live_pb2.WriteToken) -> None:
        attachment = self._attached.get(token.session_id)
        if attachment is None:
            return
        session = attachment.session
        turn = session.turn
        if turn is None or turn.id != token.turn_id or turn.worker is not attachment:
            return
        assert token.offset <= len(turn.text), "a token leaves a hole"
        new = token.text[len(turn.text) - token.offset :]
        if new:
            session.write(new)

    def _change(self, frame: ClientFrame, kind: str) -> None:
        message = getattr(frame, kind)
        op_id = message.op_id
        reply = live_pb2.Reply(session_id=message.session_id, op_id=op_id)
        attachment = self._attached.get(message.session_id)
        if attachment is None:
            reply.error.code = "NOT_ATTACHED"
            self._say(ServerFrame(reply=reply))
            return
        session = attachment.session
        session.sinces.setdefault(op_id, set()).add(frame.since)
        if session.refuse.get(kind):
            error = session.refuse[kind].pop(0)
            reply.error.code = error.reason
            reply.error.detail = error.detail
            reply.error.retryable = CARRIED[type(error)].retryable
            self._say(ServerFrame(reply=reply))
            return
        if op_id not in session.answers:
            session.answers[op_id] = self._do(attachment, frame, kind, reply)
        reply = session.answers[op_id]
        if kind == "begin_turn":
            turn = session.turn
            if turn is not None and turn.op_id == op_id:
                turn.worker = attachment
                reply.turn.offset = len(turn.text)
            else:
                reply.turn.ended = True
        again = live_pb2.Reply()
        again.CopyFrom(reply)
        self._say(ServerFrame(reply=again))

    def _do(
        self, attachment: Attachment, frame: ClientFrame, kind: str, reply: live_pb2.Reply
    ) -> live_pb2.Reply:
        session = attachment.session
        if kind == "append":
            reply.seq = session.append(frame.append.content, reply.op_id)
        elif kind == "begin_turn":
            turn_id = f"t{session.head + 1}"
            session.turn = RunningTurn(turn_id, reply.op_id, session.head + 1, attachment)
            begun = event_pb2.TurnBegun(turn_id=turn_id, agent_id="assistant")
            reply.seq = session.happen(event_pb2.Event(turn_begun=begun), reply.op_id)
            reply.turn.turn_id = turn_id
        elif kind == "end_turn":
            end = frame.end_turn
            assert session.turn is not None
            assert len(session.turn.text) == end.length, "not all of the text came"
            failed = event_pb2.TURN_OUTCOME_FAILED
            completed = event_pb2.TURN_OUTCOME_COMPLETED
            reply.seq = session.end_turn(failed if end.failed else completed, reply.op_id)
        elif kind == "cancel":
            reply.seq = session.end_turn(event_pb2.TURN_OUTCOME_CANCELLED, reply.op_id)
        elif kind == "update":
            updated = event_pb2.SessionUpdated(title=frame.update.title, title_given=True)
            reply.seq = session.happen(event_pb2.Event(session_updated=updated), reply.op_id)
        elif kind == "rewind":
            reply.seq = session.rewind(frame.rewind.to_seq, reply.op_id)
        elif kind == "pause":
            paused = event_pb2.Event(session_paused=event_pb2.SessionPaused())
            reply.seq = session.happen(paused, reply.op_id)
        elif kind == "share":
            granted = event_pb2.MemberGranted(user_id=frame.share.user_id, role=frame.share.role)
            reply.seq = session.happen(event_pb2.Event(member_granted=granted), reply.op_id)
        elif kind == "unshare":
            revoked = event_pb2.MemberRevoked(user_id=frame.unshare.user_id)
            reply.seq = session.happen(event_pb2.Event(member_revoked=revoked), reply.op_id)
        elif kind == "make_link":
            made = event_pb2.LinkMade(link_id="l", role=frame.make_link.role)
            reply.seq = session.happen(event_pb2.Event(link_made=made), reply.op_id)
            reply.link.link.link_id = "l"
            reply.link.secret = frame.make_link.secret
        elif kind == "revoke_link":
            unlinked = event_pb2.LinkRevoked(link_id=frame.revoke_link.link_id)
            reply.seq = session.happen(event_pb2.Event(link_revoked=unlinked), reply.op_id)
        elif kind == "transfer":
            given = event_pb2.OwnerTransferred(
                user_id=frame.transfer.user_id, former_user_id="alice"
            )
            reply.seq = session.happen(event_pb2.Event(owner_transferred=given), reply.op_id)
        elif kind == "resume":
            resumed = event_pb2.Event(session_resumed=event_pb2.SessionResumed())
            reply.seq = session.happen(resumed, reply.op_id)
        else:
            happened = _of_sharing(getattr(frame, kind), kind, reply)
            reply.seq = session.happen(happened, reply.op_id)
        return reply


def _of_sharing(asked: Any, kind: str, reply: live_pb2.Reply) -> event_pb2.Event:
    """Return what happens by a change of who may enter, or of what may go."""
    event = event_pb2.Event()
    if kind == "share":
        event.member_granted.user_id = asked.user_id
        event.member_granted.role = asked.role
    elif kind == "unshare":
        event.member_revoked.user_id = asked.user_id
    elif kind == "make_link":
        event.link_made.link_id = reply.link.link.link_id = "l1"
        event.link_made.role = reply.link.link.role = asked.role
        reply.link.secret = asked.secret
    elif kind == "revoke_link":
        event.link_revoked.link_id = asked.link_id
    elif kind == "transfer":
        event.owner_transferred.user_id = asked.user_id
        event.owner_transferred.former_user_id = "alice"
    elif kind == "set_hold":
        event.hold_set.held = asked.held
    else:
        raise AssertionError(kind)
    return event
