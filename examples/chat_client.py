"""The shortest useful client: say one thing, and print the answer as it is written.

SESSIOND_TOKEN=$(make -s token USER=alice) .venv/bin/python -m examples.chat_client "Where to?"
"""

from __future__ import annotations

import asyncio
import os
import sys

from sessiond import Client, Token
from sessiond.session.events import Record, TurnEnded


async def main(text: str) -> None:
    """Make a session in which the example agent acts, and talk to it."""
    async with Client(
        live=os.environ.get("SESSIOND_LIVE", "127.0.0.1:7301"),
        store=os.environ.get("SESSIOND_STORE", "127.0.0.1:7201"),
        token=os.environ["SESSIOND_TOKEN"],
    ) as client:
        created = await client.create(workflow_id="chat", metadata={"demo": "true"})
        async with client.attach(created.id) as session:
            updates = session.updates()
            await session.append(text)
            async for update in updates:
                if isinstance(update, Token):
                    print(update.text, end="", flush=True)
                elif isinstance(update, Record) and isinstance(update.event, TurnEnded):
                    break
    print()


if __name__ == "__main__":
    asyncio.run(main(" ".join(sys.argv[1:]) or "Where do we start?"))
