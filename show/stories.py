"""Sessions with everything in them, made by clients as people and agents make them."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from typing import NamedTuple

from sessiond import Client
from sessiond.session.access import MemberRole
from sessiond.session.state import Decision, MessageType, Sender
from show.stage import Stage

TEXTS: Sequence[str] = (
    "Where do we start?",
    "# A plan\n\n1. <b onclick=alert(1)>Look</b>\n2. [Leap](javascript:alert(1))\n\n```\n#x\n```",
    "![](https://example.com/pixel.png) <svg onload=alert(1)/> $$\\input{/etc/passwd}$$",
    "\x1b[31mred\x1b[0m, a bell \x07 and \u202eturned\u202c",
    "Привет, Καλημέρα, naïve café",
    "--- \n+++\n| a | b |\n|---|---|\n",
)


class Told(NamedTuple):
    """A session, and whose it is."""

    user: str
    session_id: str


async def tell(stage: Stage, *, messages: int, chance: random.Random) -> list[Told]:
    """Make sessions with all that can happen."""
    owner, guest = "alice", "bob"
    alice = await stage.client(stage.token(owner))
    bob = await stage.client(stage.token(guest))
    agents = ["gtm-consultant", "persona-strategist", "assistant"]
    agent = await stage.client(stage.token("worker", role="agent", agents=agents))
    shared = await _shared(alice, bob)
    return [
        Told(owner, await _talked(alice, messages, chance)),
        Told(owner, await _worked(alice, agent)),
        Told(owner, await _answered(alice, agent)),
        Told(guest, shared),
        Told(guest, (await bob.fork(shared, at_seq=3)).id),
    ]


async def _talked(client: Client, messages: int, chance: random.Random) -> str:
    """A long conversation, of which the second half was taken back."""
    made = await client.create(workflow_id="chat", metadata={"kind": "talk", "ü": "\u200d"})
    for start in range(0, messages, 50):
        count = min(50, messages - start)
        await asyncio.gather(*(client.append(made.id, chance.choice(TEXTS)) for _ in range(count)))
    await client.append(made.id, "x" * 300_000, metadata={"n": 12345678901234567890, "d": [{}]})
    await client.rewind(made.id, messages // 2)
    await client.append(made.id, "From here again.")
    return made.id


async def _worked(client: Client, agent: Client) -> str:
    """Steps of a workflow: rejected, edited, approved; and a pause."""
    inputs = {"market": "EU", "n": 12345678901234567890, "deep": {"a": [1, 2.5, None, True]}}
    made = await client.create(user_inputs=inputs, title="Launch")
    for text in ("Please begin.", *TEXTS):
        await client.append(made.id, text)
    await agent.append(made.id, "Here is a first try.", sender=Sender.AGENT)
    first = await agent.submit_output(made.id, "A first try.", quality_score=0.25)
    await client.edit_output(made.id, first.output_id, content="A first try, edited.")
    await client.approve(made.id, feedback="Again.", decision=Decision.REJECTED)
    await agent.submit_output(made.id, TEXTS[1], metadata={"sources": ["a", "b"]})
    await client.approve(made.id, feedback="Good.")
    await client.pause(made.id)
    await client.update(
        made.id, title="Launch in the EU", metadata={"team": "red"}, user_inputs={"n": 7}
    )
    await client.resume(made.id)
    await agent.submit_output(made.id, "Waits for its decision.", agent_id="persona-strategist")
    return made.id


async def _answered(client: Client, agent: Client) -> str:
    """An answer that was written bit by bit."""
    made = await client.create(workflow_id="chat")
    await client.append(made.id, "What do you think?", type=MessageType.TEXT)
    async with agent.attach(made.id) as session, session.turn("assistant") as turn:
        for word in ("I think ", "that this ", "is a long ", "answer."):
            await turn.write(word)
    await agent.append(
        made.id, "Do you agree?", sender=Sender.AGENT, type=MessageType.USER_INPUT_REQUEST
    )
    return made.id


async def _shared(client: Client, other: Client) -> str:
    """Members, a link, and another owner in the end."""
    made = await client.create(workflow_id="chat", title="Ours")
    await client.share(made.id, "bob", MemberRole.EDITOR)
    await other.append(made.id, "Hello from Bob.")
    link = await client.make_link(made.id, MemberRole.VIEWER)
    await client.revoke_link(made.id, link.link.link_id)
    await client.share(made.id, "carol", MemberRole.APPROVER)
    await client.unshare(made.id, "carol")
    await client.transfer(made.id, "bob")
    return made.id
