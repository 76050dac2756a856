"""An agent worker: finds the sessions that await its agents, answers, and submits its work.

    SESSIOND_TOKEN_FILE=agent.jwt SESSIOND_AGENTS=assistant .venv/bin/python -m examples.agent

`make run` runs one. It acts only in sessions whose metadata has `demo: "true"`. Any number of it
may run: each awaited message is answered once.

To make it yours, put your model's stream into `generate`, and take the test for `demo` out.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from pathlib import Path

from sessiond import (
    AttachedSession,
    Client,
    SessiondError,
    Turn,
    TurnCancelled,
    TurnOver,
    errors,
)
from sessiond.session.state import Sender, Session

AT_ONCE = 100
"""Sessions that are worked on at the same time; more of them wait."""

PAUSES = (1.0, 60.0)
"""Seconds before a session that could not be worked on is tried again: at first, and at most."""

PATIENCE_SECONDS = 8.0
"""How long answers under way may take when the worker is asked to stop."""

WORD_SECONDS = float(os.environ.get("AGENT_WORD_SECONDS", "0.02"))
"""The pace of the text maker below."""

log = logging.getLogger("agent")


async def generate(prompt: str) -> AsyncGenerator[str, None]:
    """Yield a text bit by bit. THIS IS THE PLACE for a model's stream.

    What stands here makes the same text of the same prompt, so that the example runs anywhere.
    """
    task, _, about = prompt.partition("\n")
    subject = " ".join(about.split()) or "nothing in particular yet"
    for word in f"{task} I went by this: {subject[:400]}".split():
        yield word + " "
        await asyncio.sleep(WORD_SECONDS)


async def work(session: AttachedSession, agents: frozenset[str]) -> None:
    """Answer until the session awaits none of our agents."""
    happened = session.events()
    while session.state.awaited_agent in agents and session.state.metadata.get("demo") == "true":
        try:
            await answer(session, session.state)
        except errors.StaleRevision as stale:
            while session.state.seq < stale.revision:
                await anext(happened)  # something came between: look again
        except errors.TurnActive:
            return  # another worker answers


async def answer(session: AttachedSession, seen: Session) -> None:
    """Do what the state that was seen asks for: the step's work, then words about it.

    The turn begins only if that state is still the newest. So of several workers one begins, and
    what it found unanswered is unanswered. A worker that dies before its first word leaves the
    session awaiting, for the next one; later, its words and its work stay.
    """
    agent, step = seen.current_agent, seen.workflow.step_id_at(seen.current_step)
    about = topic(session, seen)
    turn = session.turn(agent, expected_revision=seen.seq)
    try:
        async with turn:
            log.info("%s: %s answers seq %d", seen.id, agent, seen.seq)
            opening = f"This is the {agent}, and I have read it."
            if step:
                opening = await submit(session, turn, seen, step, about)
            async with aclosing(generate(f"{opening}\n{about}")) as stream:
                async for text in stream:
                    await turn.write(text)
    except TurnCancelled:
        if not turn.text:  # without a word of ours the session would still await us
            await session.append("I have stopped.", agent_id=agent)


async def submit(session: AttachedSession, turn: Turn, seen: Session, step: str, about: str) -> str:
    """Make the output of a step and submit it for approval; return what to say of it.

    Its id counts the drafts, so that one that comes late, from a worker that was thought dead,
    meets the one that was submitted instead.
    """
    draft = 1 + sum(output.body.step_id == step for output in seen.outputs.values())
    content = ""
    async with aclosing(generate(f"Draft {draft} for {step}.\n{about}")) as stream:
        async for text in stream:
            content += text
            await turn.write("")  # ends the work where the turn was ended
    try:
        await session.submit_output(content.strip(), output_id=f"{step}-{draft}")
    except SessiondError as refused:
        return f"I could not submit a draft for {step}: {refused.detail}"
    return f"I have submitted draft {draft} for {step}: approve it, or say what to change."


def topic(session: AttachedSession, seen: Session) -> str:
    """Return what to answer: the person's newest words or the inputs, and a rejection."""
    said = [each.content for each in session.messages if each.sender is Sender.USER]
    inputs = "" if seen.user_inputs == "{}" else seen.user_inputs
    step = seen.workflow.step_id_at(seen.current_step)
    drafts = [each for each in seen.outputs.values() if each.body.step_id == step]
    newest = max(drafts, key=lambda draft: draft.body.generated_ms, default=None)
    feedback = newest.feedback if newest is not None else None
    return "; ".join(filter(None, [said[-1] if said else inputs, feedback]))


