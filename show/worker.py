"""`python -m show.worker`: an agent in a process of its own, that writes until it is killed.

    worker.py SESSION TOKENS_PER_SECOND LIVE... -- STORE...

Its bearer token is in the environment variable SHOW_TOKEN.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence

from sessiond import Client
from show.script import token


async def write(
    session_id: str, per_second: float, lives: Sequence[str], stores: Sequence[str]
) -> None:
    """Begin a turn and write token after token, for ever."""
    async with (
        Client(live=lives, store=stores, token=os.environ["SHOW_TOKEN"]) as client,
        client.attach(session_id) as session,
        session.turn() as turn,
    ):
        number = 0
        while True:
            await turn.write(token(number))
            number += 1
            await asyncio.sleep(1 / per_second)


def main(arguments: Sequence[str]) -> None:
    """Write as the arguments say."""
    session_id, per_second, *addresses = arguments
    between = addresses.index("--")
    asyncio.run(write(session_id, float(per_second), addresses[:between], addresses[between + 1 :]))


if __name__ == "__main__":
    main(sys.argv[1:])
