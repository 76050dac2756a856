"""A session as a conversation to be read: what each update of it adds to the screen."""

from __future__ import annotations

from sessiond.cli.paint import BOLD, CYAN, DIM, GREEN, YELLOW, one_line, plain
from sessiond.cli.screen import Screen
from sessiond.client.session import AttachedSession
from sessiond.client.updates import Presence, Reset, Token, Update
from sessiond.session.apply import message_of
from sessiond.session.events import (
    OutputDecided,
    OutputEdited,
    OutputSubmitted,
    Record,
    SessionPaused,
    SessionResumed,
    SessionUpdated,
    TurnBegun,
    TurnEnded,
)
from sessiond.session.standing import Rewound
from sessiond.session.state import (
    Decision,
    Message,
    OutputBody,
    Sender,
    Session,
    Status,
    TurnOutcome,
)

_STYLE = {Sender.USER: GREEN, Sender.AGENT: CYAN, Sender.SYSTEM: YELLOW}


class Transcript:
    """Shows one attached session on a screen; `show` takes its updates in order."""

    def __init__(self, session: AttachedSession, screen: Screen) -> None:
        self._session = session
        self._screen = screen
        self._seq = 0
        self._turn_id = ""
        self._written = 0

    async def begin(self) -> None:
        """Show what there is."""
        state = self._session.state
        await self._screen.line(_heading(state), BOLD)
        self._seq = state.seq
        for message in tuple(self._session.messages):
            if message.seq <= self._seq:
                await self._say(message)
        pending = state.pending_output
        if pending is not None:
            await self._offer(pending.body)
        if state.turn is not None:
            await self._write_on(state.turn.id)

    async def show(self, update: Update) -> None:
        """Show what an update adds."""
        match update:
            case Record():
                await self._happened(update)
            case Token():
                await self._token(update)
            case Presence():
                await self._screen.here(update.members)
            case Reset():
                await self._reset(update)

    async def _happened(self, record: Record) -> None:
        if record.seq <= self._seq:
            return
        self._seq = record.seq
        who = plain(record.actor.name)
        match record.event:
            case TurnBegun(turn_id):
                await self._write_on(turn_id)
            case TurnEnded() as ended:
                await self._turn_ended(ended, message_of(record))
            case OutputSubmitted(body):
                await self._offer(body)
            case OutputEdited(body):
                await self._note(f"{who} edited the output {body.id}:\n{plain(body.content)}")
            case OutputDecided() as decision:
                await self._decided(decision, who)
            case SessionPaused():
                await self._note(f"{who} paused the session")
            case SessionResumed():
                await self._note(f"{who} resumed the session")
            case Rewound(to_seq):
                await self._note(f"{who} took the session back to {to_seq}")
            case SessionUpdated(title) if title is not None:
                await self._note(f"the title is now: {one_line(title, 200)}")
            case _:
                message = message_of(record)
                if message is not None:
                    await self._say(message)

    async def _say(self, message: Message) -> None:
        name = message.user_id or message.agent_id or message.sender
        style = _STYLE[message.sender]
        await self._screen.line(plain(message.content), BOLD, style, name=plain(name))

    async def _offer(self, body: OutputBody) -> None:
        agent, step = plain(body.agent_id), plain(body.step_id)
        await self._note(f"{agent} submits an output for {step}:", plain(body.content))
        await self._note("/approve it, or /reject it and say what to change")

    async def _decided(self, decision: OutputDecided, who: str) -> None:
        said = f": {one_line(decision.feedback, 200)}" if decision.feedback else ""
        word = "approved" if decision.decision is Decision.APPROVED else "rejected"
        await self._note(f"{who} {word} {decision.output_id}{said}")
        # Of several decisions under way only the newest state is known; the last note is right.
        await self._note(_standing(self._session.state))

    async def _note(self, text: str, whole: str = "") -> None:
        await self._screen.line(f"-- {text}", DIM)
        if whole:
            await self._screen.line(whole)

    # --- turns ---------------------------------------------------------------------------------

    async def _token(self, token: Token) -> None:
        if token.turn_id != self._turn_id or token.offset > self._written:
            await self._write_on(token.turn_id)  # tokens passed us by: the copy has all of it
        else:
            await self._write(token.text[self._written - token.offset :])

    async def _write_on(self, turn_id: str) -> None:
        """Show what is there of a turn's text and was not shown."""
        if turn_id != self._turn_id:
            await self._screen.close()
            self._turn_id, self._written = turn_id, 0
        turn = self._session.turns.get(turn_id)
        if turn is not None:
            await self._write(turn.text[self._written :])

    async def _write(self, text: str) -> None:
        if not text:
            return
        self._written += len(text)
        running = self._session.turns.get(self._turn_id)
        agent = running.agent_id if running is not None else self._session.state.current_agent
        await self._screen.grow(plain(text), name=plain(agent or "agent"))

    async def _turn_ended(self, ended: TurnEnded, message: Message | None) -> None:
        # Tokens may have passed us by; then the rest is here. What counts is this text.
        known = ended.turn_id == self._turn_id and self._written > 0
        if known and message is not None and len(message.content) >= self._written:
            await self._write(message.content[self._written :])
            await self._screen.close()
        else:
            await self._screen.close()
            if message is not None:
                await self._say(message)
        if ended.turn_id == self._turn_id:
            self._turn_id, self._written = "", 0
        if ended.outcome is not TurnOutcome.COMPLETED:
            await self._note(f"this answer was {_ENDED[ended.outcome]}")

    async def _reset(self, reset: Reset) -> None:
        await self._screen.close()
        self._turn_id, self._written = "", 0
        await self._note("the session was loaded anew")
        for message in tuple(self._session.messages):
            if self._seq < message.seq <= reset.seq:
                await self._say(message)
        self._seq = reset.seq


_ENDED = {
    TurnOutcome.CANCELLED: "cancelled",
    TurnOutcome.INTERRUPTED: "cut off: its agent went away",
    TurnOutcome.FAILED: "not finished: its agent failed",
}


def _heading(session: Session) -> str:
    title = one_line(session.title, 100)
    return f"{session.id}{f'  {title}' if title else ''}  ({_standing(session)})"


def _standing(session: Session) -> str:
    progress = session.progress
    done = f"{progress.completed_steps} of {progress.total_steps} steps done"
    if not progress.total_steps:
        done = f"with {session.current_agent}"
    elif session.status is not Status.COMPLETED:
        done += f", now {progress.current_step_id} by {session.current_agent}"
    return plain(f"{session.status}, {done}")


def is_settled(session: Session) -> bool:
    """Return whether nobody but the person is to speak."""
    return session.turn is None and not session.awaited_agent