class Agent:
    """Follows what awaits its agents, and works on each session in a task of its own."""

    def __init__(self, client: Client, agents: frozenset[str]) -> None:
        self._client = client
        self._agents = agents
        self._awaiting: set[str] = set()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._news: dict[str, asyncio.Event] = {}
        self._slots = asyncio.Semaphore(AT_ONCE)

    async def run(self) -> None:
        """Follow the watch; a session in it is worked on until it has left it."""
        async with aclosing(self._client.watch(agents=sorted(self._agents))) as watch:
            async for response in watch:
                match response.WhichOneof("change"):
                    case "session":
                        if response.session.metadata.get("demo") == "true":
                            self._awaits(response.session.id)
                    case "removed_id":
                        self._awaits_no_more(response.removed_id)
                    case "reset":
                        self._awaiting.clear()

    async def finish(self) -> None:
        """Let answers under way come to their end, within the patience."""
        self._awaiting.clear()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks.values(), timeout=PATIENCE_SECONDS)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def _awaits(self, session_id: str) -> None:
        self._awaiting.add(session_id)
        if session_id in self._news:
            self._news[session_id].set()
        else:
            self._news[session_id] = asyncio.Event()
            self._tasks[session_id] = asyncio.create_task(self._work(session_id))

    def _awaits_no_more(self, session_id: str) -> None:
        self._awaiting.discard(session_id)
        if session_id in self._news:
            self._news[session_id].set()

    async def _work(self, session_id: str) -> None:
        news, (pause, longest) = self._news[session_id], PAUSES
        try:
            async with self._slots:
                # The watch says when it is done; where it does not, something went wrong.
                while session_id in self._awaiting:
                    news.clear()
                    await self._look(session_id)
                    with suppress(TimeoutError):
                        async with asyncio.timeout(pause):
                            await news.wait()
                    pause = min(pause * 2, longest)
        finally:
            del self._tasks[session_id], self._news[session_id]

    async def _look(self, session_id: str) -> None:
        try:
            async with self._client.attach(session_id) as session:
                await work(session, self._agents)
        except errors.SessionNotFound:
            self._awaiting.discard(session_id)
        except (SessiondError, TurnOver) as failure:
            log.warning("%s: %s", session_id, failure)
        except Exception:
            log.exception("%s: no answer", session_id)  # what the model's stream raised


async def main() -> None:
    """Work until SIGTERM or Ctrl-C."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    client = Client(
        live=os.environ.get("SESSIOND_LIVE", "127.0.0.1:7301").split(","),
        store=os.environ.get("SESSIOND_STORE", "127.0.0.1:7201").split(","),
        # Read again whenever a fresh one is needed.
        token=lambda: Path(os.environ["SESSIOND_TOKEN_FILE"]).read_text().strip(),
    )
    agents = frozenset(os.environ["SESSIOND_AGENTS"].split(","))
    asked = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, asked.set)
    async with client:
        agent = Agent(client, agents)
        following = asyncio.create_task(agent.run())
        stopping = asyncio.create_task(asked.wait())
        await asyncio.wait({following, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following  # a refused watch, for a token that is not taken say, is told
        await agent.finish()


if __name__ == "__main__":
    asyncio.run(main())
